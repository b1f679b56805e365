"""Tables for the terminal (Rich)."""

from collections.abc import Iterable, Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.padding import Padding
from rich.table import Table as Grid
from rich.text import Text

from warmup_bench.contracts.redact import visible
from warmup_bench.report.failed import Failed
from warmup_bench.report.failed import heading as heading_of_failed
from warmup_bench.report.lines import (
    COST_HEADERS,
    TextCell,
    TextLine,
    cost_lines,
    published_headers,
    published_lines,
    score_lines,
)
from warmup_bench.report.table import Table
from warmup_bench.report.wording import heading

LEAST_NAME, MOST_NAME = 14, 24
"""Characters of the first column: from the first number on names wrap, so that a table stays in one piece."""
LABEL_STYLES = {"group": "bold", "gain": "dim", "interval": "dim", "seeds": "dim"}
EDGES = 2
"""Characters that the grid takes left and right of its columns."""


def print_tables(tables: Sequence[Table], console: Console, failed: Sequence[Failed] = ()) -> None:
    """Print tables to a terminal: scores and gains, costs, findings, footnotes; the cells that failed."""
    for table in tables:
        console.print()
        console.print(Text(visible(heading(table)), style="bold"))
        print_grid(console, [column.name for column in table.columns], list(score_lines(table)))
        if table.published:
            console.print(Text("The paper's gain and the one measured here", style="bold"))
            print_grid(console, published_headers(table), list(published_lines(table)))
        console.print(Text("What it cost", style="bold"))
        print_grid(console, ["\n".join(header) for header in COST_HEADERS], list(cost_lines(table)))
        for finding in table.findings:
            _print_padded(console, finding, "bold", left=0)
        console.print(Text(visible(table.scope)))
        notes = table.notes
        signatures = [f"Signature of {names}: {value}" for names, value in notes.signatures]
        data = [f"Test set of {names}: {value}" for names, value in notes.data]
        print_notes(console, (*notes.sentences, *signatures, *data))
    if failed:
        console.print()
        console.print(Text(heading_of_failed(failed), style="bold red"))
        for cell in failed:
            _print_padded(console, cell.sentence, "red")


def print_notes(console: Console, notes: Iterable[str]) -> None:
    """Print footnotes."""
    for note in notes:
        _print_padded(console, note, "dim")


def _print_padded(console: Console, text: str, style: str, left: int = 2) -> None:
    console.print(Padding(Text(visible(text), style=style), (0, 0, 0, left)))


def print_grid(console: Console, headers: Sequence[str], lines: Sequence[TextLine], corner: str = "") -> None:
    """Print lines under their headers: one grid, or its parts below one another where the terminal is too
    narrow, each with the labels.

    Args:
        console: Where to.
        headers: Of the cells; a line break in one is kept.
        lines: What is shown.
        corner: Header of the labels.
    """
    widths = [
        max(*map(len, header.split("\n")), *(len(line.cells[i].text) for line in lines))
        for i, header in enumerate(headers)
    ]
    longest = min(MOST_NAME, max(len(corner), *(len(_label(line)) for line in lines)))
    room = console.width - EDGES - sum(widths)  # for the names and the gaps, if all stands in one grid
    tight = longest > room - 2 * len(widths) and min(longest, LEAST_NAME) <= room - len(widths)
    gap = 1 if tight else 2
    name = min(longest, room - gap * len(widths)) if tight else longest
    start = 0
    while start < len(headers):
        end, used = start, name + EDGES
        while end < len(headers) and (end == start or used + widths[end] + gap <= console.width):
            used += widths[end] + gap
            end += 1
        grid = Grid(box=SIMPLE_HEAD, header_style="bold", padding=(0, 0, 0, gap - 1), pad_edge=False)
        grid.add_column(Text(corner), min_width=name, max_width=name, overflow="fold")
        for header in headers[start:end]:
            grid.add_column(Text(visible(header)), justify="right", no_wrap=True)
        for line in lines:
            label = Text(visible(_label(line)), style=LABEL_STYLES.get(line.kind, ""))
            grid.add_row(label, *map(_text, line.cells[start:end]))
        console.print(grid)
        start = end


def _label(line: TextLine) -> str:
    return f"  {line.label}" if line.kind in ("gain", "interval", "seeds") else line.label


def _text(cell: TextCell) -> Text:

    return Text(visible(cell.text), style="bold" if cell.bold else "dim" if cell.missing else "")
