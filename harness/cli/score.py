"""``warmup-bench score``: metrics on stored predictions, without a model of the run and without its task."""

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.text import Text

from harness.cli.progress import ProgressDisplay
from harness.cli.report import newest_spec
from harness.errors import UserError
from harness.executors import Event
from harness.metrics.base import MetricContext
from harness.metrics.learned import LearnedMetric, is_learned
from harness.registry import metrics
from harness.scoring import Tally, score_cell, score_learned
from harness.settings import Score
from harness.spec import make_spec, merge, parse_assignment
from harness.storage.failures import Failure, failure_of
from harness.storage.results_folder import refuse_published
from harness.storage.store import CorruptError, is_done, require_writable
from harness.storage.stored import read_facts


def score_command(
    folder: Path | None,
    names: Sequence[str],
    comet_python: str | None,
    assignments: Sequence[str],
    device: str,
    *,
    fetch: bool,
) -> int:
    """Score every stored cell; returns the exit code (0 all scored, 1 some metric was left out or failed).

    Raises:
        UserError: Nothing to score, an unknown metric or key, or no metric that can score here.
    """
    if device not in ("auto", "cpu", "cuda"):
        raise UserError(f"unknown device '{device}'", origin="--device", hint="Use auto, cpu or cuda.")
    settings = _settings(folder, comet_python, assignments)
    wanted = [name for item in names for name in item.split(",") if name]
    console = Console()
    if folder is None:
        if not fetch or not wanted:
            raise UserError(
                "no results folder was given",
                origin="warmup-bench score",
                hint="'warmup-bench score DIR' scores one, '--fetch --metrics NAME' downloads models.",
            )
        _fetch(wanted, [MetricContext(settings=settings)], console)
        return 0
    cells = _decoded(folder)
    contexts = [read_facts(cell, settings) for cell in cells]
    references = list(dict.fromkeys(wanted or [m for _, of_task in contexts for m in of_task]))
    references += [m for m in settings.metrics if not wanted and m not in references]
    named = {*wanted, *_settings(None, None, assignments).metrics}
    for reference in references:
        if reference not in named:
            metrics().load_stored(reference)
    distinct = list(dict.fromkeys(context for context, _ in contexts))
    if fetch:
        _fetch(references, distinct, console)
        return 0
    require_writable(folder)
    ready, left_out = _ready(references, distinct)
    for sentence in left_out:
        console.print(Text(sentence, style="yellow"))
    if not ready:
        raise UserError("none of the metrics can score here", origin="--metrics")
    failed = score_with_progress(console, folder, cells, ready, settings, device)
    console.print(f"Next: [bold]warmup-bench report {escape(str(folder))}[/]", highlight=False)
    return 1 if left_out or failed else 0


def score_with_progress(
    console: Console,
    out: Path,
    cells: Sequence[Path],
    references: Sequence[str],
    settings: Score,
    device: str,
) -> list[str]:
    """Score cells with each metric in turn, show how far it is, and say what was done.

    A learned metric whose model fails costs nobody else anything: it is told, and the next one goes on.

    Returns:
        The names of those that failed.

    Raises:
        CorruptError: Stored predictions are damaged.
    """
    from harness.backbones.load import quiet_transformers

    quiet_transformers()
    said: list[str] = []
    failures: dict[str, Failure] = {}
    with ProgressDisplay(console, len(references)) as display:
        for reference in references:
            context, _ = read_facts(cells[0], settings)
            metric = metrics().load(reference).value(context)

            def progress(done: int, total: int, name: str = metric.name) -> None:
                display(Event(name, "progress", "score", done, total))

            if is_learned(metric):
                try:
                    tally = score_learned(out, cells, reference, settings, device=device, progress=progress)
                except CorruptError:
                    raise
                except Exception as error:  # a model, or the process that it runs in, may fail in any way
                    failures[metric.name] = failure = failure_of(error, "score")
                    display(Event(metric.name, "failed", message=failure.message))
                    continue
                said.append(f"{metric.name}: {_told(tally)}")
                said += [f"{metric.name}, {note}" for note in tally.notes]
            else:
                for done, cell in enumerate(cells):
                    progress(done, len(cells))
                    score_cell(cell, [reference], settings)
            display(Event(metric.name, "done"))
    for line in said:
        console.print(line, highlight=False, markup=False)
    for name, failure in failures.items():
        told = f"failed: {name}: {failure.message.strip()}\nIts cells keep their other scores; "
        told += f"'warmup-bench score {out}' tries it again."
        console.print(Text(told, style="red"))
    return list(failures)


def _told(tally: Tally) -> str:
    if not tally.cells:
        return "every cell is scored already."
    asked = tally.segments - tally.cached
    return f"{tally.cells} cells, {tally.segments} segments: {asked} scored, {tally.cached} from the cache."


def _settings(folder: Path | None, comet_python: str | None, assignments: Sequence[str]) -> Score:
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
            f"'{other}' is no key of scoring",
            origin="--set",
            hint="Stored predictions are scored as they are: only keys under 'score' are read.",
        )
    if comet_python is not None:
        layers.append({"score": {"comet": {"python": comet_python}}})
    spec = newest_spec(folder) if folder is not None else None
    run_code = {"comet": {"python", "trust_checkpoint"}}
    stored = {} if spec is None else {"score": spec.score.model_dump(mode="json", exclude=run_code)}
    return make_spec({"task": "stored", **merge(stored, *layers)}, "--set").score


def _decoded(folder: Path) -> list[Path]:
    """The cells of a results folder that hold predictions.

    Raises:
        UserError: There is none, or the folder holds published numbers.
    """
    refuse_published(folder, "no metric can be scored there")
    root = folder / "cells"
    found = sorted(p for p in root.iterdir() if is_done(p / "decode")) if root.is_dir() else []
    if not found:
        raise UserError(
            f"{folder} holds no predictions to score",
            origin="warmup-bench score",
            hint="Give the folder that 'warmup-bench run' printed.",
        )
    return found


def _ready(references: Sequence[str], contexts: Sequence[MetricContext]) -> tuple[list[str], list[str]]:
    """Metrics that can score here, and why the others can't."""
    ready, left_out = [], []
    for reference in references:
        made = [metrics().load(reference).value(context) for context in contexts]
        learned = [metric for metric in made if is_learned(metric)]
        reason = next((reason for metric in learned if (reason := metric.missing())), "")
        if reason:
            left_out.append(f"{made[0].name} is left out: {reason}.")
        else:
            ready.append(reference)
    return ready, left_out


def _fetch(references: Sequence[str], contexts: Sequence[MetricContext], console: Console) -> None:
    made = [metrics().load(reference).value(context) for reference in references for context in contexts]
    learned: list[LearnedMetric] = [metric for metric in made if is_learned(metric)]
    for metric in learned:
        with console.status(f"Fetching the models of {metric.name} …"):
            found = metric.fetch()
        console.print(f"{metric.name}: {', '.join(found)} in the cache.", highlight=False, markup=False)
