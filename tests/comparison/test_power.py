"""Power against statsmodels, against simulated tests, and against numbers worked out by hand."""

import math

import numpy as np
import pytest
from means import mean, valued
from scipy import stats
from statsmodels.stats.power import NormalIndPower, TTestPower

from warmup_bench.comparison.detection import (
    Detection,
    Spread,
    flip_thresholds,
    joint_half_widths,
    normal_threshold,
)
from warmup_bench.comparison.interval import crossed_error
from warmup_bench.comparison.power import (
    PowerModel,
    Variances,
    accuracy_variance,
    power,
    pseudo_values,
    standard_error,
    variance_components,
)
from warmup_bench.comparison.randomization import randomization_test
from warmup_bench.comparison.seeds import seed_level_p
from warmup_bench.contracts.metric import MetricContext
from warmup_bench.score.bleu import BLEU


@pytest.mark.parametrize("effect", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("level", [0.05, 0.01])
def test_normal_power_is_statsmodels(effect, level):
    # ratio 0: a one-sample test of n values with standard deviation 1
    expected = NormalIndPower().power(effect, nobs1=25, alpha=level, ratio=0)
    assert power(effect, 1 / 5, level) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("seeds", [2, 5, 12])
@pytest.mark.parametrize("effect", [0.2, 0.9, 2.5])
def test_power_of_a_t_test_is_statsmodels(seeds, effect):
    expected = TTestPower().power(effect, nobs=seeds, alpha=0.05)
    if math.isnan(expected):
        pytest.skip("scipy 1.15 has no noncentral t this far out, and statsmodels asks it")
    assert power(effect, 1 / math.sqrt(seeds), 0.05, seeds - 1) == pytest.approx(expected, abs=1e-9)


def test_smallest_effect_is_2_8_standard_errors():
    by_hand = stats.norm.isf(0.025) + stats.norm.isf(0.2)
    assert normal_threshold(1.0, 0.05).smallest(0.8) == pytest.approx(by_hand, abs=1e-4)
    assert normal_threshold(0.0, 0.05).smallest(0.8) == pytest.approx(0.0, abs=1e-9)
    assert (power(0.0, 0.0), power(0.1, 0.0)) == (0.05, 1.0)
    assert power(1.0, 1e-13, 0.05, 5) == 1.0  # where the t distribution underflows


def test_too_few_seeds_show_nothing():
    # p over seeds is at least 2 / 2^k: 0.0625 with 5 seeds, 0.03125 with 6
    plan = PowerModel(Variances(examples=225.0, seeds=0.01), effect=1.57)
    assert [plan.power(5000, k, other_seeds=True) for k in (1, 2, 3, 4, 5)] == [0.0] * 5
    assert plan.smallest_effect(5000, 5, other_seeds=True) is None
    assert plan.examples_needed(5, other_seeds=True) is None
    assert plan.seeds_needed(5000, other_seeds=True) == 6
    # Holm's correction is not about the sign flips: six are enough in a family of eight too
    assert PowerModel(plan.variances, 20.0, comparisons=8).power(5000, 6, other_seeds=True) == pytest.approx(
        1.0
    )
    assert PowerModel(Variances(0.0, seeds=0.0), 1.0, level=1e-70).seeds_needed(9, other_seeds=True) is None


@pytest.mark.parametrize(("seeds", "level"), [(6, 0.05), (7, 0.05), (8, 0.05), (9, 0.01), (12, 0.05)])
def test_sign_flips_find_what_their_threshold_says(seeds, level):
    rng = np.random.default_rng(8)
    thresholds = flip_thresholds(Spread(seeds, 100, 1.0, 0.0, 0.0), level)
    for effect in (0.0, 0.8, 1.3):
        foretold = Detection(thresholds, seeds**-0.5).chance(effect)
        draws = effect + rng.normal(size=(3000, seeds))
        flips = 1.0 - 2.0 * (
            np.arange(2 ** (seeds - 1))[:, None] >> np.arange(seeds) & 1
        )  # the last one stays
        sums = np.abs(draws @ flips.T)
        p = (sums >= sums[:, :1] - 1e-9).mean(axis=1)
        assert p[:3] == pytest.approx([seed_level_p(list(row), 10_000, 1) for row in draws[:3]])
        low, high = stats.binom.interval(0.999, len(draws), foretold)
        assert low / len(draws) - 0.01 <= (p <= level).mean() <= high / len(draws) + 0.01


def test_with_the_fewest_seeds_all_must_have_one_sign():
    # six differences of variance 1 around 1: all above 0, or all below
    above = float(stats.norm.cdf(1.0))
    found = Detection(flip_thresholds(Spread(6, 100, 1.0, 0.0, 0.0), 0.05), 6**-0.5)
    assert found.chance(1.0) == pytest.approx(above**6 + (1 - above) ** 6, abs=0.005)
    assert found.chance(0.0) == pytest.approx(2 / 64, abs=0.003)


def test_where_only_seeds_vary_the_joint_test_is_a_t_test():
    widths = joint_half_widths(Spread(7, 100, 1.0, 0.0, 0.0), 0.05)
    assert Detection(widths, 7**-0.5).chance(1.0) == pytest.approx(
        TTestPower().power(1.0, nobs=7, alpha=0.05), abs=0.004
    )


def test_what_all_seeds_share_is_not_independent_over_them():
    # between examples 15, between seeds 0.4, 1,012 examples: nearly all of the error is shared by the seeds
    plan = PowerModel(Variances(225.0, seeds=0.16), 1.57)
    error = math.sqrt(225 / 1012 + 0.16 / 6)
    assert plan.power(1012, 6, other_seeds=True) == pytest.approx(power(1.57, error), abs=0.02)
    none = PowerModel(plan.variances, 0.0)
    assert none.power(1012, 6, other_seeds=True) < 0.05
    assert 0.02 < none.power(10**8, 6, other_seeds=True) <= 2 / 64  # seeds alone are left, in one direction


@pytest.mark.parametrize(
    ("disagree", "effect", "examples"), [(20.0, 4.0, 300), (10.0, 3.0, 200), (48.0, 8.0, 651)]
)
def test_accuracy_has_the_power_of_the_exact_test(disagree, effect, examples):
    # enumerated: how many differ, and how many of them are right in B alone; p is binomial
    differing, share = disagree / 100, (1 + effect / disagree) / 2
    expected = 0.0
    for count in range(1, examples + 1):
        wins = np.arange(count + 1)
        p = np.minimum(1, 2 * stats.binom.cdf(np.minimum(wins, count - wins), count, 0.5))
        found = stats.binom.pmf(wins, count, share)[p <= 0.05].sum()
        expected += stats.binom.pmf(count, examples, differing) * found
    plan = PowerModel(accuracy_variance(50.0, disagree), effect, step=100.0)
    foretold = plan.power(examples, 1, other_seeds=False)
    assert foretold == pytest.approx(expected, abs=0.015)
    without = PowerModel(plan.variances, effect).power(examples, 1, other_seeds=False)
    assert without > max(foretold, expected) + 0.01


def test_holms_first_step_divides_the_level():
    plan = PowerModel(Variances(400.0), 1.5, comparisons=8)
    assert plan.power(2000, 1, other_seeds=False) == pytest.approx(power(1.5, 20 / 2000**0.5, 0.05 / 8))


@pytest.mark.parametrize(("seeds", "of_seeds"), [(1, None), (6, 0.05)])
def test_equivalence_is_found_as_often_as_foretold(seeds, of_seeds):
    parts = Variances(1.0, 0.5, of_seeds)
    margin = 0.35
    foretold = PowerModel(parts, 0.0).equivalence(100, seeds, margin)
    assert 0.2 < foretold < 0.95
    rng, simulations, held = np.random.default_rng(9), 500, 0
    for _ in range(simulations):
        gains = rng.normal(size=(1, 100)) + math.sqrt(0.5) * rng.normal(size=(seeds, 100))
        gains += math.sqrt(of_seeds or 0.0) * rng.normal(size=(seeds, 1))
        error = crossed_error(valued(np.zeros_like(gains)), valued(gains), mean, [100])
        held += abs(gains.mean()) + error.half_width(0.9) < margin
    low, high = stats.binom.interval(0.999, simulations, foretold)
    assert low <= held <= high
    assert PowerModel(Variances(1.0), 0.0).equivalence(100, 3, margin) is None


def test_logic_by_hand():
    # one system at 40% on 651 questions: sqrt(.4 * .6 / 651) = 1.92 points; the difference of two independent
    # ones sqrt(2) times that, so that an effect of 0.87 can't be seen
    error = standard_error(accuracy_variance(40.0), 651, 1, other_seeds=False)
    assert error == pytest.approx(math.sqrt(2) * 100 * math.sqrt(0.24 / 651))
    assert error / math.sqrt(2) == pytest.approx(1.92, abs=0.005)
    assert power(0.87, error) < 0.07
    assert accuracy_variance(40.0, 20.0).examples == pytest.approx(2000.0)
    for wrong in ((0.0, None), (40.0, 90.0), (40.0, 0.0), (99.0, 5.0)):
        with pytest.raises(ValueError, match="no two systems"):
            accuracy_variance(*wrong)


def test_pseudo_values_of_a_mean_are_the_differences():
    rng = np.random.default_rng(3)
    a, b = rng.normal(size=(2, 2, 30))
    assert pseudo_values(valued(a), valued(b), mean) == pytest.approx(b - a)
    assert pseudo_values(valued(a[:, :1]), valued(b[:, :1]), mean) == pytest.approx(b[:, :1] - a[:, :1])


def test_pseudo_values_of_bleu_foretell_the_bootstraps_spread():
    rng = np.random.default_rng(4)
    words = [f"w{i}" for i in range(30)]
    gold = [" ".join(rng.choice(words, size=rng.integers(6, 20))) for _ in range(300)]
    sides = []
    for share in (0.7, 0.75):
        texts = [" ".join(w if rng.random() < share else "x" for w in g.split()) for g in gold]
        sides.append(BLEU(MetricContext()).segment_statistics(texts, [[g] for g in gold], [])[None])
    aggregate = BLEU(MetricContext()).aggregate
    values = pseudo_values(*sides, aggregate)
    error = standard_error(variance_components(values), 300, 1, other_seeds=False)
    counts = rng.multinomial(300, np.full(300, 1 / 300), size=2000)  # resamples of the examples
    first, second = (aggregate(counts @ side[0]) for side in sides)
    assert error == pytest.approx((second - first).std(), rel=0.08)


def test_variance_components_of_a_simulation():
    rng = np.random.default_rng(5)
    estimates = []
    for _ in range(400):
        by_seed, by_example, rest = (rng.normal(size=size) for size in ((5, 1), (1, 60), (5, 60)))
        parts = variance_components(2.0 * by_seed + 2.0 * by_example + 3.0 * rest)
        estimates.append((parts.examples, parts.residual, parts.seeds))
    assert np.mean(estimates, axis=0) == pytest.approx([4.0, 9.0, 4.0], rel=0.15)


def test_variance_components_by_hand():
    # rows (seeds) 1 2 3 and 3 4 8: rests +-1/2, +-1/2, -+1; mean squares worked out on paper
    parts = variance_components(np.array([[1.0, 2.0, 3.0], [3.0, 4.0, 8.0]]))
    assert parts.residual == pytest.approx(1.5)
    assert parts.examples == pytest.approx(np.var([2, 3, 5.5], ddof=1) - 0.75)
    assert parts.seeds == pytest.approx(np.var([2, 5], ddof=1) - 0.5)
    one = variance_components(np.array([[1.0, 2.0, 6.0]]))
    assert (one.examples, one.residual, one.seeds) == (7.0, 0.0, None)
    assert one.deviation == pytest.approx(math.sqrt(7))
    with pytest.raises(ValueError, match="one example"):
        variance_components(np.ones((3, 1)))


def test_power_foretells_the_share_of_tests_that_find_the_effect():
    rng = np.random.default_rng(7)
    variances = Variances(examples=1.0, residual=0.5)
    foretold = PowerModel(variances, 0.3).power(80, 2, other_seeds=False)
    assert foretold is not None
    assert 0.5 < foretold < 0.8
    found, simulations = 0, 600
    for number in range(simulations):
        differences = 0.3 + rng.normal(size=(1, 80)) + math.sqrt(0.5) * rng.normal(size=(2, 80))
        a = valued(np.zeros((2, 80)))
        found += randomization_test(a, valued(differences), mean, 399, seed=number).p_value <= 0.05
    low, high = stats.binom.interval(0.999, simulations, foretold)
    assert low <= found <= high


def test_what_is_needed_is_the_least_that_is_enough():
    plan = PowerModel(Variances(examples=400.0, residual=900.0, seeds=0.3), effect=1.5)
    for other in (False, True):
        examples = plan.examples_needed(7, other_seeds=other)
        assert examples is not None
        enough, less = (plan.power(n, 7, other_seeds=other) for n in (examples, examples - 1))
        assert enough >= 0.8 > less
        seeds = plan.seeds_needed(3000, other_seeds=other)
        assert seeds is not None
        assert seeds > 1
        enough, less = (plan.power(3000, k, other_seeds=other) for k in (seeds, seeds - 1))
        assert enough >= 0.8 > less
    by_hand = (2.8016 / 1.5) ** 2 * (400 + 900 / 7)
    assert plan.examples_needed(7, other_seeds=False) == pytest.approx(by_hand, rel=0.001)
    # the spread between seeds alone is too large for seven seeds, on any test set
    assert PowerModel(Variances(400.0, seeds=4.0), 1.5).examples_needed(7, other_seeds=True) is None
    assert PowerModel(Variances(400.0), 0.01).seeds_needed(100, other_seeds=False) is None
    assert PowerModel(Variances(400.0), 1.0).power(100, 7, other_seeds=True) is None
    assert PowerModel(Variances(400.0), 1.0).smallest_effect(100, 3, other_seeds=True) is None
    with pytest.raises(ValueError, match="not known"):
        standard_error(Variances(1.0), 10, 2, other_seeds=True)


def test_largest_deviation_is_where_one_run_has_the_wanted_power():
    widest = PowerModel(Variances(1.0), 1.57).largest_deviation(1012)
    assert PowerModel(Variances(widest**2), 1.57).power(1012, 1, other_seeds=False) == pytest.approx(0.8)
