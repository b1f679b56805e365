import pytest
import torch
from tiny import EOS, Reference, source_of

from baselines import sft, warmup
from baselines.filler import METHOD as FILLER
from harness.settings import Warmup
from harness.training.batching import Encoded
from harness.training.diagnostics import diagnose, overlap
from harness.training.loss import Objective

WARMUP = Warmup(samples=3, max_tokens=2)


def items(backbone, warmups=(None, None)):
    sources, targets = [[4, 5], [5, 5, 4]], [[4, EOS], [5, 4, EOS]]
    return [Encoded(source_of(backbone, s), t, c) for s, t, c in zip(sources, targets, warmups, strict=True)]


def test_given_warmups_against_the_reference(tiny):
    """Losses with the right, the other's and no warmup, one sequence at a time in fp64."""
    found = items(tiny, ([4], [5, 5]))
    figures = diagnose(tiny, found, Objective(FILLER, WARMUP), seed=0, batch_size=2)
    reference = Reference(tiny)

    def loss(warmups):
        total = 0.0
        for item, c in zip(found, warmups, strict=True):
            y = item.target[:-1]
            if c is None:
                total -= (reference.log_direct(item.source, y)).item()
            else:
                total -= (reference.log_c_and_y(item.source, c, 2, y)[1]).item()
        return total / 5

    assert figures["loss"] == pytest.approx(loss([[4], [5, 5]]), abs=1e-5)
    assert figures["loss_shuffled"] == pytest.approx(loss([[5, 5], [4]]), abs=1e-5)
    assert figures["loss_direct"] == pytest.approx(loss([None, None]), abs=1e-5)
    assert figures["warmup_length"] == 1.5
    assert figures["forced"] == 0.5  # the one at the cap
    assert figures["overlap_target"] == pytest.approx((1 + 1 / 2) / 2)
    assert figures["overlap_source"] == 1.0
    assert (figures["ess"], figures["distinct"]) == (1.0, 1.0)
    assert figures["grad_norm_a"] == 0.0  # filler gives the warmup no credit
    assert figures["grad_norm_b"] > 0


def test_sampled_warmups(tiny):
    figures = diagnose(tiny, items(tiny), Objective(warmup.METHOD, WARMUP), seed=3, batch_size=1)
    assert 1 <= figures["ess"] <= 3
    assert 1 / 3 <= figures["distinct"] <= 1
    assert figures["entropy"] > 0
    assert figures["grad_norm_a"] > 0


def test_a_method_without_warmups_has_one_loss(tiny):
    figures = diagnose(tiny, items(tiny), Objective(sft.METHOD, WARMUP), seed=0, batch_size=2)
    assert set(figures) == {"loss", "loss_direct"}
    assert figures["loss"] == pytest.approx(figures["loss_direct"], abs=1e-6)


def test_an_evaluation_changes_nothing(tiny):
    tiny.model.train()
    for p in tiny.model.parameters():
        p.grad = torch.full_like(p, 0.25)
    before, random = [p.clone() for p in tiny.model.parameters()], torch.get_rng_state()
    first = diagnose(tiny, items(tiny), Objective(warmup.METHOD, WARMUP), seed=3, batch_size=2)
    assert all(torch.equal(a, b) for a, b in zip(before, tiny.model.parameters(), strict=True))
    assert all((p.grad == 0.25).all() for p in tiny.model.parameters())
    assert torch.equal(torch.get_rng_state(), random)
    assert tiny.model.training
    assert diagnose(tiny, items(tiny), Objective(warmup.METHOD, WARMUP), seed=3, batch_size=2) == first


@pytest.mark.parametrize(
    ("c", "other", "share"), [([], [1], 0.0), ([1, 1], [1], 0.5), ([1, 2], [2, 1, 3], 1.0), ([4], [5], 0.0)]
)
def test_overlap_counts_a_token_as_often_as_it_stands(c, other, share):
    assert overlap(c, other) == share
