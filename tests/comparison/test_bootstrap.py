import numpy as np
import pytest
from means import mean, valued
from scipy import stats

from warmup_bench.comparison.bootstrap import bootstrap_differences, percentile_interval
from warmup_bench.comparison.draws import resample_counts


def test_resamples_equal_a_loop_over_the_drawn_examples():
    rng = np.random.default_rng(5)
    a, b = rng.integers(1, 9, size=(2, 1, 15, 3)).astype(float)

    def ratio(s):
        return s[..., 0] * s[..., 1] / s[..., 2]

    got = bootstrap_differences(a, b, ratio, 40, seed=8)
    counts = np.concatenate(list(resample_counts((15,), 40, seed=8))).astype(int)
    for value, row in zip(got, counts, strict=True):
        drawn = np.repeat(np.arange(15), row)
        assert len(drawn) == 15
        by_loop = ratio(b[0, drawn].sum(axis=0)) - ratio(a[0, drawn].sum(axis=0))
        assert value == pytest.approx(by_loop, abs=1e-12)


def test_agrees_with_scipys_percentile_bootstrap():
    rng = np.random.default_rng(2)
    x, y = rng.normal(size=80), rng.normal(0.4, 1.2, size=80)
    differences = bootstrap_differences(valued(x[None]), valued(y[None]), mean, 9_000, seed=1)
    ours = percentile_interval(differences, 0.95)
    theirs = stats.bootstrap(
        (y - x,), np.mean, n_resamples=9_000, method="percentile", rng=np.random.default_rng(3)
    ).confidence_interval
    width = theirs.high - theirs.low
    assert ours == pytest.approx((theirs.low, theirs.high), abs=0.05 * width)


def test_seeds_are_drawn_for_both_systems_alike():
    # all examples alike, the difference is 0 in the first seed and 1 in the second: 0, 1/2, 1/2 or 1
    a = valued(np.array([[5.0] * 10, [2.0] * 10]))
    b = valued(np.array([[5.0] * 10, [3.0] * 10]))
    got = bootstrap_differences(a, b, mean, 4_000, seed=1)
    assert set(got.tolist()) == {0.0, 0.5, 1.0}
    low, high = stats.binom.interval(0.9999, 4_000, 0.25)
    assert low <= (got == 0.0).sum() <= high
    assert low <= (got == 1.0).sum() <= high
    assert percentile_interval(got, 0.95) == (0.0, 1.0)


def test_seeds_widen_the_interval_as_their_variance_says():
    rng = np.random.default_rng(6)
    seeds, n = 6, 200
    values = rng.normal(size=(seeds, 1)) + rng.normal(size=(1, n)) + 0.1 * rng.normal(size=(seeds, n))
    got = bootstrap_differences(valued(np.zeros((seeds, n))), valued(values), mean, 6_000, seed=2)
    of_seeds = values.mean(axis=1).var() / seeds
    of_examples = values.mean(axis=0).var() / n
    assert got.var() == pytest.approx(of_seeds + of_examples, rel=0.1)
    assert of_seeds > 5 * of_examples


def test_coverage_of_the_95_percent_interval():
    rng = np.random.default_rng(12)
    simulations, covered = 1_000, 0
    for number in range(simulations):
        x = rng.normal(size=(1, 60))
        y = x + rng.normal(0.3, 1.0, size=(1, 60))
        differences = bootstrap_differences(valued(x), valued(y), mean, 400, seed=number)
        low, high = percentile_interval(differences, 0.95)
        covered += low <= 0.3 <= high
    # the percentile interval of 60 normal values covers a little less than it says (about 94%)
    least, most = stats.binom.ppf(0.001, simulations, 0.93), stats.binom.ppf(0.999, simulations, 0.95)
    assert least <= covered <= most


def test_the_mean_of_two_test_sets_spreads_as_that_of_two_independent_means():
    rng = np.random.default_rng(4)
    sizes, values = (150, 12), [rng.normal(size=150), 3 * rng.normal(size=12)]
    statistics = np.zeros((1, 162, 4))
    statistics[0, :150, 0], statistics[0, :150, 1] = values[0], 1
    statistics[0, 150:, 2], statistics[0, 150:, 3] = values[1], 1

    def average(s):
        return (s[..., 0] / s[..., 1] + s[..., 2] / s[..., 3]) / 2

    base = statistics * [0, 1, 0, 1]
    got = bootstrap_differences(base, statistics, average, 8_000, seed=3, strata=sizes)
    by_hand = (values[0].var() / 150 + values[1].var() / 12) / 4
    assert got.var() == pytest.approx(by_hand, rel=0.08)
    # 3 and 3 examples: drawn as one pool, one set would be empty now and then
    few = statistics[:, 147:153]
    assert np.isfinite(bootstrap_differences(few * [0, 1, 0, 1], few, average, 2_000, 3, (3, 3))).all()


def test_percentile_interval_by_hand():
    assert percentile_interval(np.arange(101.0), 0.9) == pytest.approx((5.0, 95.0))


def test_coverage_of_the_hierarchical_interval_over_other_seeds_and_other_examples():
    rng = np.random.default_rng(21)
    simulations, seeds, examples, covered = 500, 10, 80, 0
    for number in range(simulations):
        values = 0.3 + 0.2 * rng.normal(size=(seeds, 1)) + rng.normal(size=(1, examples))
        values = values + 0.5 * rng.normal(size=(seeds, examples))
        zeros = valued(np.zeros((seeds, examples)))
        differences = bootstrap_differences(zeros, valued(values), mean, 300, seed=number)
        low, high = percentile_interval(differences, 0.95)
        covered += low <= 0.3 <= high
    # seeds are 30% of the variance here, of which a bootstrap of 10 sees nine tenths: about 94%
    least, most = stats.binom.ppf(0.001, simulations, 0.92), stats.binom.ppf(0.999, simulations, 0.96)
    assert least <= covered <= most
