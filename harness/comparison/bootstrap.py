"""Paired and hierarchical bootstrap of a difference of corpus scores (Koehn 2004)."""

from collections.abc import Sequence

import numpy as np

from warmup_bench.comparison.draws import parts, product_dtype, resample_counts, seed_counts
from warmup_bench.comparison.scoring import Aggregate, finite_scores
from warmup_bench.contracts.metric import FloatArray


def bootstrap_differences(
    a: FloatArray,
    b: FloatArray,
    aggregate: Aggregate,
    resamples: int,
    seed: int,
    strata: Sequence[int] = (),
) -> FloatArray:
    """Return the mean over seeds of ``score_b - score_a`` in each resample, [resamples].

    ``a`` and ``b`` are statistics [seeds, units, k]. A resample draws seeds with replacement, then units
    with replacement: the same for both systems, the same units in all seeds (runs are tested on one test
    set). Where ``strata`` tells how many units each of several test sets has, one after the other, each is
    drawn by itself and keeps its size. With one seed it is the plain paired bootstrap. With few, the part of
    the spread that comes from seeds is too small by a factor of about ``(seeds - 1) / seeds`` in variance, as
    in every bootstrap.
    """
    both = np.stack([a, b])
    dtype = product_dtype(both)
    _, seeds, units, k = both.shape
    # Statistic by statistic, so that a metric reads each of its sums in one go.
    both = np.ascontiguousarray(both.transpose(3, 0, 1, 2).astype(dtype)).reshape(-1, units)
    by_seed = []
    for block in resample_counts(strata or (units,), resamples, seed, dtype):
        for counts in parts(block, 2 * seeds * k):
            sums = (both @ counts.T).astype(np.float64, copy=False).reshape(k, 2, seeds, len(counts))
            score_a, score_b = finite_scores(aggregate, np.moveaxis(sums, 0, -1))
            by_seed.append(score_b - score_a)  # [seeds, rows]
    weights = seed_counts(len(a), resamples, seed) / len(a)
    differences: FloatArray = (weights * np.concatenate(by_seed, axis=1).T).sum(axis=1)
    return differences


def percentile_interval(values: FloatArray, confidence: float) -> tuple[float, float]:
    """Return the two quantiles of ``values`` that leave half of ``1 - confidence`` outside on each side."""
    tail = (1.0 - confidence) / 2.0
    low, high = np.quantile(values, [tail, 1.0 - tail])
    return float(low), float(high)
