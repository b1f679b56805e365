"""Metrics on stored predictions: which can score here, with which settings, and each in turn."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from warmup_bench.contracts.errors import UserError
from warmup_bench.contracts.learned_metric import is_learned
from warmup_bench.contracts.metric import MetricContext
from warmup_bench.contracts.registry import metrics
from warmup_bench.contracts.settings import Score
from warmup_bench.execution.executors import Event, Listener
from warmup_bench.score.cells import Tally, score_cell, score_learned
from warmup_bench.spec.spec import make_spec, merge, parse_assignment
from warmup_bench.store.failures import Failure, failure_of
from warmup_bench.store.folders import CorruptError, is_done
from warmup_bench.store.specs import newest_spec
from warmup_bench.store.stored import read_facts
from warmup_bench.store.study import refuse_published


@dataclass
class Scored:
    """What came of scoring.

    Attributes:
        said: What learned metrics did, a sentence each.
        failures: By the name of the metric.
    """

    said: list[str] = field(default_factory=list)
    failures: dict[str, Failure] = field(default_factory=dict)


def score_all(
    out: Path,
    cells: Sequence[Path],
    references: Sequence[str],
    settings: Score,
    device: str,
    listener: Listener,
) -> Scored:
    """Score cells with each metric in turn; what is scored already stays.

    A learned metric whose model fails costs nobody else anything: it is told, and the next one goes on.

    Raises:
        CorruptError: Stored predictions are damaged.
    """
    from warmup_bench.models.load import quiet_transformers

    quiet_transformers()
    scored = Scored()
    for reference in references:
        context, _ = read_facts(cells[0], settings)
        metric = metrics().load(reference).value(context)

        def progress(done: int, total: int, name: str = metric.name) -> None:
            listener(Event(name, "progress", "score", done, total))

        if is_learned(metric):
            try:
                tally = score_learned(out, cells, reference, settings, device=device, progress=progress)
            except CorruptError:
                raise
            except Exception as error:  # a model, or the process that it runs in, may fail in any way
                scored.failures[metric.name] = failure = failure_of(error, "score")
                listener(Event(metric.name, "failed", message=failure.message))
                continue
            scored.said.append(f"{metric.name}: {_in_words(tally)}")
            scored.said += [f"{metric.name}, {note}" for note in tally.notes]
        else:
            for done, cell in enumerate(cells):
                progress(done, len(cells))
                score_cell(cell, [reference], settings)
        listener(Event(metric.name, "done"))
    return scored


def _in_words(tally: Tally) -> str:
    if not tally.cells:
        return "every cell is scored already."
    new = tally.segments - tally.cached
    return f"{tally.cells} cells, {tally.segments} segments: {new} scored, {tally.cached} from the cache."


def score_settings(folder: Path | None, comet_python: str | None, assignments: Sequence[str]) -> Score:
    """The section ``score`` of the newest spec of a folder, under ``--set`` and ``--comet-python``.

    What could run code is never read from a folder, which may come from someone else: neither the interpreter
    of COMET nor the trust in its checkpoint.

    Raises:
        UserError: A key outside of ``score``, or one that nobody reads.
    """
    layers = [parse_assignment(text) for text in assignments]
    other = next((key for layer in layers for key in layer if key != "score"), None)
    if other is not None:
        raise UserError(
            f"'{other}' is not a key of scoring",
            origin="--set",
            hint="Stored predictions are scored as they are: only keys under 'score' are read.",
        )
    if comet_python is not None:
        layers.append({"score": {"comet": {"python": comet_python}}})
    spec = newest_spec(folder) if folder is not None else None
    run_code = {"comet": {"python", "trust_checkpoint"}}
    stored = {} if spec is None else {"score": spec.score.model_dump(mode="json", exclude=run_code)}
    return make_spec({"task": "stored", **merge(stored, *layers)}, "--set").score


def decoded_cells(folder: Path) -> list[Path]:
    """The cells of a results folder that hold predictions.

    Raises:
        UserError: There is none, or the folder holds published numbers.
    """
    refuse_published(folder, "no metric can be scored there")
    root = folder / "cells"
    decoded = sorted(p for p in root.iterdir() if is_done(p / "decode")) if root.is_dir() else []
    if not decoded:
        raise UserError(
            f"{folder} holds no predictions to score",
            origin="warmup-bench score",
            hint="Give the folder that 'warmup-bench run' printed.",
        )
    return decoded


def ready_metrics(
    references: Sequence[str], contexts: Sequence[MetricContext]
) -> tuple[list[str], list[str]]:
    """Metrics that can score here, and why the others can't."""
    ready, left_out = [], []
    for reference in references:
        variants = [metrics().load(reference).value(context) for context in contexts]
        reasons = (metric.missing() for metric in variants if is_learned(metric))
        if reason := next(filter(None, reasons), ""):
            left_out.append(f"{variants[0].name} is left out: {reason}.")
        else:
            ready.append(reference)
    return ready, left_out
