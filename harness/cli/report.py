"""``warmup-bench report``: tables and pictures from stored results alone."""

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.text import Text

from warmup_bench.api import load
from warmup_bench.contracts.redact import visible
from warmup_bench.report.render import FORMATS, check_format, print_tables, rendered


def report_command(
    folder: Path,
    format_: str,
    baseline: str | None,
    table: str = "auto",
    metrics: Sequence[str] = (),
    plots: Path | None = None,
) -> int:
    """Print every table of a results folder, and write its pictures where a folder for them is named.

    Returns the exit code: 1 where a cell is damaged, which is named and left out.

    Raises:
        UserError: Unknown format, table, metric or baseline, nothing stored, or an unwritable folder.
        CorruptError: Every stored cell is damaged.
    """
    check_format(format_, FORMATS)
    results = load(folder)
    tables = results.tables(baseline=baseline, table=table, metrics=metrics)
    failed = results.failed()
    if format_ == "text":
        print_tables(tables, Console(), failed)
    else:
        print(rendered(tables, results.cells, failed, format_), end="")  # noqa: T201 - on standard output
    if plots is not None:
        from warmup_bench.report.plots import figures, write_figures

        written = write_figures(figures(tables, results.cells), plots)
        Console(stderr=True).print(f"{len(written)} files in {plots}", highlight=False, markup=False)
    for name, error in results.damaged.items():
        Console(stderr=True, soft_wrap=True).print(
            Text(f"left out: {visible(name)}: {error}", style="yellow")
        )
    return 1 if results.damaged else 0
