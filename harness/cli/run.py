"""``warmup-bench run``: spec, plan, work, table."""

import shlex
import signal
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markup import escape
from rich.text import Text

from harness.cli.progress import ProgressDisplay
from harness.errors import UserError
from harness.settings import Stats
from harness.spec import RunSpec, make_spec, merge, overruled, parse_assignment, read_spec
from harness.storage.failures import FAILED
from harness.storage.results_folder import refuse_published

if TYPE_CHECKING:
    from harness.cell import Cell
    from harness.planning.jobs import Work
    from harness.planning.plan import Plan
    from harness.planning.shards import Shard
    from harness.storage.failures import Failure


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
        from harness.planning.shards import parse_shard

        shard = parse_shard(cells)
    console = Console()
    told: list[str] = []
    with console.status("Reading data and planning …"):
        from harness.backbones.load import quiet_transformers
        from harness.planning.jobs import outstanding
        from harness.planning.plan import make_plan
        from harness.planning.preflight import require
        from harness.runner import spec_text

        quiet_transformers()
        plan = make_plan(spec)
        refuse_published(plan.out, "nothing can be run there")
        if shard is not None:
            plan, told = _take_shard(plan, shard)
        work = outstanding(plan)
    console.print(Text(spec_text(plan), style="dim"), end="")
    # Of a model from scratch on made sentences a learned metric says nothing: at scale mini it isn't missed.
    missed = () if plan.spec.scale == "mini" else plan.left_out
    for sentence in (*missed, *filter(None, [plan.other_data])):
        console.print(Text(sentence, style="yellow"))
    for sentence in told:
        console.print(Text(sentence))
    if not plan.cells:
        return 0
    if dry_run:
        print_plan(console, plan, work)
        return 0
    failures: dict[str, Failure] = {}
    if work.pending:
        require(plan, work)
        print_counts(console, work)
        if (stopped := carry_out(console, plan, work, failures)) is not None:
            return stopped
    else:
        console.print(f"All {len(work.done)} cells are stored already; nothing is trained.")
    finished = [cell.id for cell in plan.cells if cell.id not in failures]
    failed = [cell for cell in plan.cells if cell.id in failures]
    unscored: list[str] = []
    if finished and plan.learned:
        from harness.cli.score import score_with_progress

        folders = [plan.out / "cells" / name for name in finished]
        device = plan.spec.device if plan.spec.executor == "local" else "auto"  # this machine's own
        unscored = score_with_progress(console, plan.out, folders, plan.learned, plan.spec.score, device)
    if finished:
        from harness.report.build import build_tables
        from harness.report.planned import planned_of
        from harness.report.render import print_tables
        from harness.storage.results import read_results

        missing = [
            planned_of(cell, f"failed: {failures[cell.id].message.strip().splitlines()[-1]}")
            for cell in failed
        ]
        order = {cell.id: place for place, cell in enumerate(plan.cells)}
        results = sorted(read_results(plan.out, finished), key=lambda result: order[result.cell.id])
        print_tables(build_tables(results, plan.spec.stats, planned=missing), console)
    print_failed(console, failed, failures)
    shown = escape(str(plan.out))
    if failed:
        console.print(
            f"{len(failed)} of {len(plan.cells)} cells failed; {shown}/cells/*/{FAILED} say more. "
            "The same command tries them again.",
            highlight=False,
        )
    console.print(
        f"\nStored in [bold]{shown}[/] (predictions with their warmups, statistics, ledger, models)."
    )
    following = f"[bold]warmup-bench report {shown} --format md[/]"
    console.print(
        f"Next: {following}, or add seeds: the stored cells are kept."
        if shard is None
        else f"This was shard {shard} alone. Once the others are stored in the same folder, or copied into "
        f"it, the table of all: {following}",
        highlight=False,
    )
    return 1 if failed or unscored else 0


def _take_shard(plan: "Plan", shard: "Shard") -> "tuple[Plan, list[str]]":
    """The plan with the cells of one shard, and what to say of it."""
    from harness.planning.shards import slice_of

    part, every = slice_of(plan, shard), len(plan.cells)
    taken = replace(plan, cells=part.cells)
    if not part.cells:
        filled = "1 shard" if part.filled == 1 else f"{part.filled} shards"
        return taken, [
            f"Shard {shard} is empty: the {every} cells of this plan fill {filled}. Nothing to do.",
        ]
    told = [
        f"Shard {shard}: {len(part.cells)} of {every} cells, {part.share:.0%} of the estimated work "
        f"(the longest of {part.filled} shards: {part.longest:.0%})."
    ]
    if part.shared:
        named = ", ".join(f"{subset} {backbone} seed {seed}" for subset, backbone, seed in part.shared[:3])
        more = f" and {len(part.shared) - 3} more" if len(part.shared) > 3 else ""
        told.append(
            f"Other shards need the warm start of {named}{more} too: in a shared results folder it is made "
            "once, in folders of their own once in each."
        )
    return taken, told


def carry_out(console: Console, plan: "Plan", work: "Work", failures: "dict[str, Failure]") -> int | None:
    """Do the work under a progress display, filling ``failures``; the exit code where the user stopped it."""
    from harness.planning.jobs import outstanding
    from harness.runner import execute

    try:
        with ProgressDisplay(console, len(work.steps)) as display:
            failures.update(execute(plan, work, display))
    except KeyboardInterrupt as stopped:
        print_stopped(console, len(outstanding(plan).done), len(plan.cells))
        return 128 + int(stopped.args[0] if stopped.args else signal.SIGINT)
    return None


def print_failed(console: Console, failed: "Sequence[Cell]", failures: "Mapping[str, Failure]") -> None:
    """A line for each cell that has failed."""
    for cell in failed:
        failure = failures[cell.id]
        console.print(Text(f"failed: {cell.id}: {failure.stage}: {failure.message.strip()}", style="red"))


def print_stopped(console: Console, done: int, cells: int) -> None:
    """Say what is kept and how to go on."""
    command = shlex.join(["warmup-bench", *sys.argv[1:]])
    console.print(
        f"\nStopped. {done} of {cells} cells are stored; what was running is checkpointed. Go on with:",
        highlight=False,
    )
    console.print(Text(command, style="bold"), soft_wrap=True)


def collect_spec(options: Mapping[str, Any], spec_file: Path | None, assignments: Sequence[str]) -> RunSpec:
    """Merge spec file, ``--set`` and options (the later wins) into a validated spec.

    Raises:
        UserError: An unknown key, a bad value, or no task.
    """
    asked = {} if spec_file is None else read_spec(spec_file)
    parsed = [parse_assignment(text) for text in assignments]
    assigned = merge(*parsed)
    given = {key: _option(key, value) for key, value in options.items() if value not in (None, [])}
    layers = [overruled(asked, merge(assigned, given)), *(overruled(layer, given) for layer in parsed)]
    content = merge(_without_rows(merge(*layers), given.get("methods")), given)
    sources = {str(spec_file): asked, "--set": assigned, "the command line": given}
    origins = [name for name, layer in sources.items() if layer]
    if "task" not in content:
        raise UserError("no task was named", origin="--task", hint="Try 'warmup-bench list tasks'.")
    return make_spec(content, " and ".join(origins))


def _without_rows(content: dict[str, Any], chosen: Sequence[str] | None) -> dict[str, Any]:
    """A spec without the rows of methods that it names and that the command line does not choose."""
    if chosen is None:
        return content
    named = content.get("methods", RunSpec.model_fields["methods"].default)
    named = [named] if isinstance(named, str) else named
    if not isinstance(named, Mapping | list):
        return content
    left = {str(name) for name in named} - set(chosen)
    stats, match, ways = (content.get(key) for key in ("stats", "match", "decodings"))
    base = stats.get("baseline") if isinstance(stats, Mapping) else None
    kept = dict(content)
    if isinstance(match, list):
        lacks_base = str(base or Stats().baseline) in left
        kept["match"] = [] if lacks_base else [name for name in match if str(name) not in left]
    if isinstance(ways, Mapping):
        kept["decodings"] = {name: sections for name, sections in ways.items() if str(name) not in left}
    return kept


def _option(key: str, value: Any) -> Any:
    """The spec's form of an option."""
    if key in ("subsets", "methods", "match", "backbones"):
        return [name for item in value for name in item.split(",") if name]
    if key == "seeds":
        try:
            numbers = [int(part) for part in value.split(",") if part.strip() or "," not in value]
        except ValueError as error:
            raise UserError(f"'{value}' are no seeds", origin="--seeds", hint="Give 3, or 0,1,7.") from error
        return numbers if "," in value else numbers[0]
    if key in ("budget", "limit"):
        if key == "limit" and value.isdecimal() and len(value) < 20:
            return {"test": int(value)}
        return merge(*(parse_assignment(part) for part in value.split(",")))
    return value


def print_counts(console: Console, work: "Work") -> None:
    """Say what is about to run."""
    devices = next((f", on {s.job.devices} devices each" for s in work.steps if s.job.devices > 1), "")
    starts, trainings = len(work.of_kind("warm start")), len(work.of_kind("training"))
    console.print(
        f"{len(work.pending)} cells to run, {len(work.done)} stored already; "
        f"{starts} warm starts and {trainings} trainings to make, up to {work.workers} at a time{devices}.",
        highlight=False,
    )


def print_plan(console: Console, plan: "Plan", work: "Work") -> None:
    """Print the cells of a plan and what they will cost."""
    from harness.planning.estimate import estimate
    from harness.report.numbers import flops

    print_counts(console, work)
    stored = {cell.id for cell in work.done}
    for cell in plan.cells:
        state = "stored" if cell.id in stored else "to run"
        console.print(f"  {state}  {cell.id}", highlight=False)
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
    )
    where = "on one worker" if alone else "a worker"
    console.print(
        f"Estimate: {flops(cost.flops)} FLOPs, about {cost.seconds / 60:.1f} minutes at "
        f"{cost.rate / 1e9:.0f} GFLOP/s {where}, {cost.disk / 1e6:.0f} MB on disk in {plan.out}.",
        highlight=False,
    )
