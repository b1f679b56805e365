"""Tables as GitHub Markdown."""

import re
from collections.abc import Sequence

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

MARKS = {**{mark: f"\\{mark}" for mark in "\\`*_|[]"}, "<": "&lt;", ">": "&gt;", "&": "&amp;"}

INTERVAL = re.compile(r"\[[-+0-9., %∞]+\]")
"""Brackets around numbers, which link to nothing."""


def markdown(tables: Sequence[Table], failed: Sequence[Failed] = ()) -> str:
    """Each table with its costs, findings and footnotes; then the cells that failed."""
    blocks = [_block(table) for table in tables]
    if failed:
        lines = [f"**{heading_of_failed(failed)}**", "", *(f"- {escaped(f.sentence)}" for f in failed)]
        blocks.append("\n".join(lines))
    return "\n\n".join(blocks) + "\n"


def _block(table: Table) -> str:
    notes = table.notes
    signatures = [f"Signature of {escaped(names)}: {code(value)}" for names, value in notes.signatures]
    data = [escaped(f"Test set of {names}: {value}") for names, value in notes.data]
    lines = [
        f"**{escaped(heading(table))}**",
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
    rows: list[list[str]] = []
    for line in score_lines(table):
        if line.kind == "gain":
            rows.append([f"— {line.label}", *map(_shown, line.cells)])
        elif line.kind in ("interval", "seeds"):  # below the gain, in its cells
            label, *above = rows[-1]
            below = [_safe(cell.text) for cell in line.cells]
            cells = [f"{a}<br>{b}" if b else a for a, b in zip(above, below, strict=True)]
            rows[-1] = [f"{label}, {line.label}", *cells]
        else:
            rows.append(_row(line))
    return _pipes(["", *(escaped(column.name) for column in table.columns)], rows)


def _published(table: Table) -> list[str]:
    """The paper's gains, where there are any, and an empty line."""
    rows = [_row(line) for line in published_lines(table)]
    if not rows:
        return []
    headers = ["the paper's claim", *map(escaped, published_headers(table))]
    return [*_pipes(headers, rows, [":--", ":--", *("--:" for _ in headers[3:]), ":--"]), ""]


def _costs(table: Table) -> list[str]:
    rows = [_row(line) for line in cost_lines(table)]
    return _pipes(["cost", *(" ".join(header) for header in COST_HEADERS)], rows)


def _row(line: TextLine) -> list[str]:
    label = escaped(line.label)
    return [f"**{label}**" if line.kind == "group" else label, *map(_shown, line.cells)]


def _shown(cell: TextCell) -> str:
    text = escaped(cell.text)
    return f"**{text}**" if cell.bold else f"*{text}*" if cell.missing and text else text


def escaped(text: str) -> str:
    """Names and outputs come from outside: nothing in them may become markup."""
    marked = "".join(MARKS.get(character, character) for character in text)
    return " ".join(marked.split())


def code(text: str) -> str:
    """A text as code, whatever it holds: in one line, between more marks than it has together."""
    text = " ".join(text.split())
    marks = "`" * (1 + max((len(run) for run in re.findall("`+", text)), default=0))
    edge = " " if text.startswith("`") or text.endswith("`") else ""
    return f"{marks}{edge}{text}{edge}{marks}"


def _safe(text: str) -> str:
    """An interval as it stands, anything else escaped."""
    return text if INTERVAL.fullmatch(text) else escaped(text)


def pipes(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """A table of texts, the first column to the left; nothing in them becomes markup."""
    safe_headers, *safe_rows = (list(map(_safe, row)) for row in (headers, *rows))
    return _pipes(safe_headers, safe_rows)


def _pipes(
    headers: Sequence[str], rows: Sequence[Sequence[str]], ruler: Sequence[str] | None = None
) -> list[str]:
    """A table of Markdown; without a ruler, its first column is to the left and the others to the right."""
    ruler = ruler or [":--", *("--:" for _ in headers[1:])]
    return [f"| {' | '.join(cells)} |" for cells in (headers, ruler, *rows)]
