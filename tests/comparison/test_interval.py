"""Intervals over seeds and examples: against scipy, statsmodels and simulation, and by hand."""

import math

import numpy as np
import pandas as pd
import pytest
from benchmarks.coverage import METRICS, coverage
from means import mean, valued
from scipy import stats
from statsmodels.formula.api import ols
from statsmodels.stats.anova import anova_lm

from warmup_bench.comparison.interval import Error, crossed_error, left_out


def of_gains(gains, strata=None):
    """The error of a mean over examples whose differences are ``gains`` [seeds, examples]."""
    base = np.random.default_rng(0).normal(size=gains.shape)
    return crossed_error(valued(base), valued(base + gains), mean, strata or [gains.shape[1]])


def test_one_seed_is_scipys_t_interval():
    gains = np.random.default_rng(1).normal(0.3, 1, size=(1, 25))
    error = of_gains(gains)
    assert error.freedom == pytest.approx(24)
    expected = stats.ttest_1samp(gains[0], 0)
    for confidence in (0.8, 0.95):
        half = error.half_width(confidence)
        interval = expected.confidence_interval(confidence)
        assert (gains.mean() - half, gains.mean() + half) == pytest.approx((interval.low, interval.high))
    assert 2 * error.tail(abs(gains.mean())) == pytest.approx(expected.pvalue)


def test_where_only_seeds_vary_it_is_a_t_interval_over_seeds():
    of_seeds = np.random.default_rng(2).normal(size=7)
    error = of_gains(np.repeat(of_seeds[:, None], 30, axis=1))
    expected = stats.ttest_1samp(of_seeds, 0)
    assert error.freedom == pytest.approx(6)
    assert 2 * error.tail(abs(of_seeds.mean())) == pytest.approx(expected.pvalue)


def test_mean_squares_are_those_of_statsmodels():
    rng = np.random.default_rng(3)
    seeds, examples = 4, 9
    gains = rng.normal(size=(seeds, 1)) + rng.normal(size=(1, examples)) + rng.normal(size=(seeds, examples))
    cells = [(s, i, gains[s, i]) for s in range(seeds) for i in range(examples)]
    fitted = ols("y ~ C(s) + C(i)", pd.DataFrame(cells, columns=["s", "i", "y"])).fit()
    table = anova_lm(fitted)
    of_seeds, of_examples, rest = (table["sum_sq"] / table["df"])[["C(s)", "C(i)", "Residual"]]
    assert of_examples > rest
    parts = of_seeds / gains.size, (of_examples - rest) / gains.size
    error = of_gains(gains)
    assert error.standard == pytest.approx(math.sqrt(sum(parts)))
    freedom = sum(parts) ** 2 / (parts[0] ** 2 / (seeds - 1) + parts[1] ** 2 / (examples - 1))
    assert error.freedom == pytest.approx(freedom)


def test_two_seeds_by_hand():
    # seed means 2 and 5: squared error 4.5 / 2. Example means 2, 3, 5.5; left are +-1/2, +-1/2, -+1, of mean
    # square 1.5. So var(v)/N = 3.25 / 3 - 1.5 / 6, and the seeds' 2.25 is over the 0.25 of the rest
    error = of_gains(np.array([[1.0, 2.0, 3.0], [3.0, 4.0, 8.0]]))
    between = 3.25 / 3 - 0.25
    assert error.standard == pytest.approx(math.sqrt(2.25 + between))
    assert error.freedom == pytest.approx((2.25 + between) ** 2 / (2.25**2 + between**2 / 2))
    # seeds of one mean: the rest stands for them. Examples that spread: 4 degrees of freedom at most
    gains = np.tile([[0.0, 4.0, 8.0, 4.0], [1.0, 3.0, 9.0, 3.0]], 5)
    rest = 40 * 0.25 / 19 / 40  # +-1/2 in all 40 places, 19 degrees of freedom
    between = np.var([0.5, 3.5, 8.5, 3.5] * 5, ddof=1) / 20 - rest
    assert of_gains(gains).standard == pytest.approx(math.sqrt(rest + between))
    assert of_gains(gains).freedom == 4.0


def test_a_ratio_of_sums_has_the_error_of_the_delta_method():
    rng = np.random.default_rng(4)
    words = rng.integers(5, 40, size=(1, 400)).astype(float)
    right_a, right_b = rng.binomial(words.astype(int), 0.5), rng.binomial(words.astype(int), 0.55)
    a, b = (np.stack([right.astype(float), words], axis=-1) for right in (right_a, right_b))
    gain = (right_b - right_a).sum() / words.sum()
    residuals = (right_b - right_a - gain * words)[0] / words.sum()
    assert crossed_error(a, b, mean, [400]).standard == pytest.approx(
        math.sqrt(400 / 399 * (residuals**2).sum()), rel=0.01
    )


def test_what_is_left_without_a_unit():
    a, b = np.random.default_rng(5).random((2, 2, 6, 2))
    found = left_out(a, b, mean)
    for seed in range(2):
        for unit in range(6):
            kept = np.delete(np.arange(6), unit)
            expected = mean(b[seed, kept].sum(axis=0)) - mean(a[seed, kept].sum(axis=0))
            assert found[seed, unit] == pytest.approx(expected)


def test_the_mean_of_two_test_sets_spreads_as_that_of_two_independent_means():
    rng = np.random.default_rng(6)
    values = [rng.normal(size=150), 3 * rng.normal(size=12)]
    statistics = np.zeros((1, 162, 4))
    statistics[0, :150, 0], statistics[0, :150, 1] = values[0], 1
    statistics[0, 150:, 2], statistics[0, 150:, 3] = values[1], 1

    def average(s):
        return (s[..., 0] / s[..., 1] + s[..., 2] / s[..., 3]) / 2

    error = crossed_error(statistics * [0, 1, 0, 1], statistics, average, [150, 12])
    parts = [value.var(ddof=1) / len(value) / 4 for value in values]
    assert error.standard == pytest.approx(math.sqrt(sum(parts)))
    assert error.freedom == pytest.approx(sum(parts) ** 2 / (parts[0] ** 2 / 149 + parts[1] ** 2 / 11))
    assert crossed_error(statistics * [0, 1, 0, 1], statistics, average, [161, 1]) is None


@pytest.mark.parametrize("seeds", [1, 4])
def test_no_spread_is_no_interval(seeds):
    gains = np.random.default_rng(7).normal(size=(seeds, 9))
    assert of_gains(np.zeros_like(gains)) is None
    assert of_gains(np.full_like(gains, 0.7)) is None  # but for rounding
    assert of_gains(gains[:, :1]) is None


def test_a_p_is_never_0():
    assert Error(1e-6, 1e5).tail(100.0) == np.finfo(float).tiny


@pytest.mark.parametrize("seeds", [1, 2, 3, 6])
def test_coverage_where_all_parts_vary(seeds):
    simulations = 600
    if seeds == 1:
        rng = np.random.default_rng(8)
        held = sum(
            abs(gains.mean()) <= of_gains(gains).half_width(0.95)
            for gains in rng.normal(size=(simulations, 1, 20))
        )
    else:
        held = round(simulations * coverage("mean", "all", seeds, 30, simulations)["ours"] / 100)
    most = simulations if seeds == 2 else stats.binom.ppf(0.999, simulations, 0.97)
    assert stats.binom.ppf(0.001, simulations, 0.93) <= held <= most


@pytest.mark.slow
@pytest.mark.parametrize("examples", [30, 300, 3000])
@pytest.mark.parametrize("kind", ["seeds", "examples", "neither", "all"])
@pytest.mark.parametrize("metric", METRICS)
def test_coverage_is_93_to_97_percent_from_three_seeds_on(metric, kind, examples):
    """The cells of docs/statistics.md; ``python -m benchmarks.coverage`` has more simulations."""
    simulations = 500
    low, high = (stats.binom.ppf(tail, simulations, p) for tail, p in ((0.0005, 0.93), (0.9995, 0.97)))
    for seeds in (2, 3, 6, 10, 20):
        held = coverage(metric, kind, seeds, examples, simulations)["ours"] * simulations / 100
        assert low <= held, seeds
        assert held <= high or seeds == 2, seeds
