"""Power of a planned comparison: what effect can a test set of n examples and k seeds show?

Model of a paired difference on example i under seed s, in score points: ``effect + u_s + v_i + e_si`` with
independent parts of variance ``seeds``, ``examples`` and ``residual``. The mean over k seeds and n examples
then has the variance ``seeds / k + (examples + residual / k) / n``. For a metric that is not a mean over
examples (BLEU, macro-F1) jackknife pseudo-values take the place of the examples' differences (Efron 1982):
their variance over n is the variance of the corpus difference.

Two questions, two standard errors. *These models*: would other test examples show the effect? The trained
models are fixed, ``seeds`` counts nothing, and the paired test's power is that of a normal test. *Other
seeds*: would training again show it? All three parts count, and the test is the exact sign-flip test over the
k seeds' differences (:func:`power_over_seeds`), which finds nothing where k is too small for its level.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

from warmup_bench.comparison.scoring import Aggregate, finite_scores
from warmup_bench.comparison.seeds import least_seeds
from warmup_bench.contracts.metric import FloatArray

MOST_SEEDS = 200
"""Where the search for enough seeds ends."""

MOST_EXAMPLES = 10**8
"""Where the search for enough examples ends."""


@dataclass(frozen=True, slots=True)
class Variances:
    """Parts of the variance of one paired difference, in squared score points.

    Attributes:
        examples: Between examples, the same under every seed.
        residual: Of an example under one seed.
        seeds: Between seeds; None where it is not known (one seed), and nothing is said of other seeds.
    """

    examples: float
    residual: float = 0.0
    seeds: float | None = None

    @property
    def deviation(self) -> float:
        """Standard deviation of one example's difference in one run."""
        return math.sqrt(self.examples + self.residual)


def pseudo_values(a: FloatArray, b: FloatArray, aggregate: Aggregate) -> FloatArray:
    """Return jackknife pseudo-values of ``score_b - score_a``, [seeds, examples], of statistics [.., .., k].

    ``n d - (n - 1) d_(-i)``; for a mean over examples they are the examples' own differences. A corpus of one
    example has none: its difference itself is returned.
    """
    examples = a.shape[1]
    totals = [side.sum(axis=1) for side in (a, b)]
    observed = finite_scores(aggregate, totals[1]) - finite_scores(aggregate, totals[0])
    if examples == 1:
        return observed[:, None]
    without = [
        finite_scores(aggregate, total[:, None] - side) for total, side in zip(totals, (a, b), strict=True)
    ]
    values: FloatArray = examples * observed[:, None] - (examples - 1) * (without[1] - without[0])
    return values


def variance_components(values: FloatArray) -> Variances:
    """Estimate the parts from a pilot's differences [seeds, examples], by the two-way analysis of variance.

    Negative estimates count as 0. With one seed all variance between examples goes to ``examples`` (more
    seeds are then not expected to help, which is the cautious reading).

    Raises:
        ValueError: Fewer than two examples.
    """
    seeds, examples = values.shape
    if examples < 2:
        raise ValueError("a pilot of one example has no variance")
    by_example = values.mean(axis=0)
    if seeds == 1:
        return Variances(float(by_example.var(ddof=1)))
    by_seed = values.mean(axis=1)
    rest = values - by_seed[:, None] - by_example + values.mean()
    residual = float((rest**2).sum() / ((seeds - 1) * (examples - 1)))
    of_examples = float(by_example.var(ddof=1)) - residual / seeds
    of_seeds = float(by_seed.var(ddof=1)) - residual / examples
    return Variances(max(0.0, of_examples), residual, max(0.0, of_seeds))


def accuracy_variance(accuracy: float, disagreement: float | None = None) -> Variances:
    """Variance of a paired difference in accuracy, both systems near ``accuracy`` (0..100).

    Args:
        accuracy: Of both.
        disagreement: Share (0..100) of examples that exactly one system gets right; None: independent
            errors, ``2 p (1 - p)``, the worst case of systems that have nothing in common.

    Raises:
        ValueError: Values that no pair of systems can have.
    """
    share = accuracy / 100.0
    differing = 2 * share * (1 - share) if disagreement is None else disagreement / 100.0
    if not 0 < share < 1 or not 0 < differing <= 2 * min(share, 1 - share):
        raise ValueError(f"no two systems of {accuracy}% disagree on {100 * differing:g}% of the examples")
    return Variances(1e4 * differing)


def standard_error(variances: Variances, examples: int, seeds: int, *, other_seeds: bool) -> float:
    """Standard error of the mean difference over ``seeds`` runs and ``examples`` examples.

    Raises:
        ValueError: ``other_seeds`` without a known variance between seeds.
    """
    of_examples = (variances.examples + variances.residual / seeds) / examples
    if not other_seeds:
        return math.sqrt(of_examples)
    if variances.seeds is None:
        raise ValueError("the variance between seeds is not known")
    return math.sqrt(variances.seeds / seeds + of_examples)


def power(effect: float, error: float, level: float = 0.05, freedom: float | None = None) -> float:
    """Chance that a two-sided test at ``level`` finds an effect with this standard error.

    Args:
        effect: True difference; its sign does not matter.
        error: Standard error of the estimate; 0 finds everything but 0.
        level: Of the test.
        freedom: Degrees of freedom of a t test; None: a normal test.
    """
    from scipy import special

    if error == 0:
        return 1.0 if effect else level
    shift = abs(effect) / error
    if freedom is None:
        least = -float(special.ndtri(level / 2))
        return float(special.ndtr(shift - least) + special.ndtr(-least - shift))
    least = -float(special.stdtrit(freedom, level / 2))
    inside, below = (float(special.nctdtr(freedom, shift, at)) for at in (least, -least))
    # Both underflow to NaN far out, where they are 0.
    return min(1.0, 1.0 - (0.0 if math.isnan(inside) else inside) + (0.0 if math.isnan(below) else below))


def power_over_seeds(effect: float, error: float, seeds: int, level: float = 0.05) -> float:
    """Chance that the exact two-sided sign-flip test over k matched seeds finds an effect.

    Its p is a multiple of ``2 / 2**k``, so that it finds nothing with fewer seeds than
    :func:`warmup_bench.comparison.seeds.least_seeds`. With just as many it rejects only where all k
    differences have one sign: ``F(z)**k + F(-z)**k`` with ``z = effect / (error * sqrt(k))`` and F the normal
    distribution, the differences being normal and independent. With more seeds it is approximated by a t test
    with k - 1 degrees of freedom, at the largest of those multiples within ``level``: at 5% that is at most
    0.03 too high, at lower levels up to 0.15 with the first seeds beyond the least (simulated,
    ``tests/stats/test_power.py``).

    Args:
        effect: True difference; its sign does not matter.
        error: Standard error of the mean difference over the seeds.
        seeds: k.
        level: Of the test.
    """
    from scipy import special

    least = least_seeds(level)
    if seeds < least:
        return 0.0
    arrangements = 2.0 ** min(seeds - 1, 1000)  # up to the sign of all; more of them are no other level
    reached = math.floor(level * arrangements) / arrangements
    if seeds > least or error == 0:
        return power(effect, error, reached, seeds - 1)
    z = abs(effect) / (error * math.sqrt(seeds))
    return float(special.ndtr(z) ** seeds + special.ndtr(-z) ** seeds)


def smallest_effect(error: float, level: float = 0.05, wanted: float = 0.8) -> float:
    """The effect that is found with the chance ``wanted``; about 2.8 standard errors at 5% and 80%."""
    return error * _smallest_shift(level, wanted, None)


def smallest_effect_over_seeds(
    error: float, seeds: int, level: float = 0.05, wanted: float = 0.8
) -> float | None:
    """The effect that :func:`power_over_seeds` finds with the chance ``wanted``; None with too few seeds."""
    return None if seeds < least_seeds(level) else error * _smallest_shift(level, wanted, seeds)


@lru_cache(maxsize=256)
def _smallest_shift(level: float, wanted: float, seeds: int | None) -> float:
    """The same in standard errors; ``seeds`` None: these models."""

    def chance(shift: float) -> float:
        return power(shift, 1.0, level) if seeds is None else power_over_seeds(shift, 1.0, seeds, level)

    low, high = 0.0, 1.0
    while chance(high) < wanted:
        high *= 2
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (low, middle) if chance(middle) >= wanted else (middle, high)
    return high


@dataclass(frozen=True, slots=True)
class PowerModel:
    """A planned comparison.

    Attributes:
        variances: Of one paired difference.
        effect: The difference that is to be found.
        level: Of the two-sided test, already divided where several comparisons are corrected for.
        wanted: Chance to find it that counts as enough.
    """

    variances: Variances
    effect: float
    level: float = 0.05
    wanted: float = 0.8

    def power(self, examples: int, seeds: int, *, other_seeds: bool) -> float | None:
        """Chance to find the effect; None for other seeds where the variance between seeds is not known."""
        if other_seeds and self.variances.seeds is None:
            return None
        error = standard_error(self.variances, examples, seeds, other_seeds=other_seeds)
        if other_seeds:
            return power_over_seeds(self.effect, error, seeds, self.level)
        return power(self.effect, error, self.level)

    def smallest_effect(self, examples: int, seeds: int, *, other_seeds: bool) -> float | None:
        """The smallest effect that this design finds with the chance ``wanted``.

        None as :meth:`power`, and for other seeds where there are too few for the test to find anything.
        """
        if other_seeds and self.variances.seeds is None:
            return None
        error = standard_error(self.variances, examples, seeds, other_seeds=other_seeds)
        if other_seeds:
            return smallest_effect_over_seeds(error, seeds, self.level, self.wanted)
        return smallest_effect(error, self.level, self.wanted)

    def examples_needed(self, seeds: int, *, other_seeds: bool) -> int | None:
        """The fewest examples with the wanted power; None where no number is enough."""
        return _first(lambda n: self.power(n, seeds, other_seeds=other_seeds), 2, MOST_EXAMPLES, self.wanted)

    def seeds_needed(self, examples: int, *, other_seeds: bool) -> int | None:
        """The fewest seeds with the wanted power; None where no number up to 200 is enough."""
        return _first(lambda k: self.power(examples, k, other_seeds=other_seeds), 1, MOST_SEEDS, self.wanted)

    def largest_deviation(self, examples: int) -> float:
        """The standard deviation of one example's difference at which one run still has the wanted power."""
        return abs(self.effect) / smallest_effect(1.0, self.level, self.wanted) * math.sqrt(examples)


def _first(figure: Callable[[int], float | None], low: int, high: int, wanted: float) -> int | None:
    """The smallest number in ``low..high`` whose figure, which grows, reaches ``wanted``."""
    if (figure(high) or 0.0) < wanted:
        return None
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if (figure(middle) or 0.0) >= wanted else (middle + 1, high)
    return low
