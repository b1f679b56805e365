"""A table as lines of text cells, the same for every renderer that prints one: it decides what is shown,
the renderer how it looks.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from warmup_bench.report.numbers import count, flops, format_p, memory, seconds, times
from warmup_bench.report.table import Gain, Group, MeanScore, Missing, Row, Table

Kind = Literal["group", "score", "gain", "interval", "cost", "published"]

COST_HEADERS = (
    ("trainable", "params"),
    ("training", "FLOPs"),
    ("times", "baseline"),
    ("training", "time"),
    ("warmup", "tokens"),
    ("decode", "time"),
    ("peak", "memory"),
)
"""Two lines each."""
PUBLISHED_HEADERS = ("metric", "published", "measured", "{:.0%} CI", "power", "verdict")
"""Of published gains beside measured ones; the interval's takes the table's confidence."""


@dataclass(frozen=True, slots=True)
class TextCell:
    """What one cell shows: its text, whether it is bold, whether it stands for something missing."""

    text: str
    bold: bool = False
    missing: bool = False


@dataclass(frozen=True, slots=True)
class TextLine:
    """One line: its kind, its label in the first column, its cells from the second on."""

    kind: Kind
    label: str
    cells: tuple[TextCell, ...]


def score_lines(table: Table) -> Iterator[TextLine]:
    """Scores, gains and intervals, row by row; a heading for each group where there are several."""
    for group in table.groups:
        if len(table.groups) > 1:
            yield TextLine("group", group.name, tuple(TextCell("") for _ in table.columns))
        for row in group.rows:
            cells = [row.cells[column.key] for column in table.columns]
            yield TextLine("score", row.method, tuple(map(_score, cells)))
            if any(isinstance(cell, MeanScore) and isinstance(cell.gain, Gain) for cell in cells):
                yield TextLine("gain", "gain, p", tuple(map(_gain, cells)))
                yield TextLine("interval", f"{table.confidence:.0%} CI", tuple(map(_interval, cells)))


def cost_lines(table: Table) -> Iterator[TextLine]:
    """What each row has cost, under :data:`COST_HEADERS`."""
    for group in table.groups:
        if len(table.groups) > 1:
            yield TextLine("group", group.name, tuple(TextCell("") for _ in COST_HEADERS))
        yield from _costs(group)


def published_headers(table: Table) -> tuple[str, ...]:
    """:data:`PUBLISHED_HEADERS` for a table."""
    return tuple(header.format(table.confidence) for header in PUBLISHED_HEADERS)


def published_lines(table: Table) -> Iterator[TextLine]:
    """A claim a line, under :func:`published_headers`; none where no published gain is set beside these."""
    for held in table.published:
        label = f"{held.claim.name}, {held.group} {held.method}"
        if isinstance(held.measured, Missing) or held.judgement is None:
            shown = ("not measured", "", "", "not measured")
        else:
            c = held.measured
            interval = f"[{c.low:+.2f}, {c.high:+.2f}]"
            power = f"{held.judgement.power:.0%}"
            shown = (f"{c.difference:+.2f}", interval, power, held.judgement.verdict)
        texts = (held.claim.metric, f"{held.claim.gain:+.2f}", *shown)
        yield TextLine(
            "published", label, tuple(TextCell(text, missing=text == "not measured") for text in texts)
        )


def cost_values(row: Row) -> tuple[str, ...]:
    """The ledger of a row in the order of :data:`COST_HEADERS`; ``missing`` where nothing is finished."""
    cost = row.cost
    if cost is None:
        return tuple("missing" for _ in COST_HEADERS)
    return (
        count(cost.trainable),
        flops(cost.train_flops),
        times(cost.times_baseline),
        seconds(cost.train_seconds),
        count(cost.warmup_tokens),
        seconds(cost.decode_seconds),
        memory(cost.peak_memory),
    )


def _costs(group: Group) -> Iterator[TextLine]:
    for row in group.rows:
        missing = row.cost is None
        cells = tuple(TextCell(value, missing=missing) for value in cost_values(row))
        yield TextLine("cost", row.method, cells)


def _score(cell: MeanScore | Missing) -> TextCell:
    if isinstance(cell, Missing):
        return TextCell("missing", missing=True)
    spread = "" if cell.spread is None else f" ± {cell.spread:.2f}"
    return TextCell(f"{cell.mean:.2f}{spread}")


def _gain(cell: MeanScore | Missing) -> TextCell:
    if isinstance(cell, Missing):
        return TextCell("")
    if not isinstance(cell.gain, Gain):
        return TextCell("not compared", missing=True)
    difference = cell.gain.comparison.difference
    return TextCell(f"{difference:+.2f} p={format_p(cell.gain.corrected_p)}", bold=cell.gain.significant)


def _interval(cell: MeanScore | Missing) -> TextCell:
    if isinstance(cell, Missing) or not isinstance(cell.gain, Gain):
        return TextCell("")
    comparison = cell.gain.comparison
    return TextCell(f"[{comparison.low:+.2f}, {comparison.high:+.2f}]")
