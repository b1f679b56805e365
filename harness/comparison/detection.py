"""Chance that the tests of a report find an effect, or show that there is none of some size.

Everything is said of the mean difference ``d`` over k seeds: a test finds an effect where ``abs(d)`` is over
a threshold. For these models it is a number of standard errors. For other seeds the rule of
:mod:`warmup_bench.comparison.finding` has three thresholds, two of which depend on how the k seeds scatter
around their mean. That scatter is drawn, a fixed sample of it; ``d`` itself is independent of it, normal, and
integrated exactly. So a chance is a mean over drawn scatters, the same at every call, and grows with the
effect.
"""

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from warmup_bench.comparison.interval import TWO_SEEDS_FREEDOM
from warmup_bench.comparison.seeds import least_seeds
from warmup_bench.contracts.metric import FloatArray

DRAWS = 4096
"""Scatters of seeds that are drawn: a chance is right to about 0.005."""

MOST_FLIPPED = 10
"""Seeds up to which the sign-flip test is enumerated; with more, a t test stands for it."""


@dataclass(frozen=True, slots=True)
class Detection:
    """When is ``abs(d)`` large enough, for ``d`` normal around the effect.

    Attributes:
        thresholds: What it must be over, one a drawn scatter; infinite where nothing is enough.
        deviation: Standard deviation of ``d``.
    """

    thresholds: FloatArray
    deviation: float

    def chances(self, effect: float) -> FloatArray:
        """Chance that a true difference of this size is over each threshold, in either direction."""
        return _above(effect, self) + _above(-effect, self)

    def chance(self, effect: float) -> float:
        """Chance to find it."""
        return float(self.chances(effect).mean())

    def smallest(self, wanted: float) -> float | None:
        """The effect that is found with the chance ``wanted``; None where none is."""
        if not np.isfinite(self.thresholds).all():
            return None
        high = float(self.thresholds.max()) + 10.0 * self.deviation
        low = 0.0
        for _ in range(60):
            middle = (low + high) / 2
            low, high = (low, middle) if self.chance(middle) >= wanted else (middle, high)
        return high


def _above(effect: float, detection: Detection) -> FloatArray:
    """Chance of a ``d`` over each threshold."""
    from scipy import special

    if detection.deviation == 0:
        return (effect > detection.thresholds).astype(np.float64)
    found: FloatArray = special.ndtr((effect - detection.thresholds) / detection.deviation)
    return found


@dataclass(frozen=True, slots=True)
class Spread:
    """Of the mean difference over k seeds and n examples.

    Attributes:
        seeds, examples: k and n.
        of_seed: Variance of one seed's difference around what its seeds share: var(u) + var(e)/n.
        residual: Its second part alone, var(e)/n.
        shared: Variance of what they share: var(v)/n.
    """

    seeds: int
    examples: int
    of_seed: float
    residual: float
    shared: float

    @property
    def deviation(self) -> float:
        """Standard deviation of the mean difference."""
        return math.sqrt(self.of_seed / self.seeds + self.shared)


def normal_threshold(error: float, level: float, least: float = 0.0) -> Detection:
    """A two-sided normal test; ``least``: what a test of counts asks beyond that, since it moves in steps."""
    from scipy import special

    return Detection(np.array([-float(special.ndtri(level / 2)) * error + least]), error)


def joint_half_widths(spread: Spread, level: float) -> FloatArray:
    """Half the interval over seeds and examples at 1 - level, one a drawn scatter: as
    :func:`warmup_bench.comparison.interval.crossed_error` has it.
    """
    from scipy import special

    k, n = spread.seeds, spread.examples
    if k == 1:
        error = math.sqrt(spread.shared + spread.residual)
        return np.array([-float(special.stdtrit(n - 1, level / 2)) * error])
    over_seeds: FloatArray = spread.of_seed * _deviations(k) ** 2 / k
    if k == 2:
        over_seeds = np.maximum(over_seeds, spread.residual / k)
    variance = over_seeds + spread.shared
    terms = over_seeds**2 / (k - 1) + spread.shared**2 / (n - 1)
    freedom = np.divide(variance**2, terms, out=np.full_like(variance, 1e9), where=terms > 0)
    if k == 2:
        freedom = np.minimum(freedom, TWO_SEEDS_FREEDOM)
    half: FloatArray = -special.stdtrit(freedom, level / 2) * np.sqrt(variance)
    return half


def flip_thresholds(spread: Spread, level: float) -> FloatArray:
    """What ``abs(d)`` must be over for the sign-flip test over seeds, one a drawn scatter."""
    if spread.seeds < least_seeds(level):
        return np.full(DRAWS, np.inf)
    flips: FloatArray = math.sqrt(spread.of_seed) * _flips(spread.seeds, level)
    return flips


@lru_cache(maxsize=64)
def _deviations(seeds: int) -> FloatArray:
    """Standard deviations of drawn scatters of normal values of variance 1: the quantiles of their
    distribution, in a drawn order.
    """
    from scipy import special

    ranks = (np.random.default_rng([seeds, *b"deviations"]).permutation(DRAWS) + 0.5) / DRAWS
    deviations: FloatArray = np.sqrt(2.0 * special.gammaincinv((seeds - 1) / 2, ranks) / (seeds - 1))
    return deviations


@lru_cache(maxsize=64)
def _flips(seeds: int, level: float) -> FloatArray:
    """:func:`flip_thresholds` for seeds of variance 1, with no fewer of them than the level takes.

    Flipping the seeds of a set F reaches the observed sum where the mean over F of the differences is at most
    0, thus ``d`` at most minus the mean of F's scatter. Of a set and its complement one can do so, and each
    such pair adds 2 / 2^k to p. So the threshold is the m-th largest of those means, with m the most pairs,
    the real labels among them, that the level allows.
    """
    from scipy import special

    deviations = _deviations(seeds)
    pairs = 2.0 ** min(seeds - 1, 1000)
    allowed = math.floor(level * pairs)
    if seeds > MOST_FLIPPED:
        by_t: FloatArray = -special.stdtrit(seeds - 1, allowed / pairs / 2) * deviations / math.sqrt(seeds)
        return by_t
    scatter = np.random.default_rng([seeds, *b"scatter"]).normal(size=(DRAWS, seeds))
    scatter -= scatter.mean(axis=1, keepdims=True)
    scatter *= (deviations / scatter.std(axis=1, ddof=1))[:, None]
    sets = np.arange(1, 2**seeds - 1)
    members = (sets[:, None] >> np.arange(seeds) & 1).astype(np.float64)
    means = -scatter @ (members / members.sum(axis=1, keepdims=True)).T  # [draws, sets]
    if allowed > means.shape[1] // 2:
        return np.zeros(DRAWS)
    thresholds: FloatArray = np.partition(means, means.shape[1] - allowed, axis=1)[:, -allowed].copy()
    return thresholds
