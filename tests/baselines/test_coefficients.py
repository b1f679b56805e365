"""Coefficients of the methods by hand, with one sample, and where p(y|x,c) underflows."""

import itertools
import math

import numpy as np
import pytest
import torch

from toy import categorical, permutations, rollout_of
from warmup_bench.baselines.log_means import log_mean, log_mean_without
from warmup_bench.contracts.resolve import resolve_method

W = np.array([[0.1, 0.3, 0.4]])  # mean 4/15; without each 0.35, 0.25, 0.2; s = 1/8, 3/8, 1/2
S = [1 / 8, 3 / 8, 1 / 2]


def of(reference, rollout):
    coefficients = resolve_method(reference).value.coefficients(rollout)
    assert coefficients.a.shape == coefficients.b.shape == rollout.ly.shape
    return coefficients.a[0].tolist(), coefficients.b[0].tolist()


def test_log_means_by_hand():
    ly = torch.from_numpy(np.log(W))
    assert log_mean(ly).exp().tolist() == [[pytest.approx(4 / 15)]]
    assert log_mean_without(ly).exp()[0].tolist() == pytest.approx([0.35, 0.25, 0.2])


def test_vimco_by_hand():
    a, b = of("warmup-vimco", rollout_of(np.log(W)))
    mean = 4 / 15
    assert a == pytest.approx([math.log(mean / 0.35), math.log(mean / 0.25), math.log(mean / 0.2)])
    assert b == pytest.approx(S)


def test_garl_by_hand():
    rollout, mean = rollout_of(np.log(W)), 4 / 15
    a, b = of("warmup-garl:q=0", rollout)
    assert a == pytest.approx([(0.1 - 0.35) / 3, (0.3 - 0.25) / 3, (0.4 - 0.2) / 3])
    assert b == pytest.approx([0.1 / 3, 0.1, 0.4 / 3])
    a, b = of("warmup-garl:q=0.5", rollout)
    root = math.sqrt(mean)
    assert a == pytest.approx(
        [(w / root - math.sqrt(left)) / 3 for w, left in [(0.1, 0.35), (0.3, 0.25), (0.4, 0.2)]]
    )
    assert b == pytest.approx([w / root / 3 for w in W[0]])
    assert of("warmup-garl", rollout) == of("warmup-garl:q=1", rollout)


def test_jensen_by_hand():
    rollout = rollout_of(
        np.array([[-1.0, -2.0, -6.0]]),
        np.array([[-3.0, -1.0, -2.0]]),
        lc_reference=np.array([[-1.0, -1.0, -4.0]]),
    )
    a, b = of("warmup-jensen", rollout)
    assert a == pytest.approx([(-1 + 4) / 3, (-2 + 3.5) / 3, (-6 + 1.5) / 3])
    assert b == pytest.approx([1 / 3] * 3)
    # r = ly - (lc - lc_ref) / 2 = -1 + 1, -2 - 0, -6 - 1
    a, b = of("warmup-jensen:kl=0.5", rollout)
    assert a == pytest.approx([(0 + 4.5) / 3, (-2 + 3.5) / 3, (-7 + 1) / 3])
    assert b == pytest.approx([1 / 3] * 3)


def test_jensen_does_not_drop_a_penalty_in_silence():
    with pytest.raises(ValueError, match="frozen reference"):
        of("warmup-jensen:kl=0.5", rollout_of([[-1.0, -2.0]]))


def test_joint_by_hand():
    lc = np.log([[0.5, 0.1, 0.5]])  # the third sample repeats the first
    rollout = rollout_of(np.log([[0.2, 0.3, 0.2]]), lc, distinct=[[True, True, False]])
    a, b = of("warmup-joint", rollout)
    assert a == b == pytest.approx([0.10 / 0.13, 0.03 / 0.13, 0])


def test_frozen_by_hand():
    assert of("warmup-frozen", rollout_of(np.log(W))) == ([0, 0, 0], pytest.approx([1 / 3] * 3))


def test_shuffled_gives_the_credit_of_one_sample_to_another():
    rights = [s - 1 / 3 for s in S]
    ordered = permutations(np.array([S]))[0][0]
    coefficients = [of("shuffled", rollout_of(np.log(W), noise=noise[None])) for noise in ordered]
    assert all(b == pytest.approx(S) for _, b in coefficients)
    assert all(sorted(a) == pytest.approx(sorted(rights)) for a, _ in coefficients)
    assert len({tuple(a) for a, _ in coefficients}) == 6
    assert np.mean([a for a, _ in coefficients], axis=0) == pytest.approx([0, 0, 0], abs=1e-15)


@pytest.mark.parametrize(
    ("noise", "counts"),
    [
        ([0.0, 0.124, 0.126], [2, 1, 0]),
        ([0.499, 0.501, 0.999], [0, 1, 2]),
        ([0.6, 0.7, 0.8], [0, 0, 3]),
    ],
)
def test_em_inverts_the_cumulative_distribution(noise, counts):
    rollout = rollout_of(np.log(W), noise=np.array([noise]))
    a, b = of("warmup-em", rollout)
    assert a == b == pytest.approx([count / 3 for count in counts])
    a, b = of("warmup-em:q=0", rollout)
    assert a == b == pytest.approx([4 / 15 * count / 3 for count in counts])


@pytest.mark.parametrize("q", [0, 0.75, 1])
def test_the_counts_of_em_average_to_the_weights(q):
    """For one rollout, over all its draws: E A_i = W^(1-q) s_i."""
    noise, probability = categorical(np.array([S]))
    credit = [of(f"warmup-em:q={q}", rollout_of(np.log(W), noise=each[None]))[0] for each in noise[0]]
    assert probability[0] @ np.array(credit) == pytest.approx((4 / 15) ** (1 - q) * np.array(S), abs=1e-12)


def test_em_never_draws_a_sample_without_weight():
    """The sum of the weights in fp32 may be under the largest uniform, 1 - 2^-24."""
    torch.manual_seed(0)
    ly = torch.randn(20_000, 4)
    ly[:, -1] = -1e4
    assert (ly.softmax(dim=1).cumsum(dim=1)[:, -1] < 1 - 2**-24).any()
    rollout = rollout_of(ly, noise=torch.full_like(ly, 1 - 2**-24))
    coefficients = resolve_method("warmup-em").value.coefficients(rollout)
    assert not coefficients.b[:, -1].any()
    assert (coefficients.b.sum(dim=1) == 1).all()


FAR = [[-1e4, -1.0005e4, -1.2e4, -1e4], [-9e3, -9e3, -9e3, -9e3]]


@pytest.mark.parametrize(
    "reference",
    [
        *["warmup", "warmup-vimco", "warmup-jensen", "warmup-jensen:kl=0.1", "warmup-joint", "warmup-frozen"],
        *["warmup-em", "warmup-em:q=0.75", "warmup-em:q=0", "shuffled", "sft", "oracle"],
        *["warmup-garl", "warmup-garl:q=0.75", "warmup-garl:q=0"],
    ],
)
def test_a_probability_that_underflows_leaves_finite_coefficients(reference):
    """In fp32, as in training: exp(-1e4) is 0, so anything outside log space would divide by it."""
    ly = torch.tensor(FAR)
    lc = torch.tensor([[-300.0, -200.0, -100.0, -300.0]] * 2)
    coefficients = resolve_method(reference).value.coefficients(
        rollout_of(
            ly,
            lc,
            distinct=torch.tensor([[True, True, True, False]] * 2),
            noise=torch.full_like(ly, 0.4),
            lc_reference=lc - 3,
        )
    )
    assert coefficients.a.dtype == coefficients.b.dtype == torch.float32
    assert coefficients.a.isfinite().all()
    assert coefficients.b.isfinite().all()


def test_underflown_coefficients_are_those_of_the_same_ratios_nearer_to_1():
    """What depends on ratios only forgets a common factor; fp32 at 1e4 keeps 1e-3 of a logarithm."""
    ly, far = torch.tensor([[-2.0, -5.0, -40.0, -2.0]]), torch.tensor([[-2.0, -5.0, -40.0, -2.0]]) - 1e4
    for reference in ("warmup", "warmup-vimco", "warmup-jensen", "warmup-garl:q=1", "warmup-em"):
        noise = torch.tensor([[0.1, 0.3, 0.6, 0.9]])
        near, ours = (of(reference, rollout_of(each, noise=noise)) for each in (ly, far))
        for expected, found in zip(near, ours, strict=True):
            assert found == pytest.approx(expected, abs=2e-3)


def test_vimco_credits_the_only_good_sample_with_the_gap():
    """w = 1, 0, 0 to rounding: log W = -log 3, without the first -1e4, without another -log 2."""
    a, b = of("warmup-vimco", rollout_of(torch.tensor([[0.0, -1e4, -1e4]])))
    assert a == pytest.approx([1e4 - math.log(3), math.log(2 / 3), math.log(2 / 3)])
    assert b == [1, 0, 0]


ONE = math.log(0.2)


@pytest.mark.parametrize(
    ("reference", "a", "b"),
    [
        ("sft", 0, 1),
        ("warmup", 0, 1),  # no gradient for the sampler
        ("shuffled", 0, 1),
        ("warmup-vimco", ONE, 1),  # no baseline: log W = ly
        ("warmup-jensen", ONE, 1),
        ("warmup-jensen:kl=2", ONE - 2 * 0.5, 1),
        ("warmup-garl:q=1", 0, 1),
        ("warmup-garl:q=0.5", math.sqrt(0.2), math.sqrt(0.2)),  # the empty mean is 0
        ("warmup-garl:q=0", 0.2, 0.2),
        ("warmup-em:q=1", 1, 1),
        ("warmup-em:q=0", 0.2, 0.2),
        ("warmup-joint", 1, 1),
        ("warmup-frozen", 0, 1),
        ("oracle", 1, 1),
        ("filler", 0, 1),
        ("random", 0, 1),
        ("draft", 0, 1),
    ],
)
def test_one_sample(reference, a, b):
    rollout = rollout_of([[ONE]], [[-1.0]], noise=[[0.7]], lc_reference=[[-1.5]])
    coefficients = of(reference, rollout)
    assert coefficients == ([pytest.approx(a, abs=1e-6)], [pytest.approx(b, abs=1e-6)])


def test_every_input_of_a_batch_is_alone():
    """Two inputs in one rollout get what each gets by itself."""
    rng = np.random.default_rng(0)
    ly, lc, lc_reference = rng.normal(size=(3, 2, 4))
    noise = rng.uniform(size=(2, 4))
    distinct = np.array([[True, True, False, True], [True, False, True, True]])
    references = ["warmup", "warmup-vimco", "warmup-jensen:kl=1", "warmup-garl:q=0.5", "warmup-em:q=0.5"]
    for reference, row in itertools.product([*references, "warmup-joint", "shuffled"], (0, 1)):
        coefficients = resolve_method(reference).value.coefficients
        parts = {"distinct": distinct, "noise": noise, "lc_reference": lc_reference}
        both = coefficients(rollout_of(ly, lc, **parts))
        one = coefficients(
            rollout_of(ly[[row]], lc[[row]], **{key: value[[row]] for key, value in parts.items()})
        )
        torch.testing.assert_close(both.a[[row]], one.a)
        torch.testing.assert_close(both.b[[row]], one.b)
