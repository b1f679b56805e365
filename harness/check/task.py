"""All checks of a task, in the order in which they make sense."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from warmup_bench.check.card import check_card
from warmup_bench.check.examples import check_fields, check_groups, check_ids, check_lengths, check_sizes
from warmup_bench.check.finding import CheckResult
from warmup_bench.check.leaks import check_leaks
from warmup_bench.check.repeat import check_repeatable
from warmup_bench.check.scoring import check_scores
from warmup_bench.check.subject import Subject, load_splits, make_subject
from warmup_bench.check.trial import check_trial
from warmup_bench.contracts.errors import UserError
from warmup_bench.contracts.registry import Entry
from warmup_bench.contracts.task import LoadRequest, Scale, Splits, Task
from warmup_bench.data.registry import tasks

Check = Callable[[Subject], Iterator[CheckResult]]

CHECKS: tuple[tuple[str, Check], ...] = (
    ("ids", check_ids),
    ("fields", check_fields),
    ("documents", check_groups),
    ("overlap of train and test", check_leaks),
    ("lengths", check_lengths),
    ("metrics", check_scores),
    ("a second process", check_repeatable),
    ("a trial run", check_trial),
)
"""What is asked of a task that loads, with what to say while it is asked."""


def check_task(
    reference: str,
    *,
    subset: str | None = None,
    scale: Scale | None = None,
    data_dir: Path | None = None,
    offline: bool = False,
    started: Callable[[str], Any] = lambda what: None,
) -> Iterator[CheckResult]:
    """Check one subset of a task at one scale; findings come as they are made.

    Args:
        reference: Name or path of the task.
        subset, scale: None: the card's first.
        data_dir, offline: As for a run.
        started: Called with what is being checked.

    Raises:
        UserError: The task can't be imported, or has no such subset or scale.
    """
    from warmup_bench.plan.selection import choose_scale, choose_subsets, find_data_dir, is_offline

    entry: Entry[Task] = tasks().load(reference)
    card = entry.value.card
    chosen = choose_scale(card, scale)
    (wanted,) = choose_subsets(card, [subset] if subset else [])
    request = LoadRequest(wanted, chosen, find_data_dir(data_dir), is_offline(offline))
    started("card")
    if entry.name != card.name:
        yield CheckResult(
            "card",
            "failed",
            f"the task is registered as '{entry.name}', but its card says '{card.name}'",
            "Give both the same name: results are stored under the card's.",
        )
    yield from check_card(card, chosen)
    started("data")
    splits = load_splits(entry, request)
    if isinstance(splits, CheckResult):
        yield splits
    else:
        yield from check_splits(reference, request, splits, started=started)


def check_splits(
    reference: str,
    request: LoadRequest,
    splits: Splits,
    *,
    checks: Sequence[tuple[str, Check]] = CHECKS,
    started: Callable[[str], Any] = lambda what: None,
) -> Iterator[CheckResult]:
    """Check the examples that a task has loaded, as many of them as a run of the scale uses.

    Raises:
        UserError: The task can't be imported.
    """
    try:
        subject = make_subject(reference, request, splits)
    except UserError as error:
        problem = f"the card at scale {request.scale}: {error.problem}"
        yield CheckResult("settings", "failed", problem, error.hint)
        return
    yield (sizes := check_sizes(subject))
    if sizes.state == "failed":
        return
    for what, check in checks:
        started(what)
        yield from check(subject)
