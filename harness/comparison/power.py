"""Power of a planned comparison: what effect can a test set of n examples and k seeds show?

Model of a paired difference on example i under seed s, in score points: ``effect + u_s + v_i + e_si`` with
independent parts of variance ``seeds``, ``examples`` and ``residual``. The mean over k seeds and n examples
then has the variance ``seeds / k + (examples + residual / k) / n``. For a metric that is not a mean over
examples (BLEU, macro-F1) jackknife pseudo-values take the place of the examples' differences (Efron 1982):
their variance over n is the variance of the corpus difference.

Two questions. *These models*: would other test examples show the effect? The trained models are fixed,
``seeds`` counts nothing, and the test is the paired one over examples. *Other seeds*: would training again
show it, on other examples? Then all three parts count, and the rule of
:mod:`warmup_bench.comparison.finding` asks three tests, of which the sign flips over seeds find nothing where
k is too small for their level. Chances are those of :mod:`warmup_bench.comparison.detection`.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from warmup_bench.comparison.detection import (
    Detection,
    Spread,
    flip_thresholds,
    joint_half_widths,
    normal_threshold,
)
from warmup_bench.comparison.interval import left_out
from warmup_bench.comparison.scoring import Aggregate, finite_scores
from warmup_bench.contracts.metric import FloatArray

STEPS = {"accuracy": 100.0}
"""By metric: what one example more that is right adds to the sum of the scores."""

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
    values: FloatArray = examples * observed[:, None] - (examples - 1) * left_out(a, b, aggregate)
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


@dataclass(frozen=True, slots=True)
class PowerModel:
    """A planned comparison.

    Attributes:
        variances: Of one paired difference.
        effect: The difference that is to be found.
        level: Of the two-sided tests of a family.
        wanted: Chance to find it that counts as enough.
        comparisons: Size of the family; the first step of Holm's correction divides the level by it.
        step: Of :data:`STEPS`: an exact test of counts moves in such steps and stays under its level; 0 for
            metrics without any.
    """

    variances: Variances
    effect: float
    level: float = 0.05
    wanted: float = 0.8
    comparisons: int = 1
    step: float = 0.0

    @property
    def corrected_level(self) -> float:
        """Of the tests that Holm's correction is about: all but the sign flips over seeds."""
        return self.level / self.comparisons

    def detection(self, examples: int, seeds: int, *, other_seeds: bool) -> Detection | None:
        """What a design can find; None for other seeds where the variance between seeds is not known."""
        error = standard_error(self.variances, examples, seeds, other_seeds=False)
        counted = examples * (seeds if self.variances.residual else 1)
        these = normal_threshold(error, self.corrected_level, self.step / counted)
        if not other_seeds:
            return these
        if self.variances.seeds is None:
            return None
        spread = self._spread(examples, seeds)
        joint, flips = joint_half_widths(spread, self.corrected_level), flip_thresholds(spread, self.level)
        return Detection(np.maximum(np.maximum(these.thresholds, joint), flips), spread.deviation)

    def power(self, examples: int, seeds: int, *, other_seeds: bool) -> float | None:
        """Chance to find the effect; None as :meth:`detection`."""
        found = self.detection(examples, seeds, other_seeds=other_seeds)
        return None if found is None else found.chance(self.effect)

    def smallest_effect(self, examples: int, seeds: int, *, other_seeds: bool) -> float | None:
        """The smallest effect that this design finds with the chance ``wanted``.

        None as :meth:`detection`, and for other seeds where there are too few for the tests to find anything.
        """
        found = self.detection(examples, seeds, other_seeds=other_seeds)
        return None if found is None else found.smallest(self.wanted)

    def equivalence(self, examples: int, seeds: int, margin: float) -> float | None:
        """Chance to show that the difference is within ``margin`` either way, where there is none at all.

        Two one-sided tests: the interval over seeds and examples at 1 - 2 level lies within the margin. With
        one seed it is about these models; with more None where the variance between seeds is not known.
        """
        if seeds > 1 and self.variances.seeds is None:
            return None
        spread = self._spread(examples, seeds)
        room = margin - joint_half_widths(spread, 2 * self.corrected_level)
        outside = Detection(np.maximum(room, 0.0), spread.deviation).chances(0.0)
        return float(np.where(room > 0, 1.0 - outside, 0.0).mean())

    def _spread(self, examples: int, seeds: int) -> Spread:
        v = self.variances
        residual, of_seeds = v.residual / examples, v.seeds or 0.0
        return Spread(
            seeds, examples, (of_seeds if seeds > 1 else 0.0) + residual, residual, v.examples / examples
        )

    def examples_needed(self, seeds: int, *, other_seeds: bool) -> int | None:
        """The fewest examples with the wanted power; None where no number is enough."""
        return _first(lambda n: self.power(n, seeds, other_seeds=other_seeds), 2, MOST_EXAMPLES, self.wanted)

    def seeds_needed(self, examples: int, *, other_seeds: bool) -> int | None:
        """The fewest seeds with the wanted power; None where no number up to 200 is enough."""
        return _first(lambda k: self.power(examples, k, other_seeds=other_seeds), 1, MOST_SEEDS, self.wanted)

    def largest_deviation(self, examples: int) -> float:
        """The standard deviation of one example's difference at which one run still has the wanted power."""
        smallest = normal_threshold(1.0, self.corrected_level).smallest(self.wanted)
        room = abs(self.effect) - self.step / examples
        return 0.0 if smallest is None else max(0.0, room) / smallest * math.sqrt(examples)


def _first(figure: Callable[[int], float | None], low: int, high: int, wanted: float) -> int | None:
    """The smallest number in ``low..high`` whose figure, which grows, reaches ``wanted``."""
    if (figure(high) or 0.0) < wanted:
        return None
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if (figure(middle) or 0.0) >= wanted else (middle + 1, high)
    return low
