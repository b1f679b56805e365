import random

import numpy as np
import pytest
import sacrebleu.metrics
from means import mean
from scipy import stats

from warmup_bench.comparison.draws import swap_masks
from warmup_bench.comparison.randomization import randomization_test, swapped_differences
from warmup_bench.contracts.metric import MetricContext
from warmup_bench.score.bleu import BLEU
from warmup_bench.score.chrf import ChrF


def valued(values):
    """Statistics [1, n, 2] of an additive metric."""
    return np.stack([values, np.ones(len(values))], axis=-1)[None]


def ratio(statistics):
    """A metric that is not additive: like F1, a ratio of two sums."""
    return statistics[..., 0] / (1.0 + statistics[..., 1])


@pytest.mark.parametrize("shift", [0.0, 0.3, 1.0])
def test_exact_p_equals_scipy_permutation_test(shift):
    rng = np.random.default_rng(17)
    x = rng.normal(size=8)
    y = x + rng.normal(shift, 0.8, size=8)
    expected = stats.permutation_test(
        (x, y), lambda u, v: np.mean(v - u), permutation_type="samples", n_resamples=np.inf, vectorized=False
    )
    test = randomization_test(valued(x), valued(y), mean, 10_000, seed=1)
    assert test.exact
    assert test.rounds == 256
    assert test.p_value == pytest.approx(expected.pvalue, abs=1e-12)


def test_exact_p_of_accuracy_is_mcnemars():
    # 300 examples, of which 2 are right only in A and 9 only in B: 2**11 distinct swaps
    right_a = np.array([1.0] * 2 + [0.0] * 9 + [1.0] * 200 + [0.0] * 89)
    right_b = np.array([0.0] * 2 + [1.0] * 9 + [1.0] * 200 + [0.0] * 89)
    test = randomization_test(valued(right_a), valued(right_b), mean, 10_000, seed=1)
    assert test.exact
    assert test.rounds == 2**11
    assert test.p_value == pytest.approx(stats.binomtest(2, 11, 0.5).pvalue, abs=1e-12)


def test_random_swaps_come_near_the_exact_p():
    rng = np.random.default_rng(4)
    x, y = rng.normal(size=13), rng.normal(0.5, 1, size=13)
    exact = randomization_test(valued(x), valued(y), mean, 10_000, seed=1)
    sampled = randomization_test(valued(x), valued(y), mean, 8_000, seed=1)
    assert exact.exact
    assert not sampled.exact
    assert sampled.rounds == 8_000
    low, high = stats.binom.interval(0.9999, 8_000, exact.p_value)
    assert low <= sampled.p_value * 8_001 - 1 <= high


def test_two_examples_by_hand():
    # differences 3 and 1: the swaps give means 2, -1, 1, -2; two of four reach 2
    test = randomization_test(valued(np.array([0.0, 0])), valued(np.array([3.0, 1])), mean, 100, seed=1)
    assert (test.p_value, test.rounds, test.exact) == (0.5, 4, True)


@pytest.mark.parametrize("n", [1, 3, 50])
def test_identical_systems_give_exactly_one(n):
    values = valued(np.random.default_rng(n).normal(size=n))
    assert randomization_test(values, values.copy(), mean, 99, seed=1).p_value == 1.0


def test_one_example_gives_one():
    test = randomization_test(valued(np.array([0.2])), valued(np.array([0.9])), mean, 99, seed=1)
    assert test.p_value == 1.0


def test_ties_through_rounding_count():
    # every |d*| is 0.1 exactly on paper: 31 differing examples whose values are 0 or 0.1, most of them paired
    x = np.tile([0.0, 0.1], 15)
    y = np.tile([0.1, 0.0], 15)
    x, y = np.append(x, 0.3), np.append(y, 0.7)
    p = randomization_test(valued(x), valued(y), mean, 999, seed=2).p_value
    # the observed sum 0.4 is reached when the other 30 coins, worth 0.1 each, add 0 or more in its direction
    flips = 2 * np.arange(31) - 30
    weights = stats.binom.pmf(np.arange(31), 30, 0.5)
    on_paper = weights[(np.abs(flips + 4) >= 4)].sum()
    low, high = stats.binom.interval(0.9999, 999, on_paper)
    assert low <= p * 1000 - 1 <= high


def test_all_ties_give_one():
    # all examples but one are equal in both: every swap reaches the observed difference
    x, y = np.full(60, 0.1), np.full(60, 0.1)
    y[7] = 0.8
    assert randomization_test(valued(x), valued(y), mean, 500, seed=1).p_value == 1.0


@pytest.mark.parametrize("make", [BLEU, ChrF])
def test_same_masks_give_sacrebleus_scores_of_the_swapped_texts(make):
    metric = make(MetricContext())
    library = sacrebleu.metrics.BLEU() if make is BLEU else sacrebleu.metrics.CHRF(word_order=2)
    rng = random.Random(6)
    words = ["a", "cat", "sat", "on", "the", "mat", "and", "then", "it", "slept", "all", "day"]
    references = [" ".join(rng.choices(words, k=10)) for _ in range(12)]

    def system():
        return [
            " ".join(w if rng.random() < 0.7 else rng.choice(words) for w in r.split()) for r in references
        ]

    runs_a, runs_b = [system() for _ in range(2)], [system() for _ in range(2)]
    a, b = (
        np.stack([metric.segment_statistics(run, [[r] for r in references], []) for run in runs])
        for runs in (runs_a, runs_b)
    )
    masks = list(swap_masks(12, 6, seed=12345))
    got = np.concatenate(
        list(swapped_differences(a.sum(axis=1), b.sum(axis=1), b - a, metric.aggregate, masks))
    )
    for mask, difference in zip(np.concatenate(masks), got, strict=True):
        by_seed = []
        for run_a, run_b in zip(runs_a, runs_b, strict=True):
            left = [v if m else u for u, v, m in zip(run_a, run_b, mask, strict=True)]
            right = [u if m else v for u, v, m in zip(run_a, run_b, mask, strict=True)]
            score_left, score_right = (library.corpus_score(x, [references]).score for x in (left, right))
            by_seed.append(score_right - score_left)
        assert difference == pytest.approx(np.mean(by_seed), abs=1e-9)


def rejections(simulate, aggregate, simulations, rounds, seed, *, stack_seeds=False):
    rng = np.random.default_rng(seed)
    count = 0
    for number in range(simulations):
        a, b = simulate(rng)
        if stack_seeds:
            a, b = (side.reshape(1, -1, side.shape[-1]) for side in (a, b))
        count += randomization_test(a, b, aggregate, rounds, seed=number).p_value <= 0.05
    return count


def exchangeable(seeds, examples, shared):
    """Simulate a true null: an example's outputs of both sides are swapped, in all seeds, by a fair coin.

    ``shared`` is the part of an example's effect that all its seeds have in common.
    """

    def simulate(rng):
        effect = shared * rng.exponential(size=(1, examples, 1)) + rng.exponential(size=(seeds, examples, 1))
        base = rng.exponential(size=(seeds, examples, 2))
        sides = np.stack([base, base + effect * [1.0, 0.3]])
        coin = rng.integers(0, 2, size=(1, examples, 1)).astype(bool)
        return np.where(coin, sides[0], sides[1]), np.where(coin, sides[1], sides[0])

    return simulate


@pytest.mark.parametrize("seeds", [1, 3])
def test_type_one_error_is_the_level(seeds):
    simulations = 2_000
    count = rejections(exchangeable(seeds, 30, shared=1.0), ratio, simulations, 199, seed=7)
    low, high = stats.binom.interval(0.999, simulations, 0.05)
    assert low <= count <= high


def test_type_one_error_with_bleu_is_the_level():
    rng = random.Random(2)
    words = [f"w{i}" for i in range(12)]
    references = [" ".join(rng.choices(words, k=rng.randint(4, 14))) for _ in range(60)]
    metric = BLEU(MetricContext())
    good, bad = (
        metric.segment_statistics(
            [" ".join(w if rng.random() < share else "x" for w in r.split()) for r in references],
            [[r] for r in references],
            [],
        )
        for share in (0.8, 0.5)
    )

    def simulate(rng):
        coin = rng.integers(0, 2, size=(1, 60, 1)).astype(bool)
        return np.where(coin, good, bad), np.where(coin, bad, good)

    simulations = 500
    low, high = stats.binom.interval(0.999, simulations, 0.05)
    assert low <= rejections(simulate, metric.aggregate, simulations, 199, seed=5) <= high


def test_a_coin_for_each_run_would_reject_too_often():
    # why one mask is shared by all seeds of an example: outputs of two runs on it are correlated
    simulations = 300
    count = rejections(exchangeable(4, 25, shared=3.0), ratio, simulations, 199, seed=11, stack_seeds=True)
    _, high = stats.binom.interval(0.999, simulations, 0.05)
    assert count > 2 * high


def test_a_real_difference_is_found():
    rng = np.random.default_rng(3)
    base = rng.normal(size=(2, 100))
    a = np.stack([base, np.ones((2, 100))], axis=-1)
    b = np.stack([base + rng.normal(0.5, 1, size=(2, 100)), np.ones((2, 100))], axis=-1)
    test = randomization_test(a, b, mean, 999, seed=1)
    assert test.p_value == 0.001  # no swap comes near: (1 + 0) / 1000
