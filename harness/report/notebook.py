"""Tables in a notebook: scores and gains as plain HTML, which needs no style sheet."""

from collections.abc import Sequence
from html import escape

from warmup_bench.report.lines import TextCell, TextLine, score_lines
from warmup_bench.report.table import Table
from warmup_bench.report.wording import heading

LEFT, RIGHT = "text-align:left", "text-align:right"


def fragment(tables: Sequence[Table]) -> str:
    """Each table with its findings; names and texts are escaped."""
    return "".join(_table(table) for table in tables)


def _table(table: Table) -> str:
    head = "".join(f'<th style="{RIGHT}">{escape(column.name)}</th>' for column in table.columns)
    body = "".join(_row(line) for line in score_lines(table))
    said = "".join(f"<li>{escape(finding)}</li>" for finding in table.findings)
    caption = f'<caption style="{LEFT};white-space:nowrap"><b>{escape(heading(table))}</b></caption>'
    grid = f"<table>{caption}<thead><tr><th></th>{head}</tr></thead><tbody>{body}</tbody></table>"
    return grid + (f"<ul>{said}</ul>" if said else "")


def _row(line: TextLine) -> str:
    below = ";font-weight:normal;padding-left:1.5em" if line.kind in ("gain", "interval") else ""
    cells = "".join(f'<td style="{RIGHT}">{_cell(cell)}</td>' for cell in line.cells)
    return f'<tr><th style="{LEFT}{below}">{escape(line.label)}</th>{cells}</tr>'


def _cell(cell: TextCell) -> str:
    text = escape(cell.text)
    return f"<b>{text}</b>" if cell.bold else f"<i>{text}</i>" if cell.missing and text else text
