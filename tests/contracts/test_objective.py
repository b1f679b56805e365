"""The methods ``sft`` and ``warmup``: coefficients, and gradients against independent ones."""

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from enumeration import CAP, Enumeration, loss_of
from tiny import EOS, Reference, distance, gradients_of, source_of
from toy import rollout_of
from warmup_bench.baselines import sft, warmup
from warmup_bench.contracts.method import Coefficients, Method
from warmup_bench.train import rounds


def test_coefficients_of_sft():
    found = sft.METHOD.coefficients(rollout_of([[-3.0], [-70.0]]))
    assert found.a.tolist() == [[0.0], [0.0]]
    assert found.b.tolist() == [[1.0], [1.0]]


def test_coefficients_of_warmup_by_hand():
    ly = np.log([[0.1, 0.3, 0.4], [1e-30, 1e-30, 2e-30]])  # s = 1/8, 3/8, 1/2 and 1/4, 1/4, 1/2
    found = warmup.METHOD.coefficients(rollout_of(ly, lc=[[-1.0, -2.0, -9.0]] * 2))
    s = torch.tensor([[1 / 8, 3 / 8, 1 / 2], [1 / 4, 1 / 4, 1 / 2]], dtype=torch.float64)
    torch.testing.assert_close(found.b, s)
    torch.testing.assert_close(found.a, s - 1 / 3)


def test_one_sample_gives_the_sampler_no_gradient():
    found = warmup.METHOD.coefficients(rollout_of([[-5.0], [-900.0]]))
    assert found.a.tolist() == [[0.0], [0.0]]
    assert found.b.tolist() == [[1.0], [1.0]]


@given(st.lists(st.floats(-2000, 0, width=32), min_size=1, max_size=6), st.floats(-500, 500, width=32))
def test_coefficients_of_warmup_sum_to_0_and_1_and_forget_a_constant(ly, shift):
    found = warmup.METHOD.coefficients(rollout_of([ly]))
    moved = warmup.METHOD.coefficients(rollout_of([[value + shift for value in ly]]))
    assert float(found.a.sum()) == pytest.approx(0, abs=1e-5)
    assert float(found.b.sum()) == pytest.approx(1, abs=1e-5)
    torch.testing.assert_close(found.b, moved.b, atol=1e-3, rtol=0)


def test_effective_sample_size_by_hand():
    ly = np.log([[0.2, 0.2, 0.2, 0.2], [0.3, 0.1, 1e-30, 1e-30], [1.0, 1e-30, 1e-30, 1e-30]])
    # (0.3 + 0.1)^2 / (0.09 + 0.01) = 1.6
    assert rollout_of(ly).effective_sample_size.tolist() == pytest.approx([4.0, 1.6, 1.0])


def test_the_gradient_of_sft_is_that_of_the_models_own_cross_entropy(tiny):
    sources = [source_of(tiny, content) for content in ([4, 5, 5], [5], [4, 4])]
    targets = [[4], [5, 4, 4, 5], []]
    loss = loss_of(tiny, sources, targets, sft.METHOD, n=4)  # n is for methods with a warmup only
    loss.value.backward()
    reference = Reference(tiny)
    total = 0
    for source, target in zip(sources, targets, strict=True):
        labels = [*target, EOS]
        if reference.paired:
            mean = reference.model(input_ids=torch.tensor([source]), labels=torch.tensor([labels])).loss
        else:
            masked = torch.tensor([[-100] * len(source) + labels])
            mean = reference.model(input_ids=torch.tensor([source + labels]), labels=masked).loss
        total = total + mean * len(labels)
    assert float(loss.value.detach()) == pytest.approx(float(total.detach()), rel=1e-5)
    assert distance(gradients_of(tiny), reference.gradient(total)) < 5e-5
    assert loss.rollout.ly.shape == (3, 1)
    assert loss.rollout.lc.tolist() == [[0.0]] * 3
    assert loss.warmup_tokens == 0
    assert not loss.rollout.forced.any()


def test_the_gradient_of_warmup_is_that_of_its_surrogate(tiny):
    found = Enumeration(tiny, [5, 4, 4], [4, 5])
    drawn = [0, 4, 1, 4]  # as indices of the enumeration: the empty one, one cut at the cap twice, ...
    loss = loss_of(
        tiny, [found.source], [found.target], warmup.METHOD, n=4, uniforms=found.uniforms[None, drawn]
    )
    loss.value.backward()
    lc, ly = found.lc.detach()[drawn], found.ly.detach()[drawn]
    torch.testing.assert_close(loss.rollout.lc[0].double(), lc, atol=1e-5, rtol=0)
    torch.testing.assert_close(loss.rollout.ly[0].double(), ly, atol=1e-5, rtol=0)
    assert loss.rollout.lengths.tolist() == [[len(found.every[i]) for i in drawn]]
    assert loss.rollout.forced.tolist() == [[False, True, False, True]]
    assert loss.warmup_tokens == 0 + 2 + 1 + 2
    s = ly.exp() / ly.exp().sum()
    a, b = (torch.zeros(7, dtype=s.dtype).index_add(0, torch.tensor(drawn), of) for of in (s - 1 / 4, s))
    ours = gradients_of(tiny)
    assert distance(ours, found.gradient(-a, -b)) < 5e-5

    # And by central differences of sum_i sg(A_i) lc_i + sg(B_i) ly_i, along the gradient of each matrix.
    model = found.reference.model

    @torch.no_grad()
    def value():
        pairs = [found.reference.log_c_and_y(found.source, found.every[c], CAP, found.target) for c in drawn]
        return -sum((s[i] - 1 / 4) * float(lc) + s[i] * float(ly) for i, (lc, ly) in enumerate(pairs))

    checked = 0
    for name, parameter in model.named_parameters():
        norm = float(ours[name].norm())
        if parameter.dim() < 2 or norm < 0.05:
            continue
        direction, step = ours[name].double() / norm, 1e-3
        parameter.data.add_(step * direction)
        above = value()
        parameter.data.sub_(2 * step * direction)
        below = value()
        parameter.data.add_(step * direction)
        assert float(above - below) / (2 * step) == pytest.approx(norm, rel=5e-3)
        checked += 1
    assert checked >= 10


def test_the_expected_gradient_of_warmup_approaches_that_of_the_log_marginal(tiny):
    """Over all 7^n draws of n = 1, 2, 3 warmups, through the sampler and the score of the harness."""
    found = Enumeration(tiny, [5, 4], [4])
    p, w = found.lc.detach().exp(), found.ly.detach().exp()
    posterior = p * w / (p * w).sum()
    target = found.gradient(posterior, posterior)
    total = found.reference.gradient((found.lc + found.ly).logsumexp(0))
    assert distance(total, target) < 1e-6  # grad log P, by autograd and by the posterior

    bias = []
    for n in (1, 2, 3):
        draws = torch.tensor(list(itertools.product(range(7), repeat=n)))
        probability = p[draws].prod(dim=1)
        assert float(probability.sum()) == pytest.approx(1)

        def weighted(rollout, probability=probability):
            each = warmup.METHOD.coefficients(rollout)
            share = probability[:, None].float()
            return Coefficients(each.a * share, each.b * share)

        method = Method("expected", "", "", "sampled", weighted)
        sources, targets = [found.source] * len(draws), [found.target] * len(draws)
        loss = loss_of(tiny, sources, targets, method, n=n, uniforms=found.uniforms[draws])
        (-loss.value).backward()
        expected = gradients_of(tiny)

        s = w[draws] / w[draws].sum(dim=1, keepdim=True)
        a, b = torch.zeros(7, dtype=torch.float64), torch.zeros(7, dtype=torch.float64)
        for i in range(n):
            a.index_add_(0, draws[:, i], probability * (s[:, i] - 1 / n))
            b.index_add_(0, draws[:, i], probability * s[:, i])
        assert distance(expected, found.gradient(a, b)) < 5e-5
        bias.append(
            math.sqrt(sum(float((expected[k].double() - g).square().sum()) for k, g in target.items()))
        )
    assert bias[0] > bias[1] > bias[2] > 0.01
    assert bias[0] / bias[2] > 1.5  # 3 for a bias of exactly c/n


def test_a_zero_coefficient_silences_an_infinite_log_probability(tiny, monkeypatch):
    """0 times -inf is NaN: one sample without weight would spoil the loss of its whole batch."""
    real = rounds.score

    def with_an_infinity(*arguments, **keywords):
        lc, ly = real(*arguments, **keywords)
        return lc + torch.tensor([0.0, -torch.inf]), ly + torch.tensor([-torch.inf, 0.0])

    a, b = torch.tensor([[2.0, 0.0]]), torch.tensor([[0.0, 3.0]])
    method = Method("fixed", "", "", "sampled", lambda rollout: Coefficients(a, b))
    source, uniforms = source_of(tiny, [4, 5]), torch.tensor([[[0.1, 0.9], [0.9, 0.9]]])
    plain = loss_of(tiny, [source], [[4]], method, n=2, uniforms=uniforms)
    plain.value.backward()
    expected = gradients_of(tiny)
    monkeypatch.setattr(rounds, "score", with_an_infinity)
    spoiled = loss_of(tiny, [source], [[4]], method, n=2, uniforms=uniforms)
    spoiled.value.backward()
    assert torch.equal(spoiled.value, plain.value)
    assert distance(gradients_of(tiny), expected) < 1e-6
