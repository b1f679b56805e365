"""Renderers of a table: for the terminal (Rich) and as Markdown. They format, they compute nothing."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from harness.report.table import Column, Figure, Row, Table, format_p

if TYPE_CHECKING:
    from rich.console import Console

FIXED_WIDTH, METRIC_WIDTH = 24, 27
"""Characters that method and costs take in a terminal table, and those that one metric takes."""
SUPERSCRIPT = str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")


def print_tables(tables: Sequence[Table], console: "Console") -> None:
    """Print tables to a terminal."""
    from rich.box import SIMPLE_HEAD
    from rich.padding import Padding
    from rich.table import Table as Grid
    from rich.text import Text

    fitting = max(1, (console.width - FIXED_WIDTH) // METRIC_WIDTH)
    for table in tables:
        console.print()
        console.print(Text(_heading(table), style="bold"))
        for start in range(0, len(table.columns), fitting):
            part = table.columns[start : start + fitting]
            grid = Grid(header_style="bold", box=SIMPLE_HEAD, pad_edge=False)
            for header in _headers(table, part, line="\n"):
                name = header == "method"  # long names wrap, numbers never do
                grid.add_column(header, justify="left" if name else "right", no_wrap=not name)
            for row in table.rows:
                grid.add_row(*(Text(text) for text in _cells(table, part, row, line="\n")), end_section=True)
            console.print(grid)
        console.print(Text(table.verdict, style="bold"))
        for note in (*table.notes, *_signatures(table)):
            console.print(Padding(Text(note, style="dim"), (0, 0, 0, 2)))


def markdown(tables: Sequence[Table]) -> str:
    """Tables as GitHub Markdown."""
    blocks = []
    for table in tables:
        headers = _headers(table, table.columns, line=" ")
        lines = [
            f"**{_heading(table)}**",
            "",
            _pipe(headers),
            _pipe([":--" if h == "method" else "--:" for h in headers]),
            *(_pipe(_cells(table, table.columns, row, line="<br>")) for row in table.rows),
            "",
            table.verdict,
            "",
            *(f"- {note}" for note in (*table.notes, *(_signatures(table, quote="`")))),
        ]
        blocks.append("\n".join(lines))
    return "\n\n".join(blocks) + "\n"


RENDERERS: dict[str, Callable[[Sequence[Table]], str]] = {"md": markdown}
"""Renderers to text, by the name of ``warmup-bench report --format``."""


def flops(value: float) -> str:
    """Operations with an SI-like power of ten, e.g. 3.21·10¹²."""
    if value == 0:
        return "0"
    mantissa, exponent = f"{value:.2e}".split("e")
    return f"{mantissa}·10{str(int(exponent)).translate(SUPERSCRIPT)}"


def _heading(table: Table) -> str:
    seeds = sorted({len(row.seeds) for row in table.rows})
    counted = "/".join(map(str, seeds))
    return (
        f"{table.title} · scale {table.scale} · {table.examples} test examples · "
        f"{counted} seed{'s' if seeds != [1] else ''} · data {table.data}"
    )


def _headers(table: Table, columns: Sequence[Column], line: str) -> list[str]:
    headers = ["method"]
    for column in columns:
        headers += [column.name, f"Δ {column.name}{line}[{table.confidence:.0%} CI]{line}p"]
    return [*headers, f"training{line}FLOPs{line}seconds"]


def _cells(table: Table, columns: Sequence[Column], row: Row, line: str) -> list[str]:
    cells = [row.method]
    for column in columns:
        figure = row.figures[column.key]
        cells += [_score(figure, line), _difference(figure, line, row.method == table.baseline)]
    return [*cells, f"{flops(row.train_flops)}{line}{row.train_seconds:.1f} s"]


def _score(figure: Figure, line: str) -> str:
    spread = "" if figure.spread is None else f"{line}± {figure.spread:.2f}"
    return f"{figure.mean:.2f}{spread}"


def _difference(figure: Figure, line: str, baseline: bool) -> str:
    comparison, p = figure.comparison, figure.corrected_p
    if comparison is None or p is None:
        return "baseline" if baseline else "no matched seed"
    interval = f"[{comparison.low:+.2f}, {comparison.high:+.2f}]"
    return f"{comparison.difference:+.2f}{line}{interval}{line}p = {format_p(p)}"


def _signatures(table: Table, quote: str = "") -> list[str]:
    return [f"{column.name}: {quote}{column.signature}{quote}" for column in table.columns]


def _pipe(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
