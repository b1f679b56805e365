"""The operation counts, against those that PyTorch counts while the model runs.

Attention is spelled out here, and every row reads keys of its own: ``FlopCounterMode`` does not see the CPU's
fused kernel, and rows under one mask compute pairs that no method asks for. Two deviations remain by design:
causal attention is counted in full, and a sampled or decoded token is taken to attend to the whole of the
final sequence (an upper bound, about 1% at these sizes).
"""

import dataclasses

import numpy as np
import pytest
import torch
from random_models import model_of, wrapped
from torch.utils.flop_counter import FlopCounterMode

import spelled_out
from tiny import ANSWER, EOS, PAD, SEPARATOR, batch_of, draws_of
from warmup_bench.baselines import sft, warmup
from warmup_bench.contracts.settings import Lora, Warmup
from warmup_bench.decode import decode_all
from warmup_bench.models.costs import measure_costs
from warmup_bench.models.families import EncoderDecoder
from warmup_bench.models.lora import add_adapter
from warmup_bench.models.presets import MINI_LLAMA, MINI_T5
from warmup_bench.models.state import SpecialTokens
from warmup_bench.train.loss import batch_loss
from warmup_bench.train.objective import Objective

VOCABULARY = 2000
PRESETS = {"mini-t5": MINI_T5, "mini-llama": MINI_LLAMA}


@pytest.fixture(autouse=True)
def attention_spelled_out(monkeypatch):
    where = "warmup_bench.models.stacks.attention.scaled_dot_product_attention"
    monkeypatch.setattr(where, spelled_out.attention)
    monkeypatch.setattr("warmup_bench.models.stacks.rotary.PACKED", 1)
    monkeypatch.setattr("warmup_bench.models.rollout.TOGETHER", 1)


def backbone_of(preset, *, dropout=0.0, **changes):
    from transformers import AutoConfig

    special = {"vocab_size": VOCABULARY, "pad_token_id": PAD, "eos_token_id": EOS}
    settings = preset.config | special | changes
    config = AutoConfig.for_model(settings.pop("model_type"), **settings)
    config.attention_dropout = config.dropout_rate = dropout
    if config.is_encoder_decoder:
        config.decoder_start_token_id = PAD
    torch.manual_seed(0)
    # The separator is banned: every warmup runs to the cap, so the sampler's work is known.
    return wrapped(model_of(config), SpecialTokens(PAD, EOS, SEPARATOR, never=(SEPARATOR, ANSWER)))


def step(backbone, method, *, dropout=0.0):
    """(our count, PyTorch's) of one training step, forward and backward, without padding."""
    inputs, samples, cap = 3, 4, 8
    batch = batch_of([[7] * 20] * inputs, [[9] * 14] * inputs)
    uniforms = torch.rand((inputs, samples, cap), generator=torch.Generator().manual_seed(0))
    objective = Objective(method, Warmup(samples=samples, max_tokens=cap))
    backbone.model.train()
    with FlopCounterMode(display=False) as counter:
        loss = batch_loss(backbone, batch, objective, draws_of(uniforms), dropout=dropout)
        loss.value.backward()
    return loss.flops, counter.get_total_flops()


@pytest.mark.parametrize("name", PRESETS)
def test_a_supervised_step(name):
    ours, counted = step(backbone_of(PRESETS[name]), sft.METHOD)
    assert ours == pytest.approx(counted, rel=1e-4)


@pytest.mark.parametrize("dropout", [0.0, 0.1])
@pytest.mark.parametrize("name", PRESETS)
def test_a_step_with_sampled_warmups(name, dropout):
    ours, counted = step(backbone_of(PRESETS[name], dropout=dropout), warmup.METHOD, dropout=dropout)
    assert ours == pytest.approx(counted, rel=1e-3)


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("mini-llama", {"num_key_value_heads": 2, "tie_word_embeddings": False}),
        ("mini-llama", {"head_dim": 64}),
        ("mini-t5", {"feed_forward_proj": "gated-gelu", "num_layers": 1, "num_decoder_layers": 3}),
    ],
    ids=["grouped queries, untied", "wide heads", "gated, unequal depths"],
)
def test_other_shapes(name, changes):
    ours, counted = step(backbone_of(PRESETS[name], **changes), sft.METHOD)
    assert ours == pytest.approx(counted, rel=1e-4)


@pytest.mark.parametrize(("warmup_cap", "output_cap"), [(0, 16), (5, 18)])
@pytest.mark.parametrize("name", PRESETS)
def test_decoding(name, warmup_cap, output_cap):
    backbone = backbone_of(PRESETS[name])
    # Nothing ends early, and the loop looks at each 4th token, so nothing is computed for rows that are done.
    backbone.tokens = dataclasses.replace(backbone.tokens, eos=VOCABULARY - 1, never=(2, 3, VOCABULARY - 1))
    with FlopCounterMode(display=False) as counter:
        decoded, flops = decode_all(
            backbone,
            [[7] * 24] * 4,
            warmup_cap=warmup_cap,
            output_cap=output_cap,
            batch_size=4,
            report=lambda *_: None,
        )
    assert flops == pytest.approx(counter.get_total_flops(), rel=0.01)
    assert [len(d.output) for d in decoded] == [output_cap] * 4


def test_padding_is_not_counted():
    """The ledger is about the method; what a batch pads is not its doing."""
    costs = backbone_of(MINI_T5).costs
    lengths = np.array([5, 40, 17])
    apart = sum(costs.encode(np.array([length])) for length in lengths)
    assert costs.encode(lengths) == pytest.approx(apart)


def test_weights_of_mini_t5_by_hand():
    costs = backbone_of(MINI_T5).costs
    attention, feed_forward, layers = 4 * 128 * 128, 2 * 128 * 512, 2
    assert costs.encoder == layers * (attention + feed_forward)
    assert costs.cross == layers * 2 * 128 * 128  # keys and values of the source
    assert costs.decoder == layers * (2 * attention + feed_forward) - costs.cross
    assert costs.head == 2000 * 128
    assert costs.encoder_attention == costs.decoder_attention == costs.cross_attention == layers * 128
    norms, positions = (2 * 2 + 1 + 2 * 3 + 1) * 128, 2 * 32 * 4
    assert costs.parameters == costs.encoder + costs.cross + costs.decoder + costs.head + norms + positions


def test_frozen_parameters_are_no_trainable_ones():
    model = backbone_of(MINI_LLAMA).model
    model.get_input_embeddings().weight.requires_grad_(False)
    costs = measure_costs(model)
    assert costs.parameters - costs.trainable == 2000 * 128


def adapted(name):
    """A backbone with LoRA of rank 8 on every linear layer."""
    backbone = backbone_of(PRESETS[name], tie_word_embeddings=False)
    add_adapter(backbone.model, Lora(rank=8), rows=(), dropout=0.0)
    return wrapped(backbone.model, backbone.tokens)


@pytest.mark.parametrize("name", PRESETS)
def test_a_step_with_adapters(name):
    """Counted though not needed: the gradient below the lowest adapter. Not counted: that the sampler merges
    the adapters once a step, as many operations as rank tokens, which is much only at this batch."""
    pytest.importorskip("peft")
    backbone = adapted(name)
    ours, counted = step(backbone, warmup.METHOD)
    assert ours == pytest.approx(counted, rel=0.1)
    plain, _ = step(backbone_of(PRESETS[name], tie_word_embeddings=False), warmup.METHOD)
    assert ours < 0.9 * plain


def test_a_decoder_that_reads_two_tokens_first():
    plain = backbone_of(MINI_T5)
    costs = measure_costs(plain.model, start=2)
    backbone = EncoderDecoder(plain.model, None, plain.tokens, costs, start=[PAD, SEPARATOR])
    ours, counted = step(backbone, sft.METHOD)
    assert ours == pytest.approx(counted, rel=1e-4)
