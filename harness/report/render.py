"""Renderers of tables by the name of their format. They format, they compute nothing."""

import io
from collections.abc import Callable, Sequence

from rich.console import Console

from warmup_bench.contracts.errors import UserError
from warmup_bench.report.data import csv_text, json_text
from warmup_bench.report.failed import Failed
from warmup_bench.report.latex import latex
from warmup_bench.report.markdown import markdown
from warmup_bench.report.table import Table
from warmup_bench.report.terminal import print_tables
from warmup_bench.store.results import Result

__all__ = ["FORMATS", "RENDERERS", "check_format", "print_tables", "rendered"]

RENDERERS: dict[str, Callable[[Sequence[Table], Sequence[Failed]], str]] = {
    "md": markdown,
    "latex": latex,
    "csv": csv_text,
    "json": json_text,
}
"""Formats of ``warmup-bench report --format`` that are one text, of tables and of the cells that failed."""
FORMATS = ("text", *RENDERERS, "html")


def check_format(format_: str, formats: Sequence[str]) -> None:
    """See that a format is one of those that there are.

    Raises:
        UserError: It is not.
    """
    if format_ not in formats:
        raise UserError(
            f"unknown format '{format_}'", origin="--format", hint=f"Formats: {', '.join(formats)}."
        )


def rendered(
    tables: Sequence[Table], results: Sequence[Result], failed: Sequence[Failed], format_: str
) -> str:
    """Tables in one of :data:`FORMATS`; the page has pictures and examples of the results too.

    Raises:
        UserError: An unknown format.
    """
    check_format(format_, FORMATS)
    if format_ in RENDERERS:
        return RENDERERS[format_](tables, failed)
    if format_ == "html":
        from warmup_bench.report.html import render_html

        return render_html(tables, results, failed)
    written = io.StringIO()
    print_tables(tables, Console(file=written, width=120), failed)
    return written.getvalue()
