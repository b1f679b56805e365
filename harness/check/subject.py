"""What is checked: a task, one subset at one scale, and what it needs to be run."""

import traceback
from dataclasses import dataclass

from warmup_bench.check.finding import CheckResult
from warmup_bench.contracts.boundary import splits_problem
from warmup_bench.contracts.errors import UserError
from warmup_bench.contracts.preset import Preset
from warmup_bench.contracts.registry import Entry
from warmup_bench.contracts.settings import Settings
from warmup_bench.contracts.task import LoadRequest, Splits, Task, TaskCard
from warmup_bench.data.registry import tasks
from warmup_bench.spec.spec import make_settings


@dataclass(frozen=True)
class Subject:
    """A task with its examples.

    Attributes:
        reference: Name or path that the registry resolves.
        entry: The task and where it came from.
        request: The subset, scale and data folder.
        splits: Its examples, after the limits of the scale's settings.
        preset: The scale's default backbone.
        settings: The scale's defaults over that backbone's.
    """

    reference: str
    entry: Entry[Task]
    request: LoadRequest
    splits: Splits
    preset: Preset
    settings: Settings

    @property
    def card(self) -> TaskCard:
        """The task's card."""
        return self.entry.value.card


def make_subject(reference: str, request: LoadRequest, splits: Splits) -> Subject:
    """What the checks read of a task whose examples are loaded.

    Raises:
        UserError: The task or its backbone can't be resolved, or its settings are not valid.
    """
    from warmup_bench.models.load import resolve_preset
    from warmup_bench.store.examples import limited

    entry: Entry[Task] = tasks().load(reference)
    scale_card = entry.value.card.scales[request.scale]
    preset = resolve_preset(scale_card.backbone).value
    settings = make_settings("its settings", scale_card.settings, preset.settings)
    return Subject(reference, entry, request, limited(splits, settings.limit), preset, settings)


def load_splits(entry: Entry[Task], request: LoadRequest) -> Splits | CheckResult:
    """The examples, or why there are none: a loader's own error, or one that it did not foresee."""
    try:
        splits = entry.value.load(request)
    except UserError as error:
        where = f" (from {error.origin})" if error.origin else ""
        return CheckResult("data", "failed", f"{error.problem}{where}", error.hint or "Mend the loader.")
    except Exception as error:
        last = traceback.extract_tb(error.__traceback__)[-1]
        return CheckResult(
            "data",
            "failed",
            f"the loader failed: {type(error).__name__}: {error}",
            f"Mend {last.filename}, line {last.lineno}; raise UserError where the user has to do something.",
        )
    if reason := splits_problem(splits):
        return CheckResult(
            "data", "failed", f"the loader {reason}", "Return warmup_bench.Splits of warmup_bench.Example."
        )
    return splits
