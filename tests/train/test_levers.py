"""Levers of the warmup section: the format stage, the weight of the direct path and that of the credit."""

import pytest
import torch
import transformers

from plugin_files import planned
from tiny import batch_of, distance, draws_of, gradients_of, source_of
from warmup_bench.baselines import filler, sft, shuffled, warmup, warmup_frozen
from warmup_bench.contracts.settings import Warmup
from warmup_bench.models.batching import Batch
from warmup_bench.train.loss import Turn, batch_loss
from warmup_bench.train.objective import Objective
from warmup_bench.train.rounds import Memory

TARGETS = [[5, 4, 4], [4]]


def loss_of(backbone, method, *, share=1.0, **levers):
    """The loss of two inputs with three warmups each; the same draws for every method and setting."""
    sources = [source_of(backbone, [4, 5]), source_of(backbone, [5, 5, 4])]
    batch = batch_of(sources, TARGETS)
    if method.warmup == "given":
        batch = Batch(batch.source, batch.mask, batch.target, batch.target_lengths, [[4], [4]])
    uniforms = torch.rand((2, 3, 2), generator=torch.Generator().manual_seed(0))
    objective = Objective(method, Warmup(samples=3, max_tokens=2, **levers))
    uniforms = uniforms[:, : objective.samples]
    backbone.model.train()
    turn = Turn(share, (0, 1), Memory())
    return batch_loss(backbone, batch, objective, draws_of(uniforms), turn=turn)


def gradient_of(backbone, method, **given):
    backbone.model.zero_grad()
    loss_of(backbone, method, **given).value.backward()
    return gradients_of(backbone)


def mixed(first, second, weight):
    return {name: (1 - weight) * first[name] + weight * second[name] for name in first}


@pytest.mark.parametrize("method", [warmup.METHOD, shuffled.METHOD])
def test_before_its_end_the_format_stage_is_warmup_frozen(tiny, method):
    frozen = gradient_of(tiny, warmup_frozen.METHOD)
    assert distance(gradient_of(tiny, method, share=0.49, format_share=0.5), frozen) == 0
    after = gradient_of(tiny, method, share=0.5, format_share=0.5)
    assert distance(after, gradient_of(tiny, method)) == 0
    assert distance(after, frozen) > 1e-3


def test_credit_scales_the_samplers_part_alone(tiny):
    whole, tenth = loss_of(tiny, warmup.METHOD), loss_of(tiny, warmup.METHOD, credit=0.1)
    assert float(tenth.credit.detach()) == pytest.approx(0.1 * float(whole.credit.detach()), rel=1e-6)
    assert float(tenth.likelihood.detach()) == float(whole.likelihood.detach())
    assert float(loss_of(tiny, warmup.METHOD, credit=0.0).credit.detach()) == 0


@pytest.mark.parametrize("method", [warmup.METHOD, filler.METHOD])
def test_the_direct_path_shares_the_loss_with_the_method(tiny, method):
    alone, direct = gradient_of(tiny, method), gradient_of(tiny, sft.METHOD)
    near = 1e-5 if transformers.__version__.startswith("4.") else 1e-6  # with PyTorch 2.6, its oldest partner
    assert distance(gradient_of(tiny, method, direct_weight=0.3), mixed(alone, direct, 0.3)) < near
    weighted = loss_of(tiny, method, direct_weight=0.3)
    plain, answer = loss_of(tiny, method), loss_of(tiny, sft.METHOD)
    assert float(weighted.value.detach()) == pytest.approx(
        0.7 * float(plain.value.detach()) + 0.3 * float(answer.value.detach())
    )
    # The inputs are encoded once for both paths: it costs the answers alone, less than a supervised step.
    assert 0 < weighted.flops - plain.flops <= answer.flops


def test_the_direct_path_has_no_direct_path_beside_it(tiny):
    plain, weighted = loss_of(tiny, sft.METHOD), loss_of(tiny, sft.METHOD, direct_weight=0.3)
    assert float(weighted.value.detach()) == float(plain.value.detach())
    assert weighted.flops == plain.flops


def test_a_cell_is_named_by_the_levers_that_its_method_reads(tmp_path):
    def ids(**section):
        plan = planned(tmp_path, methods=["sft", "warmup", "filler"], seeds=1, warmup=section)
        return {cell.method: cell.id for cell in plan.cells}

    plain = ids()
    assert ids(format_share=0.0, direct_weight=0.0, credit=1.0) == plain
    staged, direct = ids(format_share=0.5, credit=0.1), ids(direct_weight=0.3)
    assert [name for name in plain if staged[name] != plain[name]] == ["warmup"]
    assert [name for name in plain if direct[name] != plain[name]] == ["warmup", "filler"]
