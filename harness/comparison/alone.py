"""One system by itself: its scores with intervals, without anything to compare."""

from dataclasses import dataclass

import numpy as np

from warmup_bench.comparison.interval import score_error
from warmup_bench.comparison.pairwise import told
from warmup_bench.comparison.scoring import finite_scores
from warmup_bench.comparison.systems import System
from warmup_bench.comparison.units import unit_numbers, unit_sums
from warmup_bench.contracts.settings import Stats


@dataclass(frozen=True)
class SystemScore:
    """One metric of one system.

    Attributes:
        scores: Of the test set, by run.
        low, high: Interval of their mean; None where no spread can be seen.
        units: What varies: examples, or documents.
        digits: Decimals that a table shows.
    """

    key: str
    metric: str
    signature: str
    higher_is_better: bool
    system: str
    scores: tuple[float, ...]
    low: float | None
    high: float | None
    confidence: float
    runs: int
    examples: int
    units: int
    digits: int = 2


@dataclass(frozen=True)
class SystemScored:
    """All that is told of one system: a line a metric, and footnotes."""

    scores: tuple[SystemScore, ...]
    notes: tuple[str, ...]
    task: str = ""


def score_system(system: System, stats: Stats, task: str = "") -> SystemScored:
    """The scores of a system with intervals.

    Args:
        system: With one run or more.
        stats: The confidence.
        task: Its name, where logs tell it.
    """
    units = unit_numbers(system.ids, system.groups)
    lines = []
    for key, metric in system.metrics.items():
        statistics = system.statistics[key]
        summed = unit_sums(statistics, units)
        scores = np.atleast_1d(finite_scores(metric.aggregate, statistics.sum(axis=1)))
        mean, error = float(scores.mean()), score_error(summed, metric.aggregate)
        half = None if error is None else error.half_width(stats.confidence)
        line = SystemScore(
            key=key,
            metric=metric.name,
            signature=system.signature(key),
            higher_is_better=metric.higher_is_better,
            system=system.name,
            scores=tuple(scores.tolist()),
            low=None if half is None else mean - half,
            high=None if half is None else mean + half,
            confidence=stats.confidence,
            runs=len(system.runs),
            examples=len(system.ids),
            units=summed.shape[1],
            digits=getattr(metric, "digits", 2),
        )
        lines.append(line)
    return SystemScored(tuple(lines), tuple(told([system])), task)
