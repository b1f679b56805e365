"""``warmup-bench run``: spec, plan, work, table."""

import shlex
import signal
import sys
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markup import escape
from rich.text import Text

from warmup_bench.execution.garbage import staying
from warmup_bench.report.progress import ProgressDisplay
from warmup_bench.spec.request import collect_spec
from warmup_bench.store.failures import FAILED

if TYPE_CHECKING:
    from warmup_bench.plan.jobs import Work
    from warmup_bench.plan.plan import Plan
    from warmup_bench.plan.shards import Shard
    from warmup_bench.spec.cell import Cell
    from warmup_bench.store.failures import Failure


def run_command(
    options: Mapping[str, Any],
    spec_file: Path | None,
    assignments: Sequence[str],
    *,
    dry_run: bool,
    cells: str | None = None,
) -> int:
    """Run a spec, or the shard ``cells`` of it, and print its table; returns the exit code.

    0: all done; 1: some cells, or a metric, failed; 130 or 143: stopped by Ctrl-C or SIGTERM.

    Raises:
        UserError: A request that can't be met, found before the first step.
    """
    spec = collect_spec(options, spec_file, assignments)
    shard = None
    if cells is not None:
        from warmup_bench.plan.shards import parse_shard, take_shard

        shard = parse_shard(cells)
    console = Console(highlight=False)
    with console.status("Reading data and planning …"), staying():
        from warmup_bench.execution.runner import prepare, settle
        from warmup_bench.plan.jobs import outstanding
        from warmup_bench.plan.preflight import require

        plan, of_shard = prepare(spec), list[str]()
        if shard is not None:
            plan, of_shard = take_shard(plan, shard)
        work = outstanding(plan)
    _announce(console, plan, of_shard)
    if not plan.cells:
        return 0
    if dry_run:
        print_plan(console, plan, work)
        return 0
    failures: dict[str, Failure] = {**work.damaged}
    if work.pending:
        with staying():  # it counts parameters, for which the model's code is imported
            require(plan, work)
        print_counts(console, work)
        if (stopped := carry_out(console, plan, work, failures)) is not None:
            return stopped
    else:
        settle(plan, work)
        which = f"{len(work.done)} of {len(plan.cells)}" if work.damaged else f"All {len(work.done)}"
        console.print(f"{which} cells are stored already; nothing is trained.", highlight=True)
    finished = [cell.id for cell in plan.cells if cell.id not in failures]
    unscored = _score(console, plan, finished)
    if finished:
        from warmup_bench.report.render import print_tables
        from warmup_bench.report.stored import tables_of_run

        print_tables(tables_of_run(plan, failures), console)
    failed = [cell for cell in plan.cells if cell.id in failures]
    print_failed(console, failed, failures)
    _say_what_is_next(console, plan, shard, len(failed))
    return 1 if failed or unscored else 0


def _announce(console: Console, plan: "Plan", of_shard: Sequence[str]) -> None:
    """Print the resolved spec, and what a reader must know of the plan."""
    from warmup_bench.execution.runner import spec_text

    console.print(Text(spec_text(plan), style="dim"), end="")
    # Of a model from scratch on made sentences a learned metric says nothing: at scale mini it isn't missed.
    missed = () if plan.spec.scale == "mini" else plan.left_out
    for sentence in (*missed, *filter(None, [plan.other_data]), *plan.data_notes):
        console.print(Text(sentence, style="yellow"))
    for sentence in of_shard:
        console.print(Text(sentence))


def _score(console: Console, plan: "Plan", finished: Sequence[str]) -> list[str]:
    """Score finished cells with the learned metrics; returns the names of those that failed."""
    from warmup_bench.cli.score import score_with_progress
    from warmup_bench.execution.runner import score_learned_metrics

    if not (finished and plan.learned):
        return []
    score = partial(score_learned_metrics, plan, finished, None)
    return score_with_progress(console, plan.out, len(plan.learned), score)


def _say_what_is_next(console: Console, plan: "Plan", shard: "Shard | None", failed: int) -> None:
    out = escape(str(plan.out))
    if failed:
        console.print(
            f"{failed} of {len(plan.cells)} cells failed; {out}/cells/*/{FAILED} say more. "
            "The same command tries them again."
        )
    models = {"all": ", models", "trained": ", trained models", "none": ""}[plan.spec.store.models]
    console.print(
        f"\nStored in [bold]{out}[/] (predictions with their warmups, statistics, ledger{models}).",
        highlight=True,
    )
    following = f"[bold]warmup-bench report {out} --format md[/]"
    console.print(
        f"Next: {following}, or add seeds: the stored cells are kept."
        if shard is None
        else f"This was shard {shard} alone. Once the others are stored in the same folder, or copied into "
        f"it, the table of all: {following}"
    )


def carry_out(console: Console, plan: "Plan", work: "Work", failures: "dict[str, Failure]") -> int | None:
    """Do the work under a progress display, filling ``failures``; the exit code where the user stopped it."""
    from warmup_bench.execution.runner import execute
    from warmup_bench.plan.jobs import outstanding

    try:
        with ProgressDisplay(console, len(work.steps), work.notes) as display:
            failures.update(execute(plan, work, display))
    except KeyboardInterrupt as stopped:
        print_stopped(console, len(outstanding(plan).done), len(plan.cells))
        return 128 + int(stopped.args[0] if stopped.args else signal.SIGINT)
    return None


def print_failed(console: Console, failed: "Sequence[Cell]", failures: "Mapping[str, Failure]") -> None:
    """A line for each cell that has failed."""
    for cell in failed:
        failure = failures[cell.id]
        console.print(
            Text(f"failed: {cell.id}{cell.note}: {failure.stage}: {failure.message.strip()}", style="red")
        )


def print_stopped(console: Console, done: int, cells: int) -> None:
    """Say what is kept and how to go on."""
    command = shlex.join(["warmup-bench", *sys.argv[1:]])
    console.print(
        f"\nStopped. {done} of {cells} cells are stored; what was running is checkpointed. Go on with:"
    )
    console.print(Text(command, style="bold"), soft_wrap=True)


def print_counts(console: Console, work: "Work") -> None:
    """Say what is about to run."""
    devices = next((f", on {s.job.devices} devices each" for s in work.steps if s.job.devices > 1), "")
    starts, trainings = len(work.of_kind("warm start")), len(work.of_kind("training"))
    console.print(
        f"{len(work.pending)} cells to run, {len(work.done)} stored already; "
        f"{starts} warm starts and {trainings} trainings to make, up to {work.workers} at a time{devices}."
    )
    if work.again:
        console.print(f"{work.again} of them are made again: their models were not kept.")


def print_plan(console: Console, plan: "Plan", work: "Work") -> None:
    """Print the cells of a plan and what they will cost."""
    from warmup_bench.plan.estimate import estimate
    from warmup_bench.report.numbers import flops

    print_counts(console, work)
    states = {cell.id: "stored" for cell in work.done} | dict.fromkeys(work.damaged, "damaged")
    # As one text: to lay out each line takes longer than to make its id.
    lines = (f"  {states.get(cell.id, 'to run')}  {cell.id}{cell.note}" for cell in plan.cells)
    console.out("\n".join(lines), highlight=False)
    for failure in work.damaged.values():
        console.print(Text(failure.message, style="red"))
    if not work.pending:
        return
    # How much room a cluster has is not known before it is asked.
    alone = plan.spec.executor != "local" and plan.spec.workers is None
    cost = estimate(
        plan,
        warm_starts=work.of_kind("warm start"),
        trainings=work.of_kind("training"),
        cells=work.of_kind("cell"),
        workers=1 if alone else work.workers * plan.devices,
        at_once=work.workers,
    )
    where = "on one worker" if alone else "a worker"
    console.print(
        f"Estimate: {flops(cost.flops)} FLOPs, about {cost.seconds / 60:.1f} minutes at "
        f"{cost.rate / 1e9:,.0f} GFLOP/s {where}, {cost.disk / 1e6:.0f} MB on disk in {plan.out}."
    )
    for source in cost.sources:
        console.print(Text(f"  {source}"))
