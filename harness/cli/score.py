"""``warmup-bench score``: metrics on stored predictions, without a model of the run and without its task."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.text import Text

from warmup_bench.cli.formats import listed
from warmup_bench.contracts.errors import UserError
from warmup_bench.contracts.learned_metric import LearnedMetric, is_learned
from warmup_bench.contracts.metric import MetricContext
from warmup_bench.contracts.registry import metrics
from warmup_bench.execution.executors import Listener
from warmup_bench.execution.scoring import Scored, decoded_cells, ready_metrics, score_all, score_settings
from warmup_bench.report.progress import ProgressDisplay
from warmup_bench.store.folders import require_writable
from warmup_bench.store.stored import read_facts


def score_texts(
    name: str | None,
    texts: Mapping[str, Any],
    comet_python: str | None,
    assignments: Sequence[str],
    device: str,
    format_: str,
) -> bool:
    """Score and print texts that have references; returns whether there are any.

    Raises:
        UserError: Texts that can't be read, or an option of texts without references.
    """
    if not texts["references"]:
        for option, key in (("src", "source"), ("language", "language"), ("labels", "labels")):
            if texts[key]:
                raise UserError(f"--{option} is for texts", hint="Name their references with --ref.")
        return False
    if name is None:
        raise UserError("no text was given", origin="warmup-bench score", hint="Name the file of outputs.")
    if device != "auto":
        raise UserError(
            "texts are scored on a GPU where there is one",
            origin="--device",
            hint="Leave it out, with --ref.",
        )
    from warmup_bench.cli.compare import compare_command

    read = {**texts, "settings": score_settings(None, comet_python, assignments)}
    compare_command([name], read, {}, intersect=False, examples=0, format_=format_)
    return True


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
    settings = score_settings(folder, comet_python, assignments)
    wanted = listed(names)
    console = Console(highlight=False)
    if folder is None:
        if not fetch or not wanted:
            raise UserError(
                "no results folder was given",
                origin="warmup-bench score",
                hint="'warmup-bench score DIR' scores one, '--fetch --metrics NAME' downloads models.",
            )
        _fetch(wanted, [MetricContext(settings=settings)], console)
        return 0
    if folder.is_file():
        raise UserError(f"{folder} is a file and not a results folder", hint="Texts need --ref.")
    cells = decoded_cells(folder)
    contexts = [read_facts(cell, settings) for cell in cells]
    references = list(dict.fromkeys(wanted or [m for _, of_task in contexts for m in of_task]))
    references += [m for m in settings.metrics if not wanted and m not in references]
    named = {*wanted, *score_settings(None, None, assignments).metrics}
    for reference in references:
        if reference not in named:
            metrics().load_stored(reference)
    distinct = list(dict.fromkeys(context for context, _ in contexts))
    if fetch:
        _fetch(references, distinct, console)
        return 0
    require_writable(folder)
    ready, left_out = ready_metrics(references, distinct)
    for sentence in left_out:
        console.print(Text(sentence, style="yellow"))
    if not ready:
        raise UserError("none of the metrics can score here", origin="--metrics")
    score = partial(score_all, folder, cells, ready, settings, device)
    failed = score_with_progress(console, folder, len(ready), score)
    console.print(f"Next: [bold]warmup-bench report {escape(str(folder))}[/]")
    return 1 if left_out or failed else 0


def score_with_progress(
    console: Console, out: Path, metrics: int, score: Callable[[Listener], Scored]
) -> list[str]:
    """Score with some metrics, show how far it is, and say what was done.

    Args:
        console: Where it is shown.
        out: The results folder.
        metrics: How many.
        score: Does it, and tells a listener.

    Returns:
        The names of the metrics that failed.

    Raises:
        CorruptError: Stored predictions are damaged.
    """
    with ProgressDisplay(console, metrics) as display:
        scored = score(display)
    for line in scored.said:
        console.print(line, markup=False)
    for name, failure in scored.failures.items():
        keeps = f"Its cells keep their other scores; 'warmup-bench score {out}' tries it again."
        console.print(Text(f"failed: {name}: {failure.message.strip()}\n{keeps}", style="red"))
    return list(scored.failures)


def _fetch(references: Sequence[str], contexts: Sequence[MetricContext], console: Console) -> None:
    loaded = [metrics().load(reference).value(context) for reference in references for context in contexts]
    learned: list[LearnedMetric] = [metric for metric in loaded if is_learned(metric)]
    for metric in learned:
        with console.status(f"Fetching the models of {metric.name} …"):
            models = metric.fetch()
        console.print(f"{metric.name}: {', '.join(models)} in the cache.", markup=False)
