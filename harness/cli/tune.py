"""``warmup-bench tune``: a sweep on validation for every method alike, and the spec that it chooses."""

import json
import re
import shlex
import sys
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from warmup_bench.cli.run import carry_out, print_counts, print_failed, print_plan
from warmup_bench.spec.request import collect_spec

if TYPE_CHECKING:
    from warmup_bench.plan.jobs import Work
    from warmup_bench.plan.tuning import Sweep, Tried
    from warmup_bench.spec.spec import RunSpec
    from warmup_bench.store.failures import Failure
    from warmup_bench.store.results import Result

CHOSEN, RECORD = "chosen.yaml", "tune.json"


def tune_command(
    study: Mapping[str, Any],
    machine: Mapping[str, Any],
    spec_file: Path,
    assignments: Sequence[str],
    out: Path | None,
    *,
    dry_run: bool,
) -> int:
    """Run a spec's sweep, print its table, write the chosen spec; returns the exit code, as of ``run``.

    Args:
        study: Options that belong to the chosen spec too, e.g. the backbone.
        machine: Options of this machine alone: data folder, device, workers.
        spec_file: The study's spec.
        assignments: ``--set``.
        out: Folder of the sweep.
        dry_run: Print the plan and stop.

    Raises:
        UserError: A request that can't be met, found before the first step.
    """
    spec = collect_spec(study, spec_file, assignments)
    here = collect_spec({**study, **machine}, spec_file, assignments)
    console = Console(highlight=False)
    with console.status("Reading data and planning …"):
        from warmup_bench.execution.upkeep import tidy
        from warmup_bench.models.load import quiet_transformers
        from warmup_bench.plan.jobs import outstanding
        from warmup_bench.plan.tuning import make_sweep, metric_of, name_of

        quiet_transformers()
        sweep = make_sweep(here, out)
        metric = metric_of(sweep)
        work = outstanding(sweep.plan)
    for number, point in enumerate(sweep.points, 1):
        console.print(Text(f"point {number}: {name_of(point)}", style="dim"))
    for sentence in sweep.plan.data_notes:
        console.print(Text(sentence, style="yellow"))
    if dry_run:
        print_plan(console, sweep.plan, work)
        return 0
    if work.damaged:
        print_failed(console, [cell for cell in sweep.plan.cells if cell.id in work.damaged], work.damaged)
        return 1
    if not work.pending:
        tidy(sweep.plan)
    elif (stopped := _run_sweep(console, sweep, work)) is not None:
        return stopped
    _choose(console, spec, sweep, metric)
    return 0


def _run_sweep(console: Console, sweep: "Sweep", work: "Work") -> int | None:
    """Do what is outstanding; the exit code where it ended early or a cell failed."""
    from warmup_bench.execution.runner import save_spec
    from warmup_bench.plan.preflight import require
    from warmup_bench.store.folders import require_writable
    from warmup_bench.store.locks import hold

    plan = sweep.plan
    require(plan, work)
    print_counts(console, work)
    require_writable(plan.out)
    with hold(plan.out / "locks" / "setup.lock"):
        for each in sweep.plans:
            save_spec(each)
    failures: dict[str, Failure] = {}
    if (stopped := carry_out(console, plan, work, failures)) is not None:
        return stopped
    failed = [cell for cell in plan.cells if cell.id in failures]
    if not failed:
        return None
    print_failed(console, failed, failures)
    console.print(
        f"{len(failed)} of {len(plan.cells)} cells failed: nothing is chosen until every method has "
        "every point. The same command tries them again."
    )
    return 1


def _choose(console: Console, spec: "RunSpec", sweep: "Sweep", metric: str) -> None:
    """Choose for every method, print the scores, write them and the spec that follows from them."""
    from warmup_bench.plan.tuning import choose, chosen_text, record
    from warmup_bench.store.folders import write_file
    from warmup_bench.store.portable import portable_command

    out = sweep.plan.out
    results = _scored(console, sweep, metric)
    # All cells of a sweep are scored alike.
    entry = next(score for score in results[0].scores if score["metric"] == metric)
    tried = choose(sweep, results, entry["key"])
    _print_table(console, sweep, tried, entry["name"])
    command = shlex.join(["warmup-bench", *portable_command(sys.argv[1:])])
    content = {"command": command, **record(sweep, tried, entry)}
    write_file(out / RECORD, json.dumps(content, indent=2, ensure_ascii=False) + "\n")
    write_file(out / CHOSEN, chosen_text(spec, sweep, tried, entry["name"]))
    console.print(f"\nScores: {out / RECORD}. No test example was decoded.", markup=False)
    console.print(Text(f"Next: warmup-bench run --spec {out / CHOSEN}", style="bold"), soft_wrap=True)


def _scored(console: Console, sweep: "Sweep", metric: str) -> "list[Result]":
    """The results of the sweep's cells, scored with a learned metric where it is the one to choose by."""
    from warmup_bench.store.results import read_results

    plan, names = sweep.plan, [cell.id for cell in sweep.plan.cells]
    if metric in plan.learned:
        from warmup_bench.cli.score import score_with_progress
        from warmup_bench.execution.runner import score_learned_metrics

        score = partial(score_learned_metrics, plan, names, [metric])
        score_with_progress(console, plan.out, 1, score)
    return read_results(plan.out, names)


def _print_table(console: Console, sweep: "Sweep", tried: "Sequence[Tried]", metric: str) -> None:
    from warmup_bench.plan.tuning import in_words

    # A row a point, since methods are few and points are many; a heading breaks where a name has a joint.
    grid = Table(header_style="bold", box=None, padding=(0, 1, 0, 0), pad_edge=False)
    grid.add_column(Text("\n".join(sweep.tune.grid)), vertical="bottom", no_wrap=True)
    for m in tried:
        heading = Text(re.sub(r"([._:-])", r"\1\n", m.method))
        grid.add_column(heading, justify="right", vertical="bottom", no_wrap=True)
    for place, point in enumerate(sweep.points):
        scores = (Text(f"{m.means[place]:.2f}", style="bold" if place == m.best else "") for m in tried)
        grid.add_row(Text(", ".join(map(in_words, point.values()))), *scores)
    grid.add_row("distinct points", *(str(m.distinct) for m in tried))
    grid.add_row("training FLOPs", *(f"{m.flops:.1e}".replace("e+", "e") for m in tried))
    seeds, subsets = ", ".join(map(str, sweep.tune.seeds)), ", ".join(sweep.plan.spec.subsets)
    console.print(f"\n{metric} on validation, mean over seeds {seeds} and subsets {subsets}; bold: chosen.")
    console.print(grid)
