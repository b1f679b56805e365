"""Error, interval and p of a difference that speak of other seeds *and* other examples.

Seeds and examples are two crossed random effects: the models of every seed answer the same examples. The
difference on example i under seed s is ``effect + u_s + v_i + e_si``; its mean over S seeds and N examples
has the variance ``var(u)/S + var(v)/N + var(e)/(S N)``. That is estimated from mean squares and set against a
t distribution with Satterthwaite's degrees of freedom, as in studies of several readers and cases (Obuchowski
and Rockette 1995; Hillis 2007). A metric that is not a mean over examples is taken as linear in them, by the
jackknife (Efron 1982). With one seed there is no ``u``, and all of it is about these models.

docs/statistics.md has its coverage by simulation beside that of bootstraps; ``python -m benchmarks.coverage``
makes that table.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from warmup_bench.comparison.scoring import Aggregate, finite_scores
from warmup_bench.contracts.metric import FloatArray

TWO_SEEDS_FREEDOM = 4.0
"""Most degrees of freedom with two seeds. One degree leaves their own spread far too small now and then, and
Satterthwaite's formula then takes the other parts, which have many degrees, for all there is."""

ROUNDING = 1e-10
"""A standard error under this share of the scores is the rounding of differences that are all the same."""


@dataclass(frozen=True, slots=True)
class Error:
    """How far a difference is from what other seeds and examples would show.

    Attributes:
        standard: Standard error, in the metric's units; over 0.
        freedom: Degrees of freedom of its t distribution.
    """

    standard: float
    freedom: float

    def half_width(self, confidence: float) -> float:
        """Half the width of a two-sided interval of this coverage."""
        from scipy import special

        return -self.standard * float(special.stdtrit(self.freedom, (1.0 - confidence) / 2.0))

    def tail(self, difference: float) -> float:
        """Chance of a difference as large or larger where there is none; never under 2e-308.

        It is the one-sided p of the t test whose interval this is, and half of the two-sided one.
        """
        from scipy import special

        p = float(special.stdtr(self.freedom, -difference / self.standard))
        return max(p, float(np.finfo(np.float64).tiny))


def left_out(a: FloatArray, b: FloatArray, aggregate: Aggregate) -> FloatArray:
    """``score_b - score_a`` without each unit, [seeds, units], of statistics [seeds, units, k]."""
    without = []
    for own_a, own_b in zip(a, b, strict=True):  # a seed at a time: no more memory than the statistics
        scores = [finite_scores(aggregate, side.sum(axis=0) - side) for side in (own_a, own_b)]
        without.append(scores[1] - scores[0])
    return np.stack(without)


def crossed_error(a: FloatArray, b: FloatArray, aggregate: Aggregate, strata: Sequence[int]) -> Error | None:
    """The error of the mean over seeds of ``score_b - score_a``.

    Args:
        a, b: Statistics [seeds, units, k].
        aggregate: The metric's.
        strata: How many units each of several test sets has, one after the other; only the spread within
            each counts.

    Returns:
        None where the spread can't be known: a test set of one unit, or differences that are all the same.
    """
    if min(strata) < 2:
        return None
    scores = [finite_scores(aggregate, side.sum(axis=1)) for side in (a, b)]
    largest = float(np.abs(scores).max())
    return _error(scores[1] - scores[0], left_out(a, b, aggregate), strata, largest)


def score_error(statistics: FloatArray, aggregate: Aggregate) -> Error | None:
    """The error of the mean over seeds of one system's score, of statistics [seeds, units, k].

    Returns:
        None where the spread can't be known, as :func:`crossed_error`.
    """
    units = statistics.shape[1]
    if units < 2:
        return None
    scores = finite_scores(aggregate, statistics.sum(axis=1))
    without = np.stack([finite_scores(aggregate, side.sum(axis=0) - side) for side in statistics])
    return _error(scores, without, [units], float(np.abs(scores).max()))


def _error(values: FloatArray, without: FloatArray, strata: Sequence[int], largest: float) -> Error | None:
    """The error of the mean of values over seeds.

    Args:
        values: Of each seed, [seeds].
        without: The same without each unit, [seeds, units].
        strata: As :func:`crossed_error`.
        largest: Score against which rounding is told.
    """
    seeds = len(values)
    of_units, rest, squares = 0.0, 0.0, 0.0  # var(v)/N + var(e)/(S N); var(e)/(S N); squares over freedom
    for part in np.split(without, np.cumsum(strata)[:-1], axis=1):
        units = part.shape[1]
        moves = part - part.mean(axis=1, keepdims=True)
        shared = moves.mean(axis=0)
        jackknife = (units - 1) / units
        own = jackknife * float((shared**2).sum())
        of_units += own
        squares += own**2 / (units - 1)
        if seeds > 1:
            rest += jackknife * float(((moves - shared) ** 2).sum()) / (seeds * (seeds - 1))
    between = max(of_units - rest, 0.0)  # var(v)/N
    over_seeds = float(values.var(ddof=1)) / seeds if seeds > 1 else 0.0
    if seeds == 2:
        over_seeds = max(over_seeds, rest)
    variance = over_seeds + between
    if math.sqrt(variance) <= ROUNDING * largest:
        return None
    spread = over_seeds**2 / (seeds - 1) if seeds > 1 else 0.0
    spread += (between / of_units) ** 2 * squares if of_units else 0.0
    freedom = variance**2 / spread
    return Error(math.sqrt(variance), min(freedom, TWO_SEEDS_FREEDOM) if seeds == 2 else freedom)
