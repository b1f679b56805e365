"""A table as lines of text cells, the same for every renderer that prints one: it decides what is shown,
the renderer how it looks.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from warmup_bench.report.numbers import at_most, count, flops, format_p, interval, memory, seconds, times
from warmup_bench.report.table import MARKS, Gain, MeanScore, Missing, Row, Table, gain_of

Kind = Literal["group", "score", "gain", "interval", "seeds", "cost", "published"]

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
    """Scores, gains, intervals and p for other seeds, row by row; with several groups, a heading each."""
    for group in table.groups:
        if len(table.groups) > 1:
            yield TextLine("group", group.name, tuple(TextCell("") for _ in table.columns))
        for row in group.rows:
            cells = [row.cells[column.key] for column in table.columns]
            yield TextLine("score", row.method, tuple(map(_score, cells)))
            if any(map(gain_of, cells)):
                yield TextLine("gain", "gain, p", tuple(map(_gain, cells)))
                yield TextLine("interval", f"{table.confidence:.0%} CI", tuple(map(_interval, cells)))
                if any(gain.comparison.seeds > 1 for gain in map(gain_of, cells) if gain):
                    yield TextLine("seeds", "p, other seeds", tuple(map(_other_seeds, cells)))


def cost_lines(table: Table) -> Iterator[TextLine]:
    """What each row has cost, under :data:`COST_HEADERS`."""
    for group in table.groups:
        if len(table.groups) > 1:
            yield TextLine("group", group.name, tuple(TextCell("") for _ in COST_HEADERS))
        for row in group.rows:
            cells = tuple(TextCell(value, missing=row.cost is None) for value in cost_values(row))
            yield TextLine("cost", row.method, cells)


def published_headers(table: Table) -> tuple[str, ...]:
    """:data:`PUBLISHED_HEADERS` for a table."""
    return tuple(header.format(table.confidence) for header in PUBLISHED_HEADERS)


def published_lines(table: Table) -> Iterator[TextLine]:
    """A claim a line, under :func:`published_headers`; none where no published gain is set beside these."""
    for published in table.published:
        claim, c, judgement = published.claim, published.measured, published.judgement
        if isinstance(c, Missing) or judgement is None:
            measured = ("not measured", "", "", "not measured")
        else:
            ends = interval(c.low, c.high)
            measured = (f"{c.difference:+.2f}", ends, f"{judgement.power:.0%}", judgement.verdict)
        texts = (claim.metric, f"{claim.gain:+.2f}", *measured)
        cells = tuple(TextCell(text, missing=text == "not measured") for text in texts)
        yield TextLine("published", f"{claim.name}, {published.group} {published.method}", cells)


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


def _score(cell: MeanScore | Missing) -> TextCell:
    if isinstance(cell, Missing):
        return TextCell("missing", missing=True)
    spread = "" if cell.spread is None else f" ± {cell.spread:.2f}"
    return TextCell(f"{cell.mean:.2f}{spread}")


def _gain(cell: MeanScore | Missing) -> TextCell:
    if isinstance(cell, Missing):
        return TextCell("")
    if (gain := gain_of(cell)) is None:
        return TextCell("not compared", missing=True)
    text = f"{gain.comparison.difference:+.2f}{MARKS[gain.finding.reach]} {told_p(gain)}"
    return TextCell(text, bold=gain.finding.reach == "other seeds")


def told_p(gain: Gain) -> str:
    """Holm's p for these models."""
    told = at_most(gain.corrected_p, gain.comparison.p_at_floor)
    return f"p{told}" if told.startswith("≤") else f"p={told}"


def _other_seeds(cell: MeanScore | Missing) -> TextCell:
    if (gain := gain_of(cell)) is None:
        return TextCell("")
    return TextCell(
        "–" if gain.finding.other_seeds_p is None else f"p={format_p(gain.finding.other_seeds_p)}"
    )


def _interval(cell: MeanScore | Missing) -> TextCell:
    gain = gain_of(cell)
    return TextCell("" if gain is None else interval(gain.comparison.low, gain.comparison.high))
