"""Metrics that are a mean over examples: their swap test is a sign flip, and often exact.

Swapping the two outputs of a unit then only flips the sign of its difference. Where the differences are
whole numbers (accuracy, of one seed or of several, by example or by document), the null distribution is a
convolution of binomials, and p needs no draws at all. With one run of accuracy this is McNemar's exact test.
"""

from typing import NamedTuple

import numpy as np

from warmup_bench.comparison.scoring import Aggregate, finite_scores
from warmup_bench.contracts.metric import FloatArray

LARGEST_CONVOLUTION = 10**8
"""Products of one convolution that are still worth an exact p (about a second)."""


def additive_gains(a: FloatArray, b: FloatArray, aggregate: Aggregate) -> tuple[FloatArray, float] | None:
    """Split an additive metric's difference over units: ``(gains [units], scale)``, else None.

    ``scale * gains.sum()`` is the mean over seeds of ``score_b - score_a``. A metric counts as additive by
    what its statistics [seeds, units, 2] are, not by its name: a value and a count, the counts the same in
    both systems, and a score that is a straight line in the value's sum wherever swaps can take it.
    """
    if a.shape[-1] != 2 or not np.array_equal(a[..., 1], b[..., 1]):
        return None
    count = a[0, :, 1].sum()
    if (a[..., 1] != a[0, :, 1]).any():
        return None
    ends = [side(a[..., 0], b[..., 0]).sum(axis=1) for side in (np.minimum, np.maximum)]
    low, high = float(ends[0].min()), float(ends[1].max())
    if low == high:
        return np.zeros(a.shape[1]), 0.0
    sums = np.linspace(low, high, 17)
    scores = finite_scores(aggregate, np.stack([sums, np.full(17, count)], axis=-1))
    line = np.linspace(scores[0], scores[-1], 17)
    if np.abs(scores - line).max() > 1e-9 * max(np.abs(scores).max(), 1e-300):
        return None
    slope = float(scores[-1] - scores[0]) / (high - low)
    return (b[..., 0] - a[..., 0]).sum(axis=0), slope / len(a)


class Counted(NamedTuple):
    """Of a null distribution that was counted."""

    p: float
    mid_p: float


def counted_p(gains: FloatArray) -> Counted | None:
    """Exact two-sided p of the sign-flip test of whole numbers; None for others, or where it is too long.

    ``P(abs(sum of s_u gains_u) >= abs(sum of gains_u))`` over independent fair signs. For gains of -1, 0
    and 1 that is McNemar's exact (binomial) test of the discordant pairs. Never under the smallest normal
    float, 2e-308. The mid-p counts sums as large as the observed one by half: less cautious, and close to its
    level with few pairs, where the exact test stays far below.
    """
    if (gains != np.rint(gains)).any():
        return None
    sizes, counts = np.unique(np.abs(gains[gains != 0]).astype(np.int64), return_counts=True)
    spread = np.ones(1)  # probability of each value of (sum + all) / 2
    for size, count in zip(sizes.tolist(), counts.tolist(), strict=True):
        if len(spread) * (size * count + 1) > LARGEST_CONVOLUTION:
            return None
        binomial = np.zeros(size * count + 1)
        binomial[::size] = fair_binomial(count)
        spread = np.convolve(spread, binomial)
    sums = 2 * np.arange(len(spread)) - (len(spread) - 1)
    observed = abs(round(gains.sum()))
    p, tied = (float(spread[at].sum()) for at in (np.abs(sums) >= observed, np.abs(sums) == observed))
    tiny = float(np.finfo(np.float64).tiny)
    return Counted(min(1.0, max(p, tiny)), min(1.0, max(p - tied / 2, tiny)))


def fair_binomial(trials: int) -> FloatArray:
    """Probabilities of 0..``trials`` heads of a fair coin, by logarithms, so that none overflows."""
    heads = np.arange(1, trials + 1)
    logs = np.concatenate([[0.0], np.cumsum(np.log((trials - heads + 1) / heads))])
    probabilities: FloatArray = np.exp(logs - trials * np.log(2.0))
    return probabilities


def is_binary(a: FloatArray, b: FloatArray) -> bool:
    """Whether statistics [1, units, 2] are right-or-wrong answers of single examples."""
    values = np.stack([a[..., 0], b[..., 0]])
    return len(a) == 1 and bool(np.isin(values, (0.0, 1.0)).all() and (a[..., 1] == 1.0).all())
