"""Power against statsmodels, against simulated tests, and against numbers worked out by hand."""

import math

import numpy as np
import pytest
from means import mean, valued
from scipy import stats
from statsmodels.stats.power import NormalIndPower, TTestPower

from warmup_bench.comparison.power import (
    PowerModel,
    Variances,
    accuracy_variance,
    power,
    power_over_seeds,
    pseudo_values,
    smallest_effect,
    smallest_effect_over_seeds,
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
    assert smallest_effect(1.0) == pytest.approx(by_hand, abs=1e-4)
    smallest = smallest_effect_over_seeds(0.7, 9, 0.01, 0.9)
    assert smallest is not None
    assert power_over_seeds(smallest, 0.7, 9, 0.01) == pytest.approx(0.9)
    assert smallest_effect(0.0) == 0.0
    assert (power(0.0, 0.0), power(0.1, 0.0)) == (0.05, 1.0)
    assert power(1.0, 1e-13, 0.05, 5) == 1.0  # where the t distribution underflows


def test_too_few_seeds_show_nothing():
    # p is at least 2 / 2^k: 0.0625 with 5 seeds, 0.03125 with 6
    for seeds in range(1, 6):
        assert power_over_seeds(100.0, 0.1, seeds) == 0.0
        assert smallest_effect_over_seeds(0.1, seeds) is None
    assert power_over_seeds(100.0, 0.1, 6) == pytest.approx(1.0)
    assert power_over_seeds(100.0, 0.1, 8, 0.05 / 8) == 0.0  # 2 / 256 is over 0.00625
    assert power_over_seeds(100.0, 0.1, 9, 0.05 / 8) == pytest.approx(1.0)
    assert power_over_seeds(0.1, 1.0, 5000) == pytest.approx(power(0.1, 1.0, 0.05, 4999))
    plan = PowerModel(Variances(examples=225.0, seeds=0.01), effect=1.57)
    assert [plan.power(5000, k, other_seeds=True) for k in (3, 4, 5)] == [0.0, 0.0, 0.0]
    assert plan.smallest_effect(5000, 5, other_seeds=True) is None
    assert plan.examples_needed(5, other_seeds=True) is None
    assert plan.seeds_needed(5000, other_seeds=True) == 6
    assert PowerModel(Variances(0.0, seeds=0.0), 1.0, level=1e-70).seeds_needed(9, other_seeds=True) is None


def test_power_of_the_fewest_seeds_by_hand():
    # six differences of variance 1 around 1: all above 0, or all below
    above = float(stats.norm.cdf(1.0))
    assert power_over_seeds(1.0, 6**-0.5, 6) == pytest.approx(above**6 + (1 - above) ** 6)
    assert power_over_seeds(0.0, 1.0, 6) == pytest.approx(2 / 64)
    # with seven, three of the 64 pairs of mirrored flips may reject: p = 6 / 128
    assert power_over_seeds(1.0, 7**-0.5, 7) == pytest.approx(TTestPower().power(1.0, nobs=7, alpha=6 / 128))


@pytest.mark.parametrize(
    ("seeds", "level", "high"), [(6, 0.05, 0.0), (7, 0.05, 0.03), (8, 0.05, 0.03), (10, 0.00625, 0.1)]
)
@pytest.mark.parametrize("effect", [0.0, 0.8, 1.3])
def test_power_over_seeds_foretells_the_exact_test(seeds, level, high, effect):
    """``high``: what the approximation by a t test may be too high by."""
    rng = np.random.default_rng(8)
    draws = effect + rng.normal(size=(4000, seeds))
    flips = 1.0 - 2.0 * (np.arange(2 ** (seeds - 1))[:, None] >> np.arange(seeds) & 1)  # the last one stays
    sums = np.abs(draws @ flips.T)
    p = (sums >= sums[:, :1] - 1e-9).mean(axis=1)
    assert p[:3] == pytest.approx([seed_level_p(list(row), 10_000, 1) for row in draws[:3]])
    foretold = power_over_seeds(effect, seeds**-0.5, seeds, level)
    low, most = stats.binom.interval(0.999, len(draws), foretold)
    assert low / len(draws) - high <= (p <= level).mean() <= most / len(draws)


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
