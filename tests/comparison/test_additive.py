"""Means over examples: exact p by counting, against statsmodels, scipy and plain enumeration."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from means import valued
from scipy import stats
from sklearn.metrics import f1_score
from statsmodels.stats.contingency_tables import mcnemar

from warmup_bench.comparison import compare
from warmup_bench.comparison.additive import additive_gains, counted_p, fair_binomial
from warmup_bench.comparison.draws import swap_masks
from warmup_bench.comparison.randomization import randomization_test
from warmup_bench.contracts.metric import MetricContext
from warmup_bench.score.classification import Accuracy, MacroF1

LABELS = ("A", "B", "C")


def accuracy(statistics):
    return 100.0 * statistics[..., 0] / statistics[..., 1]


@pytest.mark.parametrize(("only_a", "only_b"), [(30, 52), (3, 40), (25, 25), (0, 200), (1, 0), (700, 760)])
def test_accuracy_is_statsmodels_exact_mcnemar(only_a, only_b):
    right_a = np.repeat([1.0, 0, 1, 0], [only_a, only_b, 40, 33])
    right_b = np.repeat([0.0, 1, 1, 0], [only_a, only_b, 40, 33])
    test = randomization_test(valued(right_a[None]), valued(right_b[None]), accuracy, 99, seed=1)
    expected = mcnemar([[40, only_a], [only_b, 33]], exact=True).pvalue
    assert test.p_value == pytest.approx(expected, rel=1e-9)
    assert test.exact
    assert test.test == "exact McNemar's test"
    assert test.rounds == (0 if only_a + only_b > 6 else 2 ** (only_a + only_b))


def test_the_metric_of_this_package_is_recognised():
    gold = [["A"]] * 60
    right, half = ["A"] * 60, ["A", "B"] * 30
    metric = Accuracy(MetricContext(labels=LABELS))
    a, b = (metric.segment_statistics(texts, gold, [])[None] for texts in (half, right))
    result = compare(a, b, metric.aggregate, ids=[str(i) for i in range(60)])
    assert result.test == "exact McNemar's test"
    assert result.p_value == pytest.approx(2 * 0.5**30, rel=1e-9)
    assert (result.randomizations, result.difference) == (0, 50.0)
    assert "p is exact: every swap is counted" in result.notes


GAINS = st.lists(st.integers(-3, 3), min_size=1, max_size=9)


@settings(max_examples=60, deadline=None)
@given(GAINS)
def test_counting_equals_enumeration(gains):
    sums = [abs(np.dot(signs, gains)) for signs in itertools.product((1, -1), repeat=len(gains))]
    assert counted_p(np.array(gains, float)).p == pytest.approx(np.mean(np.array(sums) >= abs(sum(gains))))


def test_counting_equals_scipy_for_several_seeds_and_groups():
    # right answers of 3 seeds summed by example are -3 .. 3: exact, and what scipy enumerates
    rng = np.random.default_rng(4)
    a, b = rng.integers(0, 2, size=(2, 3, 12)).astype(float)
    gains, scale = additive_gains(valued(a), valued(b), accuracy)
    assert scale * gains.sum() == pytest.approx(100 * (b - a).mean())
    expected = stats.permutation_test(
        (a.sum(axis=0), b.sum(axis=0)),
        lambda u, v: np.mean(v - u),
        permutation_type="samples",
        n_resamples=np.inf,
        vectorized=False,
    )
    assert counted_p(gains).p == pytest.approx(expected.pvalue, abs=1e-12)


def test_what_cannot_be_counted_is_drawn():
    assert counted_p(np.array([0.5, 1.0])) is None
    assert counted_p(np.full(20, 10.0**7)) is None  # whole numbers, but a table of 200 million cells
    assert counted_p(np.zeros(4)) == (1.0, 0.5)


@pytest.mark.parametrize(("only_a", "only_b"), [(3, 9), (7, 7), (0, 12)])
def test_mid_p_of_mcnemar_is_fagerlands(only_a, only_b):
    # 2 P(X < least) + P(X = least), or 1 - P(X = n/2) / 2 where both are as many
    counts = stats.binom(only_a + only_b, 0.5)
    least = min(only_a, only_b)
    expected = 2 * counts.cdf(least) - counts.pmf(least) if only_a != only_b else 1 - counts.pmf(least) / 2
    assert counted_p(np.repeat([-1.0, 1.0], [only_a, only_b])).mid_p == pytest.approx(expected)


def test_fair_binomial_is_scipys():
    for trials in (0, 1, 7, 1000, 60_000):
        expected = stats.binom.pmf(np.arange(trials + 1), trials, 0.5)
        assert fair_binomial(trials) == pytest.approx(expected, rel=1e-9, abs=1e-300)


def test_additive_is_what_the_statistics_are():
    rng = np.random.default_rng(1)
    a, b = valued(rng.random((2, 9))), valued(rng.random((2, 9)))
    assert additive_gains(a, b, accuracy) is not None
    assert additive_gains(a, b, lambda s: (s[..., 0] / s[..., 1]) ** 2) is None  # no straight line
    assert additive_gains(a, b * [1, 2], accuracy) is None  # counts differ
    assert additive_gains(a[..., :1], b[..., :1], lambda s: s[..., 0]) is None
    assert additive_gains(np.concatenate([a, a], -1), np.concatenate([b, b], -1), lambda s: s[..., 0]) is None


def test_sign_flips_are_the_swaps_of_the_general_engine():
    # the same metric once as (value, count), once with a third statistic that hides that it is additive
    rng = np.random.default_rng(8)
    a = valued(rng.normal(size=(3, 40)))
    b = a + np.stack([rng.normal(0.1, 0.5, size=(3, 40)), np.zeros((3, 40))], axis=-1)
    hidden = [np.concatenate([side, side[..., :1]], axis=-1) for side in (a, b)]
    flips = randomization_test(a, b, accuracy, 1999, seed=3)
    swaps = randomization_test(*hidden, accuracy, 1999, seed=3)
    assert (flips.test, swaps.test) == ("sign-flip permutation", "paired randomisation")
    assert flips.p_value == swaps.p_value


def test_macro_f1_swaps_predictions_and_is_scikit_learns_on_each():
    rng = np.random.default_rng(5)
    gold = rng.choice(LABELS, size=50)
    first, second = (np.where(rng.random(50) < p, gold, rng.choice(LABELS, size=50)) for p in (0.5, 0.75))
    metric = MacroF1(MetricContext(labels=LABELS))
    a, b = (metric.segment_statistics(list(x), [[g] for g in gold], [])[None] for x in (first, second))
    test = randomization_test(a, b, metric.aggregate, 59, seed=11)

    def score(predicted):
        return 100 * f1_score(gold, predicted, labels=LABELS, average="macro", zero_division=0)

    observed = abs(score(second) - score(first))
    reached = 0
    for mask in np.concatenate(list(swap_masks(50, 59, seed=11))).astype(bool):
        swapped = score(np.where(mask, first, second)) - score(np.where(mask, second, first))
        reached += abs(swapped) >= observed - 1e-9
    assert test.p_value == (1 + reached) / 60


def test_type_one_error_of_mcnemar_and_macro_f1():
    rng = np.random.default_rng(6)
    simulations, rejected = 600, {"accuracy": 0, "macro-F1": 0}
    makers = {"accuracy": Accuracy, "macro-F1": MacroF1}
    gold = [[str(g)] for g in rng.choice(LABELS, size=70)]
    for number in range(simulations):
        right = [rng.random(70) < p for p in (0.4, 0.6)]
        coin = rng.random(70) < 0.5  # a fair coin says which system wrote which answer
        texts = [
            [
                g[0] if hit else "B"
                for g, hit in zip(gold, np.where(coin, right[i], right[1 - i]), strict=True)
            ]
            for i in (0, 1)
        ]
        for name, make in makers.items():
            metric = make(MetricContext(labels=LABELS))
            a, b = (metric.segment_statistics(side, gold, [])[None] for side in texts)
            rejected[name] += randomization_test(a, b, metric.aggregate, 199, seed=number).p_value <= 0.05
    low, high = stats.binom.interval(0.999, simulations, 0.05)
    assert low <= rejected["macro-F1"] <= high
    assert 0 < rejected["accuracy"] <= high  # an exact test of counts is at or under its level


def test_type_one_error_of_sign_flips_over_seeds():
    rng = np.random.default_rng(9)
    simulations, rejected = 1_500, 0
    for number in range(simulations):
        shared = rng.exponential(size=30) * rng.choice([-1, 1], size=30)
        differences = shared * (1 + rng.random((3, 30)))  # one sign an example, in all its seeds
        a = valued(np.zeros((3, 30)))
        rejected += randomization_test(a, valued(differences), accuracy, 199, seed=number).p_value <= 0.05
    low, high = stats.binom.interval(0.999, simulations, 0.05)
    assert low <= rejected <= high
