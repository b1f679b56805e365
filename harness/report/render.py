"""Renderers of tables by the name of their format. They format, they compute nothing."""

from collections.abc import Callable, Sequence

from harness.report.data import csv_text, json_text
from harness.report.failed import Failed
from harness.report.latex import latex
from harness.report.markdown import markdown
from harness.report.table import Table
from harness.report.terminal import print_tables

__all__ = ["RENDERERS", "print_tables"]

RENDERERS: dict[str, Callable[[Sequence[Table], Sequence[Failed]], str]] = {
    "md": markdown,
    "latex": latex,
    "csv": csv_text,
    "json": json_text,
}
"""Formats of ``warmup-bench report --format`` that are one text, of tables and of the cells that failed."""
