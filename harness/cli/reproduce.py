"""``warmup-bench reproduce``: a table of the paper, run and reported, or its plan."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from warmup_bench.cli.run import run_command
from warmup_bench.comparison.paper import (
    SCALES,
    PaperTable,
    paper_table_names,
    read_lengths,
    read_paper_table,
)
from warmup_bench.contracts.errors import UserError
from warmup_bench.spec.request import collect_spec

if TYPE_CHECKING:
    from warmup_bench.plan.costs import Device


def reproduce_command(
    table: str | None,
    scale: str,
    options: Mapping[str, Any],
    assignments: Sequence[str],
    *,
    dry_run: bool,
    tflops: float | None,
    utilisation: float | None,
) -> int:
    """Run a table of the paper at a scale and report it; returns the exit code of ``run``.

    Args:
        table: Its name; None: the tables are listed.
        scale: ``mini``, ``small`` or ``paper``.
        options: As those of ``run``; they win over the table's spec.
        assignments: ``--set``.
        dry_run: Print the plan and stop: at scale ``mini`` that of ``run``, else one from declared shapes,
            sizes and lengths, for which nothing has to be fetched.
        tflops: Declared peak of the device, in 10¹² operations a second; None: an A100's.
        utilisation: Declared share of it that training reaches; None: the one that ``run`` assumes.

    Raises:
        UserError: A request that can't be met.
    """
    if table is None:
        print_studies(Console())
        return 0
    study = read_paper_table(table, scale)
    declared = dry_run and scale != "mini"
    if (tflops is not None or utilisation is not None) and not declared:
        raise UserError(
            "only the plan of a larger scale reads a declared device",
            origin="--device-tflops or --utilisation",
            hint="Add --dry-run --scale paper, or leave it out.",
        )
    if not declared:
        return run_command(options, study.path, assignments, dry_run=dry_run)
    from warmup_bench.plan.costs import A100_TFLOPS, UTILISATION, Device

    share = UTILISATION if utilisation is None else utilisation
    _print_forecast(study, options, assignments, Device(A100_TFLOPS if tflops is None else tflops, share))
    return 0


def print_studies(console: Console) -> None:
    """The tables, their claims, and what each scale runs."""
    grid = Table("table", "scale", "task", "backbone", "cells", "spec", header_style="bold", box=None)
    for name in paper_table_names():
        for scale in SCALES:
            study = read_paper_table(name, scale)
            spec = study.spec
            cells = len(spec.subsets) * len(spec.backbones) * len(spec.methods) * len(spec.seeds)
            path = f"results/published/specs/{study.path.name}"
            row = (scale, spec.task, ", ".join(spec.backbones), str(cells), path)
            grid.add_row(*map(Text, (name if scale == SCALES[0] else "", *row)))
    console.print(grid)
    console.print(
        "Run one: warmup-bench reproduce translation --scale mini\n"
        "Its plan: warmup-bench reproduce translation --scale paper --dry-run\n"
        "The paper's gains stand beside results of scale paper alone.",
        highlight=False,
    )


def _print_forecast(
    study: PaperTable, options: Mapping[str, Any], assignments: Sequence[str], device: "Device"
) -> None:
    from warmup_bench.models.load import quiet_transformers
    from warmup_bench.plan.costs import WRITING
    from warmup_bench.plan.forecast import forecast
    from warmup_bench.report.numbers import count, flops

    console = Console(highlight=False)
    spec = collect_spec(options, study.path, assignments)
    lengths = read_lengths(study.name)
    quiet_transformers()
    plan = forecast(spec, lengths, device)
    console.print(Text(study.path.read_text(encoding="utf-8"), style="dim"), end="", soft_wrap=True)
    named = ", ".join(f"{name} ({count(size)} parameters)" for name, size in plan.parameters.items())
    console.print(
        f"\n{study.name} at scale {spec.scale}: {plan.cells} cells, "
        f"{', '.join(spec.subsets)} x {len(spec.seeds)} seeds, {named}; "
        f"{plan.examples[0]:,} training and {plan.examples[1]:,} test examples."
    )
    grid = Table(header_style="bold", box=None)
    grid.add_column("")
    for heading in ("number", "FLOPs", "GPU hours"):
        grid.add_column(heading, justify="right")
    rows = [(one.name, str(one.count), one.spent) for one in plan.expenses]
    for name, number, spent in (*rows, ("all", "", plan.total)):
        style = "bold" if name == "all" else ""
        cells = (name, number, flops(spent.total), hours(device.hours(spent)))
        grid.add_row(*(Text(cell, style=style) for cell in cells))
    console.print(grid)
    for sentence in (
        f"GPU hours: one device of {device.tflops:g} TFLOP/s, of which training reaches "
        f"{device.utilisation:.0%} and sampling and decoding, token by token, "
        f"{device.utilisation * WRITING:.1%}: declared (--device-tflops, --utilisation), not measured. "
        "Evaluations on the way and learned metrics are not counted.",
        f"Counted from declared shapes and sizes. Assumed: {lengths.source} source and {lengths.target} "
        f"target tokens an example ({lengths.why}). Every warmup counts at its longest.",
        f"Disk: {plan.disk / 1e9:.1f} GB of models and predictions.",
        "With data and checkpoints at hand, this counts on them: "
        f"warmup-bench run --spec {study.path} --dry-run",
    ):
        console.print(Text(sentence))


def hours(value: float) -> str:
    """Hours with three digits or more."""
    return f"{value:,.1f}" if value >= 10 else f"{value:.2f}"
