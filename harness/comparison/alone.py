"""One system by itself: its scores with intervals, without anything to compare."""

from dataclasses import dataclass

import numpy as np

from warmup_bench.comparison.bootstrap import percentile_interval
from warmup_bench.comparison.draws import parts, product_dtype, resample_counts, seed_counts
from warmup_bench.comparison.pairwise import told
from warmup_bench.comparison.scoring import Aggregate, finite_scores
from warmup_bench.comparison.systems import System
from warmup_bench.comparison.units import unit_numbers, unit_sums
from warmup_bench.contracts.metric import FloatArray
from warmup_bench.contracts.settings import Stats


@dataclass(frozen=True)
class SystemScore:
    """One metric of one system.

    Attributes:
        scores: Of the test set, by run.
        low, high: Interval of their mean.
        units: What was resampled: examples, or documents.
        digits: Decimals that a table shows.
    """

    key: str
    metric: str
    signature: str
    higher_is_better: bool
    system: str
    scores: tuple[float, ...]
    low: float
    high: float
    confidence: float
    resamples: int
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
    """The scores of a system with bootstrap intervals.

    Args:
        system: With one run or more.
        stats: Resamples, seed and confidence.
        task: Its name, where logs tell it.
    """
    units = unit_numbers(system.ids, system.groups)
    lines = []
    for key, metric in system.metrics.items():
        statistics = system.statistics[key]
        summed = unit_sums(statistics, units)
        drawn = bootstrap_scores(summed, metric.aggregate, stats.resamples, stats.seed)
        low, high = percentile_interval(drawn, stats.confidence)
        scores = finite_scores(metric.aggregate, statistics.sum(axis=1))
        line = SystemScore(
            key=key,
            metric=metric.name,
            signature=system.signature(key),
            higher_is_better=metric.higher_is_better,
            system=system.name,
            scores=tuple(np.atleast_1d(scores).tolist()),
            low=low,
            high=high,
            confidence=stats.confidence,
            resamples=stats.resamples,
            runs=len(system.runs),
            examples=len(system.ids),
            units=summed.shape[1],
            digits=getattr(metric, "digits", 2),
        )
        lines.append(line)
    return SystemScored(tuple(lines), tuple(told([system])), task)


def bootstrap_scores(statistics: FloatArray, aggregate: Aggregate, resamples: int, seed: int) -> FloatArray:
    """The mean score over runs in each resample, [resamples], of statistics [runs, units, k].

    The same draws as those of a difference: runs, then units, the same units in all runs.
    """
    runs, units, k = statistics.shape
    dtype = product_dtype(statistics)
    values = statistics.transpose(2, 0, 1).astype(dtype).reshape(-1, units)
    by_run = []
    for block in resample_counts((units,), resamples, seed, dtype):
        for counts in parts(block, runs * k):
            sums = (values @ counts.T).astype(np.float64, copy=False).reshape(k, runs, len(counts))
            by_run.append(finite_scores(aggregate, np.moveaxis(sums, 0, -1)))
    weights = seed_counts(runs, resamples, seed) / runs
    means: FloatArray = (weights * np.concatenate(by_run, axis=1).T).sum(axis=1)
    return means
