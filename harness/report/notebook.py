"""Tables in a notebook: scores and gains as plain HTML, without a style sheet of their own."""

from collections.abc import Sequence
from html import escape

from warmup_bench.report.lines import TextCell, TextLine, score_lines
from warmup_bench.report.table import Table
from warmup_bench.report.wording import heading


def fragment(tables: Sequence[Table]) -> str:
    """Each table with its findings; names and texts are escaped."""
    return "".join(_table(table) for table in tables)


def _table(table: Table) -> str:
    head = "".join(f"<th>{escape(column.name)}</th>" for column in table.columns)
    body = "".join(_row(line) for line in score_lines(table))
    findings = "".join(f"<p><b>{escape(finding)}</b></p>" for finding in table.findings)
    caption = f"<caption>{escape(heading(table))}</caption>"
    return f"<table>{caption}<thead><tr><th></th>{head}</tr></thead><tbody>{body}</tbody></table>{findings}"


def _row(line: TextLine) -> str:
    label = f"<th>{escape(line.label)}</th>"
    return f"<tr>{label}{''.join(f'<td>{_cell(cell)}</td>' for cell in line.cells)}</tr>"


def _cell(cell: TextCell) -> str:
    text = escape(cell.text)
    return f"<b>{text}</b>" if cell.bold else f"<i>{text}</i>" if cell.missing and text else text
