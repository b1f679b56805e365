import dataclasses
import math

import pytest
import torch

from tiny import EOS, PAD, Reference, make, source_of
from warmup_bench.baselines import sft, warmup
from warmup_bench.baselines.filler import METHOD as FILLER
from warmup_bench.contracts.settings import Warmup
from warmup_bench.models.batching import Encoded, collate
from warmup_bench.train import diagnostics, rounds
from warmup_bench.train.diagnostics import diagnose, overlap
from warmup_bench.train.fit import Fit
from warmup_bench.train.loss import batch_loss
from warmup_bench.train.objective import Objective

WARMUP = Warmup(samples=3, max_tokens=2)


def items(backbone, warmups=(None, None)):
    sources, targets = [[4, 5], [5, 5, 4]], [[4, EOS], [5, 4, EOS]]
    return [Encoded(source_of(backbone, s), t, c) for s, t, c in zip(sources, targets, warmups, strict=True)]


def test_given_warmups_against_the_reference(tiny):
    """Losses with the right, the other's and no warmup, one sequence at a time in fp64."""
    encoded = items(tiny, ([4], [5, 5]))
    figures = diagnose(tiny, encoded, Objective(FILLER, WARMUP), seed=0, batch_size=2)
    reference = Reference(tiny)

    def loss(warmups):
        total = 0.0
        for item, c in zip(encoded, warmups, strict=True):
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


FIVE = [([4, 5], [4]), ([5, 5, 4], [5, 4]), ([4], []), ([5, 4, 4, 5], [5, 5, 5]), ([5], [4, 5])]


@pytest.mark.parametrize("method", [sft.METHOD, FILLER, dataclasses.replace(warmup.METHOD, reference=True)])
@pytest.mark.parametrize("fit", [Fit(2, 3), Fit(1, 3), Fit(1, 2), Fit(1, 1)])
def test_what_stands_in_memory_at_once_changes_no_figure(tiny, method, fit, monkeypatch):
    """Also ``loss_shuffled``, although an input alone has no other one beside it."""
    encoded = [Encoded(source_of(tiny, x), [*y, EOS], x[:2] if method is FILLER else None) for x, y in FIVE]
    objective = Objective(
        method, WARMUP, make("t5" if tiny.architecture == "encoder-decoder" else "llama", seed=3)
    )
    whole = diagnose(tiny, encoded, objective, seed=3, batch_size=3)
    sizes, rows, real, scored = [], [], diagnostics.collate, rounds.score

    def collate(part, *arguments):
        sizes.append(len(part))
        return real(part, *arguments)

    def score(backbone, state, sequences, *arguments, **options):
        if torch.is_grad_enabled():
            rows.append(sequences.tokens.shape[0])
        return scored(backbone, state, sequences, *arguments, **options)

    monkeypatch.setattr(diagnostics, "collate", collate)
    monkeypatch.setattr(rounds, "score", score)
    parts = diagnose(tiny, encoded, objective, seed=3, batch_size=3, fit=fit)
    assert max(sizes) == fit.inputs
    assert max(rows) <= fit.inputs * fit.rows
    assert list(parts) == list(whole)
    for key, value in whole.items():
        assert parts[key] == pytest.approx(value, rel=1e-4, abs=1e-5), key
    if method.warmup != "none":
        assert abs(whole["loss_shuffled"] - whole["loss"]) > 1e-3


def test_figures_are_computed_in_the_type_of_the_training(tiny):
    """With the weights that the layers compute with; sums over tokens and inputs stay in fp32."""
    objective, encoded = Objective(warmup.METHOD, WARMUP), items(tiny)
    full = diagnose(tiny, encoded, objective, seed=3, batch_size=2)
    tiny.compute_in("bfloat16")
    half = diagnose(tiny, encoded, objective, seed=3, batch_size=2)
    draws = torch.rand((2, 3, 3), generator=torch.Generator().manual_seed(3))
    tiny.model.eval()
    loss = batch_loss(tiny, collate(encoded, PAD, torch.device("cpu")), objective, draws)
    assert loss.rollout.ly.dtype == torch.float32
    loss.likelihood.backward()
    squares = [float(p.grad.float().square().sum()) for p in tiny.model.parameters() if p.grad is not None]
    assert half["grad_norm_b"] == pytest.approx(math.sqrt(sum(squares)) / 5)
    marginal = loss.rollout.ly.exp().mean(dim=1).log()
    assert half["loss"] == pytest.approx(float(-marginal.sum()) / 5)
    for key in ("loss", "loss_direct", "loss_shuffled", "grad_norm_b"):
        assert half[key] != full[key]
    assert half["loss_direct"] == pytest.approx(full["loss_direct"], rel=0.05)


@pytest.mark.parametrize(
    ("c", "other", "share"), [([], [1], 0.0), ([1, 1], [1], 0.5), ([1, 2], [2, 1, 3], 1.0), ([4], [5], 0.0)]
)
def test_overlap_counts_a_token_as_often_as_it_stands(c, other, share):
    assert overlap(c, other) == share
