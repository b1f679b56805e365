"""Samplers: which inputs get how many warmups, and that what they get is weighed as without a sampler."""

import dataclasses
import math

import pytest
import torch

from tiny import batch_of, draws_of, gradients_of, make_llama, make_t5, source_of
from warmup_bench.baselines import warmup, warmup_vimco
from warmup_bench.baselines.samplers import adaptive, pilot, ramp, replay
from warmup_bench.contracts.errors import UserError
from warmup_bench.contracts.resolve import resolve_method
from warmup_bench.contracts.settings import Warmup
from warmup_bench.train import rounds
from warmup_bench.train.loss import batch_loss
from warmup_bench.train.objective import Objective
from warmup_bench.train.rounds import Memory, Turn

N, CAP = 4, 3
PAIRS = [([4, 5], [4]), ([5], [5, 5, 4]), ([4, 4, 5], []), ([5, 4], [4, 4, 4, 5])]


@pytest.fixture(params=["t5", "llama"])
def backbone(request):
    return (make_t5 if request.param == "t5" else make_llama)(seed=4)


def loss_with(backbone, sampler, *, share=0.0, memory=None, n=N, method=warmup.METHOD, seed=2, keys=range(4)):
    batch = batch_of([source_of(backbone, x) for x, _ in PAIRS], [y for _, y in PAIRS])
    draws = draws_of(torch.rand(len(PAIRS), N, CAP, generator=torch.Generator().manual_seed(seed)))[:, :n]
    objective = Objective(dataclasses.replace(method, sampler=sampler), Warmup(samples=n, max_tokens=CAP))
    turn = Turn(share, list(keys), Memory() if memory is None else memory)
    backbone.model.zero_grad()
    return batch_loss(backbone, batch, objective, draws, turn=turn)


def same(backbone, found, expected):
    """One loss, one gradient."""
    torch.testing.assert_close(found.value, expected.value, atol=1e-5, rtol=1e-5)
    gradients = []
    for loss in (found, expected):
        backbone.model.zero_grad()
        loss.value.backward()
        gradients.append(gradients_of(backbone))
    for name in gradients[1]:
        torch.testing.assert_close(gradients[0][name], gradients[1][name], atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(
    ("n", "expected"), [(8, [1, 1, 2, 4, 8, 8]), (6, [1, 1, 1, 2, 6, 6]), (1, [1, 1, 1, 1, 1, 1])]
)
def test_the_ramp_doubles_in_equal_parts_of_the_budget(n, expected):
    assert [ramp().first(share, n) for share in (0.0, 0.24, 0.26, 0.51, 0.76, 1.0)] == expected


def test_a_ramp_gives_the_loss_of_its_n(backbone):
    same(backbone, loss_with(backbone, ramp(), share=0.5), loss_with(backbone, None, n=2))


def test_a_pilot_whose_spread_is_never_reached_is_two_warmups(backbone):
    same(backbone, loss_with(backbone, pilot(1e9)), loss_with(backbone, None, n=2))


@pytest.mark.parametrize(("ess", "n"), [(1e9, N), (1.0, 2)])
def test_adaptive_at_its_extremes_is_n_or_two_warmups(backbone, ess, n):
    same(backbone, loss_with(backbone, adaptive(ess)), loss_with(backbone, None, n=n))


def test_adaptive_stops_after_two_that_weigh_about_the_same():
    # s = 1 / (1 + e^-d): sum of s^2 is 2/3, an effective size of 1.5, at d = ln(2 + sqrt 3) = 1.317
    assert math.log(2 + math.sqrt(3)) == pytest.approx(1.317, abs=1e-3)
    ly = torch.tensor([[0.0, 0.0], [-3.0, -1.69], [0.0, 1.33], [0.0, 9.0]])
    assert adaptive().more(ly, 8)[0].tolist() == [False, False, True, True]
    assert adaptive(2.0).more(ly, 8)[0].tolist() == [False, True, True, True]
    assert adaptive().more(torch.zeros(1, 4), 8)[1] == 4


def test_the_inputs_that_go_on_are_those_that_the_rule_names(backbone):
    two, four = loss_with(backbone, None, n=2).rollout, loss_with(backbone, None).rollout
    spread = (two.ly[:, 0] - two.ly[:, 1]).abs()
    threshold = float(spread.sort().values[1:3].mean())
    loss = loss_with(backbone, pilot(threshold), method=warmup_vimco.METHOD)
    short, long = loss.rollouts
    torch.testing.assert_close(short.ly, two.ly[spread <= threshold], atol=1e-5, rtol=0)
    torch.testing.assert_close(long.ly, four.ly[spread > threshold], atol=1e-5, rtol=0)
    credit = 0.0
    for rollout in (short, long):  # what vimco's coefficients say of each group by itself
        coefficients = warmup_vimco.coefficients(rollout)
        credit -= float((coefficients.a * rollout.lc).sum() + (coefficients.b * rollout.ly).sum())
    assert float(loss.value.detach()) == pytest.approx(credit, rel=1e-4)
    assert loss.warmups.lengths.shape == (12,)


def test_fewer_warmups_cost_fewer_operations(backbone):
    costs = [float(loss_with(backbone, sampler).flops) for sampler in (pilot(1e9), pilot(0.0), None)]
    assert costs[0] < 0.7 * costs[2]
    assert costs[1] == pytest.approx(costs[2], rel=0.1)  # equal warmups of two rounds are scored twice


def test_replayed_warmups_are_those_of_the_last_visit(backbone, monkeypatch):
    memory = Memory()
    first = loss_with(backbone, replay(), memory=memory)
    drawn = []
    real = rounds.sample_warmups
    monkeypatch.setattr(rounds, "sample_warmups", lambda *a, **k: drawn.append(len(a[2])) or real(*a, **k))
    second = loss_with(backbone, replay(), memory=memory, seed=3)
    cap = first.warmups.tokens.view(4, N, CAP)[:, :2]
    assert torch.equal(second.warmups.tokens.view(4, N, CAP)[:, 2:], cap)
    # The model has not moved, so every weight is 1: the loss of these four warmups, drawn or not.
    coefficients = warmup.coefficients(second.rollout)
    expected = -(coefficients.a * second.rollout.lc + coefficients.b * second.rollout.ly).sum()
    torch.testing.assert_close(second.value, expected, atol=1e-4, rtol=1e-5)
    assert drawn == [8]  # 2 of each input's 4


def test_a_replayed_warmup_has_a_truncated_importance_weight(backbone):
    memory = Memory()
    then = loss_with(backbone, replay(clip=1.5), memory=memory, keys=[7, 8, 9, 10]).rollout
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in backbone.model.parameters():
            parameter.add_(0.05 * torch.randn(parameter.shape, generator=generator))
    loss = loss_with(backbone, replay(clip=1.5), memory=memory, seed=3, keys=[7, 8, 9, 10])
    now = loss.rollout
    ratio = torch.cat([torch.ones(4, 2), (now.lc[:, 2:] - then.lc[:, :2]).exp().clamp(max=1.5)], dim=1)
    assert ratio.min() < 1
    assert ratio.max() > 1
    coefficients = warmup.coefficients(now)
    expected = -(ratio * (coefficients.a * now.lc + coefficients.b * now.ly)).sum()
    torch.testing.assert_close(loss.value, expected, atol=1e-4, rtol=1e-4)


def test_inputs_that_were_never_met_draw_all_their_warmups(backbone):
    memory = Memory()
    loss_with(backbone, replay(), memory=memory, keys=[0, 1, 2, 3])
    loss = loss_with(backbone, replay(), memory=memory, seed=3, keys=[0, 9, 2, 8])
    fresh = loss_with(backbone, None, seed=3)
    tokens, drawn = (x.warmups.tokens.view(4, N, CAP) for x in (loss, fresh))
    assert torch.equal(tokens[[1, 3]], drawn[[1, 3]])
    assert torch.equal(tokens[:, :2], drawn[:, :2])
    assert set(memory.kept) == {0, 1, 2, 3, 8, 9}


def test_a_sampler_is_an_option_of_any_method_that_samples():
    entry = resolve_method("warmup-garl:q=0.75:sampler=pilot:spread=0.5")
    assert entry.name == "warmup-garl:q=0.75:sampler=pilot:spread=0.5"
    assert entry.value.sampler.name == "pilot"
    assert entry.code != resolve_method("warmup-garl:q=0.75").code
    more, each = entry.value.sampler.more(torch.tensor([[0.0, 0.4], [0.0, 0.6]]), 4)
    assert (more.tolist(), each) == ([False, True], 2)


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("sft:sampler=ramp", "draws no warmups, so it takes no sampler.*Ask for 'sft'"),
        ("warmup:sampler=pilto", "unknown sampler 'pilto'.*pilot"),
        ("warmup:sampler=pilot:ess=3", "sampler 'pilot' has no option 'ess'.*spread"),
        ("warmup:sampler=pilot:spread=far", "of sampler 'pilot' is not a number"),
        ("warmup:sampler=adaptive:ess=0.5", "ess=0.5 is below 1"),
        ("warmup:sampler=replay:clip=0", "clip=0 is below 1"),
        ("warmup:sampler=ramp:n=3", "sampler 'ramp' has no option 'n'.*none"),
    ],
)
def test_a_wrong_sampler_is_a_clear_error(reference, message):
    with pytest.raises(UserError, match=message):
        resolve_method(reference)
