"""Tables as GitHub Markdown."""

from collections.abc import Sequence

from warmup_bench.report.failed import Failed
from warmup_bench.report.failed import heading as heading_of_failed
from warmup_bench.report.lines import (
    COST_HEADERS,
    TextCell,
    cost_lines,
    published_headers,
    published_lines,
    score_lines,
)
from warmup_bench.report.table import Table
from warmup_bench.report.wording import heading

MARKS = {**{mark: f"\\{mark}" for mark in "\\`*_|[]"}, "<": "&lt;", ">": "&gt;", "&": "&amp;"}


def markdown(tables: Sequence[Table], failed: Sequence[Failed] = ()) -> str:
    """Each table with its costs, findings and footnotes; then the cells that failed."""
    blocks = [_block(table) for table in tables]
    if failed:
        lines = [f"**{heading_of_failed(failed)}**", "", *(f"- {escaped(f.sentence)}" for f in failed)]
        blocks.append("\n".join(lines))
    return "\n\n".join(blocks) + "\n"


def _block(table: Table) -> str:
    notes = table.notes
    signatures = [f"Signature of {names}: `{value}`" for names, value in notes.signatures]
    data = [f"Test set of {names}: {value}" for names, value in notes.data]
    lines = [
        f"**{heading(table)}**",
        "",
        *_scores(table),
        "",
        *_published(table),
        *_costs(table),
        "",
        *(f"- **{escaped(finding)}**" for finding in table.findings),
        "",
        escaped(table.scope),
        "",
        *(f"- {escaped(note)}" for note in notes.sentences),
        *(f"- {note}" for note in (*signatures, *data)),
    ]
    return "\n".join(lines)


def _scores(table: Table) -> list[str]:
    rows = [_pipe(["", *(escaped(column.name) for column in table.columns)])]
    rows.append(_pipe([":--", *("--:" for _ in table.columns)]))
    gains: list[str] = []
    for line in score_lines(table):
        if line.kind == "group":
            rows.append(_pipe([f"**{escaped(line.label)}**", *("" for _ in line.cells)]))
        elif line.kind == "gain":
            gains = [_shown(cell) for cell in line.cells]
        elif line.kind == "interval":
            both = [
                f"{gain}<br>{cell.text}" if cell.text else gain
                for gain, cell in zip(gains, line.cells, strict=True)
            ]
            rows.append(_pipe([f"— gain, p, {line.label}", *both]))
        else:
            rows.append(_pipe([escaped(line.label), *map(_shown, line.cells)]))
    return rows


def _published(table: Table) -> list[str]:
    """The paper's gains, where there are any, and an empty line."""
    lines = list(published_lines(table))
    if not lines:
        return []
    rows = [_pipe(["the paper's claim", *map(escaped, published_headers(table))])]
    rows.append(_pipe([":--", ":--", *("--:" for _ in lines[0].cells[2:]), ":--"]))
    rows += [_pipe([escaped(line.label), *map(_shown, line.cells)]) for line in lines]
    return [*rows, ""]


def _costs(table: Table) -> list[str]:
    rows = [_pipe(["cost", *(" ".join(header) for header in COST_HEADERS)])]
    rows.append(_pipe([":--", *("--:" for _ in COST_HEADERS)]))
    for line in cost_lines(table):
        label = f"**{escaped(line.label)}**" if line.kind == "group" else escaped(line.label)
        rows.append(_pipe([label, *map(_shown, line.cells)]))
    return rows


def _shown(cell: TextCell) -> str:
    text = escaped(cell.text)
    return f"**{text}**" if cell.bold else f"*{text}*" if cell.missing and text else text


def escaped(text: str) -> str:
    """Names and outputs come from outside: nothing in them may become markup."""
    marked = "".join(MARKS.get(character, character) for character in text)
    return " ".join(marked.split())


def pipes(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """A table of texts, the first column to the left."""
    ruler = [":--", *("--:" for _ in headers[1:])]
    return [_pipe([cell.replace("|", "\\|") for cell in row]) for row in (headers, ruler, *rows)]


def _pipe(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"
