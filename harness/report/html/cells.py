"""What a page shows in the cells of a table: numbers as text, their sort keys, intervals as geometry."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from warmup_bench.comparison import Comparison
from warmup_bench.report.lines import told_p
from warmup_bench.report.numbers import count, flops, format_p, interval, memory, seconds, times
from warmup_bench.report.table import MARKS, Column, Cost, Gain, Missing, Row, Table, gain_of

Tone = Literal["better", "worse", "open"]
"""How a difference reads: ``open`` is not shown for these models, or exactly 0."""

STRIP_WIDTH = 120.0
"""Width of an interval in a cell, in CSS pixels."""
MARGIN = 6.0
"""Free on both sides of it."""


@dataclass(frozen=True, slots=True)
class Strip:
    """An interval on the scale that all gains of a metric in a table share: positions in CSS pixels."""

    zero: float
    low: float
    high: float
    point: float


@dataclass(frozen=True, slots=True)
class GainCell:
    """A difference as text, and as a :class:`Strip`; ``holds``: for other seeds too."""

    difference: str
    interval: str
    p: str
    other_seeds: str
    tone: Tone
    holds: bool
    strip: Strip


@dataclass(frozen=True, slots=True)
class ScoreCell:
    """A cell of a table of scores.

    Attributes:
        value: What it is sorted by; None where it is missing.
        score: The mean; or ``missing``.
        spread: Standard deviation over seeds; empty with one seed.
        note: Said in place of a gain: that this is the baseline, or why there is none.
        gain: None where nothing is compared.
    """

    value: float | None
    score: str
    spread: str
    note: str
    gain: GainCell | None


@dataclass(frozen=True, slots=True)
class CostCell:
    """A column of a table of costs: heading, how a cost is read and how it is written."""

    heading: str
    value: Callable[[Cost], float | None]
    text: Callable[[float], str]


EXPENSES = (
    CostCell("steps", lambda cost: cost.steps, lambda steps: f"{steps:,.0f}"),
    CostCell("training FLOPs", lambda cost: cost.train_flops, flops),
    CostCell("× baseline", lambda cost: cost.times_baseline, times),
    CostCell("training time", lambda cost: cost.train_seconds, seconds),
    CostCell("warmup tokens", lambda cost: cost.warmup_tokens, count),
    CostCell("decoding FLOPs", lambda cost: cost.decode_flops, flops),
    CostCell("decoding time", lambda cost: cost.decode_seconds, seconds),
    CostCell("peak memory", lambda cost: cost.peak_memory, memory),
    CostCell("trainable parameters", lambda cost: cost.trainable, count),
)
"""The ledger, as a page shows it."""


def score_cell(table: Table, row: Row, column: Column) -> ScoreCell:
    """Where a row and a column meet."""
    cell = row.cells[column.key]
    if isinstance(cell, Missing):
        return ScoreCell(None, "missing", "", cell.reason, None)
    spread = "" if cell.spread is None else f"± {cell.spread:.2f}"
    gain, note = None, "baseline"
    if isinstance(cell.gain, Gain):
        gain, note = _gain(cell.gain, _gains(table, column.metric)), ""
    elif isinstance(cell.gain, Missing):
        note = cell.gain.reason
    return ScoreCell(cell.mean, f"{cell.mean:.2f}", spread, note, gain)


def cost_cells(row: Row) -> list[tuple[float | None, str]]:
    """Sort key and text under each of :data:`EXPENSES`; ``missing`` where nothing is finished."""
    cells: list[tuple[float | None, str]] = []
    for expense in EXPENSES:
        value = None if row.cost is None else expense.value(row.cost)
        absent = "missing" if row.cost is None else "–"
        cells.append((value, absent if value is None else expense.text(value)))
    return cells


def tone(gain: Gain) -> Tone:
    """How a gain reads."""
    if gain.finding.reach == "nobody" or gain.better is None:
        return "open"
    return "better" if gain.better else "worse"


def signed(value: float) -> str:
    """Two decimals with a sign, a true minus for print."""
    return f"{value:+.2f}".replace("-", "−")


def _gains(table: Table, metric: str) -> list[Gain]:
    """Every gain of one metric in a table."""
    keys = [column.key for column in table.columns if column.metric == metric]
    gains = [gain_of(row.cells[key]) for group in table.groups for row in group.rows for key in keys]
    return [gain for gain in gains if gain is not None]


def _for_others(gain: Gain) -> str:
    if gain.comparison.seeds == 1:
        return "one seed"
    p = gain.finding.other_seeds_p
    return "no test for other seeds" if p is None else f"p={format_p(p)} for other seeds"


def _ends(comparison: Comparison) -> tuple[float, float]:
    """Of the interval; the difference itself where there is none."""
    low, high = comparison.low, comparison.high
    return (comparison.difference,) * 2 if low is None or high is None else (low, high)


def _gain(gain: Gain, others: Sequence[Gain]) -> GainCell:
    """A gain on the scale of ``others``, which has it too."""
    c = gain.comparison
    low, high = _ends(c)
    least = min(0.0, *(_ends(g.comparison)[0] for g in others))
    most = max(0.0, *(_ends(g.comparison)[1] for g in others))
    scale = (STRIP_WIDTH - 2 * MARGIN) / ((most - least) or 1.0)

    def place(value: float) -> float:
        return round(MARGIN + (value - least) * scale, 1)

    return GainCell(
        difference=signed(c.difference) + MARKS[gain.finding.reach],
        interval=interval(c.low, c.high).replace("-", "−"),
        p=f"{told_p(gain)} for these models",
        other_seeds=_for_others(gain),
        tone=tone(gain),
        holds=gain.finding.reach == "other seeds",
        strip=Strip(place(0.0), place(low), place(high), place(c.difference)),
    )
