"""The model of a table: pure data that renderers only format. :mod:`warmup_bench.report.build` makes it.

A table has groups of rows (one a backbone and its settings), rows (one a method) and columns (directions of
one metric with their average last, or metrics of one subset). Where a row and a column meet stands a
:class:`MeanScore` with its :class:`Gain` over the group's baseline, or a :class:`Missing` with the reason.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from warmup_bench.comparison import Comparison, Finding, Reach
from warmup_bench.comparison.claims import Claim
from warmup_bench.comparison.verdict import Judgement

MARKS: dict[Reach, str] = {"other seeds": "*", "these models": "°", "nobody": ""}
"""Behind a difference, in every rendering: piped output has no bold."""


@dataclass(frozen=True, slots=True)
class Missing:
    """A number that is not there, and why. It is never shown as 0."""

    reason: str


@dataclass(frozen=True, slots=True)
class Gain:
    """What a method gains over the baseline of its group, on the seeds that both have.

    Attributes:
        comparison: Difference, interval, raw p.
        finding: What it shows in its family, every comparison of the column's metric in the table.
        better: Whether it is an improvement, by the metric's direction; None where it is exactly 0.
    """

    comparison: Comparison
    finding: Finding
    better: bool | None

    @property
    def corrected_p(self) -> float:
        """Holm's p over the family, for these models."""
        return self.finding.corrected_p


@dataclass(frozen=True, slots=True)
class MeanScore:
    """The score of one method in one column.

    Attributes:
        seeds: Training seeds, ascending.
        values: Score of every seed, in their order.
        gain: Over the baseline; None in the baseline's own row, Missing where nothing can be compared.
    """

    seeds: tuple[int, ...]
    values: tuple[float, ...]
    gain: Gain | Missing | None

    @property
    def mean(self) -> float:
        """Mean over seeds."""
        return float(np.mean(self.values))

    @property
    def spread(self) -> float | None:
        """Sample standard deviation over seeds; None with one seed."""
        return float(np.std(self.values, ddof=1)) if len(self.values) > 1 else None


def gain_of(cell: MeanScore | Missing) -> Gain | None:
    """What a cell gains; None where nothing was tested."""
    return cell.gain if isinstance(cell, MeanScore) and isinstance(cell.gain, Gain) else None


@dataclass(frozen=True, slots=True)
class Column:
    """What a column holds: one metric on one subset, or its average over the subsets before it.

    Attributes:
        key: Unique in its table, e.g. ``de-en``, ``bleu``, ``average``.
        name: Heading.
        subset: Direction or subset; None for the average.
        metric: Key of the score: the metric's registry key, with its settings where there are several.
        base: Registry key of the metric alone.
        metric_name: Its name, e.g. ``BLEU``.
        signature: Everything that changes its number; empty for the average.
        higher_is_better: Its direction.
        data: Fingerprint of the data; empty for the average.
        examples: Test examples (of all its subsets for the average).
    """

    key: str
    name: str
    subset: str | None
    metric: str
    base: str
    metric_name: str
    signature: str
    higher_is_better: bool
    data: str
    examples: int


@dataclass(frozen=True, slots=True)
class Cost:
    """What a row has spent: the ledger, means over its cells (subsets and seeds).

    Attributes:
        steps: Optimiser steps.
        train_flops, train_seconds: Training after the shared warm start, sampling included.
        warmup_tokens: Warmup tokens that were sampled or given in training.
        decode_flops, decode_seconds: Decoding the test set.
        peak_memory: Largest peak of any cell, in bytes.
        trainable, parameters: Of the model.
        truncated: Most examples of any cell whose source or target was cut.
        skipped: Most steps of any cell that were dropped for a loss or gradient that was not finite.
        times_baseline: ``train_flops`` over those of the group's baseline; None without one.
    """

    steps: float
    train_flops: float
    train_seconds: float
    warmup_tokens: float
    decode_flops: float
    decode_seconds: float
    peak_memory: int
    trainable: int
    parameters: int
    truncated: int
    skipped: int
    times_baseline: float | None


@dataclass(frozen=True, slots=True)
class Row:
    """One method in one group.

    Attributes:
        method: Label: the method, and what sets it apart (matched FLOPs, decoding, settings, code).
        baseline: Whether it is the one that the group's others are compared with.
        cells: By column key; every column of the table is there.
        cost: None where nothing of the row is finished.
    """

    method: str
    baseline: bool
    cells: dict[str, MeanScore | Missing]
    cost: Cost | None


@dataclass(frozen=True, slots=True)
class Group:
    """The rows of one backbone and its settings; comparisons never leave a group.

    Attributes:
        name: Label: the backbone, and the settings that set it apart from other groups of it.
        backbone: Its name.
        rows: The baseline first, then by name.
    """

    name: str
    backbone: str
    rows: tuple[Row, ...]

    @property
    def compared(self) -> list[Row]:
        """The rows beside a baseline; empty where there is no baseline."""
        others = [row for row in self.rows if not row.baseline]
        return others if len(others) < len(self.rows) else []


@dataclass(frozen=True, slots=True)
class Published:
    """A published gain beside the one measured here, at scale ``paper`` and on the claim's own terms alone.

    Attributes:
        claim: What was published.
        group, method, column: Where the measured gain stands: the group's name, the row, the column's key.
        measured: The comparison, or why there is none.
        judgement: What follows; None where nothing was measured.
    """

    claim: Claim
    group: str
    method: str
    column: str
    measured: Comparison | Missing
    judgement: Judgement | None


@dataclass(frozen=True, slots=True)
class Footnotes:
    """What stands under a table, in the order in which it is printed.

    Attributes:
        reading: What scores, spreads, costs and bold mean.
        tests: Tests, seeds and correction, and what they cannot show.
        missing: Why something is not there, one line each.
        signatures: (column names, signature) of the metrics.
        data: (column names, fingerprint and size) of the test sets.
        published: How published gains are read, or why none stands beside these.
    """

    reading: tuple[str, ...]
    tests: tuple[str, ...]
    missing: tuple[str, ...]
    signatures: tuple[tuple[str, str], ...]
    data: tuple[tuple[str, str], ...]
    published: tuple[str, ...] = ()

    @property
    def sentences(self) -> tuple[str, ...]:
        """The notes that are prose: all but signatures and data."""
        return (*self.reading, *self.tests, *self.missing, *self.published)


@dataclass(frozen=True, slots=True)
class Table:
    """One task at one scale on one state of its data.

    Attributes:
        name: Short and unique in a report, made of ``a-z 0-9 . + -``: for anchors and file names.
        title: Task, and the metric or subset that all columns share.
        task, scale: Of every cell; a table never mixes two.
        split: What was decoded: "test" or "validation"; never mixed either.
        baseline: Method that the others are compared with.
        columns: Left to right, the average last.
        groups: Top to bottom.
        confidence: Nominal coverage of the intervals; 1 - confidence is the level of the tests.
        findings: One plain sentence for each compared row: what was found, at what cost.
        scope: One sentence: what these numbers do not show.
        notes: Footnotes.
        published: The paper's gains beside these, one a claim.
    """

    name: str
    title: str
    task: str
    scale: str
    baseline: str
    columns: tuple[Column, ...]
    groups: tuple[Group, ...]
    confidence: float
    findings: tuple[str, ...]
    scope: str
    notes: Footnotes
    published: tuple[Published, ...] = ()
    split: str = "test"

    @property
    def main_column(self) -> Column:
        """The column that findings speak of."""
        return main_column(self.columns)

    @property
    def others(self) -> list[tuple[str, Row]]:
        """The rows that are not a baseline, each with a name that no other row of the table has."""
        several = len(self.groups) > 1
        rows = [(group, row) for group in self.groups for row in group.rows if not row.baseline]
        return [(f"{group.name} {row.method}" if several else row.method, row) for group, row in rows]


def main_column(columns: Sequence[Column]) -> Column:
    """The column that findings speak of: the average where there is one, else the first."""
    return columns[-1] if columns[-1].subset is None else columns[0]
