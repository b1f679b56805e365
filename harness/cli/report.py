"""``warmup-bench report``: tables and pictures from stored results alone."""

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from warmup_bench.api import load
from warmup_bench.report.failed import failed_cells
from warmup_bench.report.render import FORMATS, check_format, print_tables, rendered


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
    check_format(format_, FORMATS)
    results = load(folder)
    tables = results.tables(baseline=baseline, table=table, metrics=metrics)
    failed = failed_cells(folder)
    if format_ == "text":
        print_tables(tables, Console(), failed)
    else:
        print(rendered(tables, results.cells, failed, format_), end="")  # noqa: T201 - on standard output
    if plots is not None:
        from warmup_bench.report.plots import figures, write_figures

        written = write_figures(figures(tables, results.cells), plots)
        Console(stderr=True).print(f"{len(written)} files in {plots}", highlight=False, markup=False)
