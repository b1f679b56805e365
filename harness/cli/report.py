"""``warmup-bench report``: tables and pictures from stored results alone."""

from collections.abc import Sequence
from pathlib import Path

from harness.cli.formats import check_format
from harness.errors import UserError
from harness.report.build import build_tables
from harness.report.failed import failed_cells
from harness.report.layouts import layout, metric_keys
from harness.report.planned import in_asked_order, read_planned
from harness.report.render import RENDERERS, print_tables
from harness.report.table import Table
from harness.settings import Stats
from harness.spec import RunSpec, make_spec, read_spec
from harness.storage.results import Result, read_results
from harness.storage.results_folder import spec_paths


def report_command(
    folder: Path,
    format_: str,
    baseline: str | None,
    table: str = "auto",
    metrics: Sequence[str] = (),
    plots: Path | None = None,
) -> None:
    """Print every table of a results folder, and write its pictures where a folder for them is named.

    Raises:
        UserError: Unknown format, table, metric or baseline, nothing stored, or an unwritable folder.
        CorruptError: A stored cell is damaged.
    """
    formats = ("text", *RENDERERS, "html")
    check_format(format_, formats)
    tables, results = stored_tables(folder, baseline, table, metrics)
    failed = failed_cells(folder)
    if format_ == "text":
        from rich.console import Console

        print_tables(tables, Console(), failed)
    elif format_ == "html":
        from harness.report.html import render_html

        print(render_html(tables, results, failed), end="")  # noqa: T201
    else:
        print(RENDERERS[format_](tables, failed), end="")  # noqa: T201 - a document on standard output
    if plots is not None:
        from rich.console import Console

        from harness.report.plots import figures, write_figures

        written = write_figures(figures(tables, results), plots)
        Console(stderr=True).print(f"{len(written)} files in {plots}", highlight=False, markup=False)


def stored_tables(
    folder: Path, baseline: str | None = None, table: str = "auto", metrics: Sequence[str] = ()
) -> tuple[list[Table], list[Result]]:
    """The tables of a results folder and the results that they are made of.

    Args:
        folder: Results folder of a run.
        baseline: Method that the others are compared with; None: that of the newest spec that ran there.
        table: Layout, by name.
        metrics: Metrics to show, by key or name, in any case; commas separate too. None: all.

    Raises:
        UserError: As :func:`report_command`.
    """
    shape = layout(table)
    results = in_asked_order(folder, read_results(folder))
    stats = stored_stats(folder)
    if baseline is not None:
        known = sorted({result.cell.label for result in results})
        if baseline not in known:
            raise UserError(
                f"no stored cell of method '{baseline}'",
                origin="--baseline",
                hint=f"Stored: {', '.join(known)}.",
            )
        stats = stats.model_copy(update={"baseline": baseline})
    wanted = [name.strip() for given in metrics for name in given.split(",") if name.strip()]
    stored = dict.fromkeys((score["key"], score["name"]) for result in results for score in result.scores)
    keys = metric_keys(wanted, stored)
    planned = read_planned(folder, results, failed_cells(folder))
    return build_tables(results, stats, layout=shape, metrics=keys, planned=planned), results


def stored_stats(folder: Path) -> Stats:
    """The statistics settings of the newest spec that ran in a folder; the defaults where there is none."""
    spec = newest_spec(folder)
    return Stats() if spec is None else spec.stats


def newest_spec(folder: Path) -> RunSpec | None:
    """The newest spec that ran in a folder, None where there is none."""
    specs = spec_paths(folder)
    return make_spec(read_spec(specs[-1]), str(specs[-1])) if specs else None
