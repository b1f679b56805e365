"""Expected gradients of the methods over all K^n draws, against finite differences of their objectives."""

import itertools
import math

import numpy as np
import pytest

from toy import Toy, categorical, permutations
from warmup_bench.baselines import warmup
from warmup_bench.contracts.method import Coefficients
from warmup_bench.contracts.resolve import resolve_method

EXACT = {"atol": 1e-9, "rtol": 0}


def of(reference):
    return resolve_method(reference).value.coefficients


def log_marginal(p, w):
    return np.log(p @ w)


def test_finite_differences_find_the_posterior_as_the_gradient_of_the_log_marginal():
    toy = Toy(4, seed=5)
    posterior = toy.p * toy.w / (toy.p * toy.w).sum()
    np.testing.assert_allclose(toy.of(log_marginal), toy.gradient(posterior, posterior), atol=1e-14)
    assert np.abs(posterior).max() > 0.1


@pytest.mark.parametrize("n", [1, 2, 3, 5])
@pytest.mark.parametrize("seed", range(2))
def test_vimco_is_unbiased_for_the_expected_log_mean(n, seed):
    toy = Toy(3, seed)
    mean, _ = toy.expected(of("warmup-vimco"), n)
    np.testing.assert_allclose(mean, toy.of(toy.expected_log_mean(n)), **EXACT)


@pytest.mark.parametrize("n", [1, 2, 3, 5])
@pytest.mark.parametrize("seed", range(2))
def test_garl_at_0_is_unbiased_for_the_probability(n, seed):
    toy = Toy(3, seed)
    mean, _ = toy.expected(of("warmup-garl:q=0"), n)
    np.testing.assert_allclose(mean, toy.of(lambda p, w: p @ w), **EXACT)


@pytest.mark.parametrize("kl", [0, 0.3, 2])
@pytest.mark.parametrize("n", [1, 2, 3, 5])
def test_jensen_is_unbiased_for_the_bound_less_the_divergence(n, kl):
    toy = Toy(3, seed=1)

    def objective(p, w):
        return p @ np.log(w) - kl * (p @ (np.log(p) - np.log(toy.p_reference)))

    mean, _ = toy.expected(of(f"warmup-jensen:kl={kl}"), n)
    np.testing.assert_allclose(mean, toy.of(objective), **EXACT)


def power_of_marginal(q):
    """An objective whose gradient is P^-q grad P."""
    return lambda p, w: (p @ w) ** (1 - q) / (1 - q)


@pytest.mark.parametrize(
    ("method", "objective", "least"),
    [
        ("warmup-garl:q=0.25", power_of_marginal(0.25), 5e-4),
        ("warmup-garl:q=0.75", power_of_marginal(0.75), 5e-4),
        ("warmup", log_marginal, 5e-3),
    ],
)
@pytest.mark.parametrize("seed", range(3))
def test_the_bias_of_a_ratio_halves_when_n_doubles(seed, method, objective, least):
    toy = Toy(3, seed, spread=0.2)  # with very unequal w, 1/n shows only at a larger n
    target = toy.of(objective)
    bias = {n: np.linalg.norm(toy.expected(of(method), n)[0] - target) for n in (2, 4, 8)}
    assert bias[8] > least  # there is one to see
    assert bias[2] / bias[4] == pytest.approx(2, abs=0.1)
    assert bias[4] / bias[8] == pytest.approx(2, abs=0.05)


@pytest.mark.parametrize("n", [1, 2, 4])
def test_garl_at_1_is_warmup_draw_by_draw(n):
    toy = Toy(4, seed=2, spread=3)
    rollout = toy.rollout(toy.every(n))
    ours, theirs = of("warmup-garl:q=1")(rollout), of("warmup")(rollout)
    np.testing.assert_allclose(ours.a, theirs.a, atol=1e-14)
    np.testing.assert_allclose(ours.b, theirs.b, atol=1e-14)


@pytest.mark.parametrize("n", [1, 2, 3])
@pytest.mark.parametrize("q", [0, 0.75, 1])
def test_em_has_the_mean_of_garl(q, n):
    toy = Toy(3, seed=4)
    ours, spread = toy.expected(of(f"warmup-em:q={q}"), n, categorical)
    theirs, theirs_spread = toy.expected(of(f"warmup-garl:q={q}"), n)
    np.testing.assert_allclose(ours, theirs, **EXACT)
    assert spread.sum() >= theirs_spread.sum()  # its draws add variance


@pytest.mark.parametrize("n", [1, 2, 3, 4])
def test_shuffled_teaches_the_sampler_nothing_on_average(n):
    """Over all permutations A is 0 for every draw, and B is that of ``warmup``."""
    toy = Toy(3, seed=6)
    mean, _ = toy.expected(of("shuffled"), n, permutations)
    expected, _ = toy.expected(lambda r: Coefficients(r.ly * 0, of("warmup")(r).b), n)
    np.testing.assert_allclose(mean, expected, **EXACT)
    assert np.abs(expected).max() > 0.01


@pytest.mark.parametrize("n", [1, 2, 4])
def test_frozen_learns_the_output_given_the_sampler_as_it_is(n):
    toy = Toy(3, seed=7)
    mean, _ = toy.expected(of("warmup-frozen"), n)
    np.testing.assert_allclose(mean, toy.of(lambda p, w: toy.p @ np.log(w)), **EXACT)


@pytest.mark.parametrize(
    ("method", "objective"),
    [
        ("oracle", lambda p, w: np.log(p[2] * w[2])),
        ("filler", lambda p, w: np.log(w[2])),
        ("random", lambda p, w: np.log(w[2])),
        ("draft", lambda p, w: np.log(w[2])),
    ],
)
def test_a_given_warmup_is_supervised(method, objective):
    toy = Toy(4, seed=8)
    gradient = toy.gradients(of(method), np.array([[2]]))[0]
    np.testing.assert_allclose(gradient, toy.of(objective), **EXACT)


def test_joint_is_the_gradient_of_its_sum_over_the_distinct_samples_of_each_draw():
    toy = Toy(3, seed=9)
    draws = toy.every(3)
    gradients = toy.gradients(of("warmup-joint"), draws)
    for draw, gradient in zip(draws, gradients, strict=True):
        drawn = sorted(set(draw.tolist()))

        def objective(p, w, drawn=drawn):
            return np.log((p[drawn] * w[drawn]).sum())

        np.testing.assert_allclose(gradient, toy.of(objective), **EXACT)


def by_distinct_set(toy, n):
    """A draw for each set of distinct samples, and the probability of the set by inclusion and exclusion."""
    draws, probability = [], []
    for size in range(1, n + 1):
        for drawn in itertools.combinations(range(toy.k), size):
            inner = (part for m in range(1, size + 1) for part in itertools.combinations(drawn, m))
            signed = sum((-1) ** (size - len(part)) * toy.p[list(part)].sum() ** n for part in inner)
            draws.append([*drawn, *[drawn[0]] * (n - size)])
            probability.append(signed)
    return np.array(draws), np.array(probability)


def test_the_bias_of_joint_does_not_shrink_with_n_while_warmups_are_many():
    small = Toy(3, seed=2)
    draws, probability = by_distinct_set(small, 3)
    mean = probability @ small.gradients(of("warmup-joint"), draws)
    np.testing.assert_allclose(mean, small.expected(of("warmup-joint"), 3)[0], atol=1e-12)

    toy = Toy(10, seed=2)
    target, bias = toy.of(log_marginal), {}
    for n in (2, 8):
        draws, probability = by_distinct_set(toy, n)
        assert probability.sum() == pytest.approx(1, abs=1e-9)
        bias[n] = np.linalg.norm(probability @ toy.gradients(of("warmup-joint"), draws) - target)
    assert bias[2] > 0.1
    assert bias[8] > bias[2]


def test_the_bias_of_joint_is_gone_when_the_samples_cover_all_warmups():
    toy = Toy(3, seed=2)
    gradient = toy.gradients(of("warmup-joint"), np.array([[0, 1, 0, 2, 1]]))[0]
    np.testing.assert_allclose(gradient, toy.of(log_marginal), **EXACT)


@pytest.mark.parametrize("seed", range(3))
def test_the_log_mean_is_a_lower_bound_that_grows_with_n(seed):
    toy = Toy(3, seed)
    bounds = [toy.expected_log_mean(n)(toy.p, toy.w) for n in range(1, 8)]
    assert bounds[0] == pytest.approx(toy.p @ np.log(toy.w))
    assert all(low + 1e-4 < high for low, high in itertools.pairwise(bounds))
    assert bounds[-1] + 1e-4 < math.log(toy.p @ toy.w)


def without_baseline(method):
    """The same estimator with the raw reward as A."""

    def vimco(rollout):
        raw = rollout.ly.exp().mean(dim=1, keepdim=True).log().expand_as(rollout.ly)
        return Coefficients(raw, of("warmup-vimco")(rollout).b)

    def jensen(rollout):
        return Coefficients(rollout.ly / rollout.ly.shape[1], of("warmup-jensen")(rollout).b)

    def garl(rollout):
        b = of("warmup-garl:q=0")(rollout).b
        return Coefficients(b, b)

    def plain(rollout):
        b = warmup.coefficients(rollout).b
        return Coefficients(b, b)

    return {"warmup-vimco": vimco, "warmup-jensen": jensen, "warmup-garl:q=0": garl, "warmup": plain}[method]


@pytest.mark.parametrize(
    ("method", "share"),
    [("warmup-vimco", 0.07), ("warmup-jensen", 0.6), ("warmup-garl:q=0", 0.5), ("warmup", 0.5)],
)
@pytest.mark.parametrize("seed", range(3))
def test_the_baseline_leaves_the_mean_and_lowers_the_variance(method, share, seed):
    toy = Toy(4, seed)
    mean, variance = toy.expected(of(method), 4)
    raw_mean, raw_variance = toy.expected(without_baseline(method), 4)
    np.testing.assert_allclose(mean, raw_mean, atol=1e-12)
    assert variance.sum() < share * raw_variance.sum()


def test_the_variance_of_two_samples_by_hand():
    """K = n = 2, p = 1/2, w = 1/2 and 1/4: the sampler's two logits have opposite gradients.

    With the baseline a draw of two equal warmups gives 0, of two others d/2 (jensen) or d (vimco, at half
    the weight in the first logit), d = log 2; without, equal ones give their own log w.
    """
    toy = Toy(2, seed=0)
    toy.p, toy.w = np.array([0.5, 0.5]), np.array([0.5, 0.25])
    first, second, d = math.log(0.5), math.log(0.25), math.log(2)
    squares = first**2 + second**2
    for method, with_it, without in [
        ("warmup-jensen", d**2 / 8, squares / 8 + d**2 / 16 - d**2 / 8),
        ("warmup-vimco", d**2 / 8, squares / 2 - d**2 / 8),
    ]:
        mean, variance = toy.expected(of(method), 2)
        _, raw = toy.expected(without_baseline(method), 2)
        assert mean[:2] == pytest.approx([d / 4, -d / 4])
        assert variance[:2].sum() == pytest.approx(with_it)
        assert raw[:2].sum() == pytest.approx(without)
