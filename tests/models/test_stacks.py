"""Reading and writing through our layers give the hidden states that transformers' own forward pass gives."""

import checkpoints
import pytest
import torch
import transformers
from random_models import random_backbone

import spelled_out
from tiny import EOS, PAD
from warmup_bench.models.stacks import choose, rotary
from warmup_bench.models.stacks.any_family import AnyStack, AnyWriter
from warmup_bench.models.stacks.rotary import RotaryStack
from warmup_bench.models.stacks.rows import Rows
from warmup_bench.models.stacks.t5 import T5Stack

T5 = {**checkpoints.T5, "d_kv": 4, "num_layers": 2, "num_decoder_layers": 3, "num_heads": 4}
LLAMA = {**checkpoints.LLAMA, "num_hidden_layers": 3, "max_position_embeddings": 256}
LLAMA3 = {"rope_type": "llama3", "rope_theta": 10000.0, "factor": 4.0, "low_freq_factor": 1.0}
LLAMA3 |= {"high_freq_factor": 4.0, "original_max_position_embeddings": 32}
FAMILIES = {
    "t5": ("t5", {**T5, "relative_attention_max_distance": 12, "relative_attention_num_buckets": 8}),
    "mt5": ("mt5", {**T5, "feed_forward_proj": "gated-gelu", "tie_word_embeddings": False}),
    "llama": ("llama", LLAMA),
    "llama3": ("llama", {**LLAMA, "rope_scaling": LLAMA3}),
    "mistral": ("mistral", {**LLAMA, "sliding_window": None}),
    "qwen2": ("qwen2", LLAMA),
    "qwen3": ("qwen3", {**LLAMA, "head_dim": 8}),
    "windowed": ("mistral", {**LLAMA, "sliding_window": 40}),
    "umt5": ("umt5", T5),
    "gpt2": ("gpt2", {"n_embd": 16, "n_layer": 2, "n_head": 4, "n_positions": 256}),
}
OWN = dict.fromkeys(("t5", "mt5"), T5Stack)
OWN |= dict.fromkeys(("llama", "llama3", "mistral", "qwen2", "qwen3"), RotaryStack)


SOURCE = torch.tensor([[3, 4, 5, 6, EOS], [7, 8, EOS, PAD, PAD], [9, 3, 4, EOS, PAD]])


pytestmark = pytest.mark.usefixtures("precise_norms")


def through_transformers(backbone):
    return choose.any_stack(backbone.model, backbone.start)


def gradients_of(backbone):
    """Of all weights; without a head's, those of tied embeddings are sparse."""
    gradients = [p.grad for p in backbone.model.parameters() if p.grad is not None]
    return [g.to_dense() if g.is_sparse else g for g in gradients]


def encoded(stack):
    """Three inputs that have been read, and written two tokens."""
    state = stack.encode(SOURCE, (SOURCE != PAD).long())
    stack.advance(state, torch.tensor([[5, 6], [7, 8], [9, 10]]))
    return state


def tolerance_of(name, dtype):
    if dtype == torch.float32:
        return 2e-5
    # transformers 4 takes T5's softmax in fp32.
    return 2e-5 if name in ("t5", "mt5") and transformers.__version__.startswith("4.") else 1e-10


def made(name, dtype, **changed):
    kind, settings = FAMILIES[name]
    backbone = random_backbone(kind, settings | changed)
    backbone.model.to(dtype)
    return backbone


PRECISIONS = pytest.mark.parametrize("dtype", [torch.float32, torch.float64])


@PRECISIONS
@pytest.mark.parametrize("name", FAMILIES)
@torch.no_grad()
def test_every_family_is_written_as_its_model_would(name, dtype):
    """In fp64 too, where only rounding could come closer: what differs in fp32 is rounding."""
    tolerance = tolerance_of(name, dtype)
    backbone = made(name, dtype)
    assert type(backbone.stack) is OWN.get(name, type(through_transformers(backbone)))
    state, same = encoded(backbone.stack), encoded(through_transformers(backbone))
    before = state.hidden.clone()
    ours, theirs = backbone.writer(state, 2, 40), through_transformers(backbone).writer(same, 2, 40)
    generator = torch.Generator().manual_seed(2)
    for step in range(38):  # past T5's largest distance
        tokens = torch.randint(3, 12, (theirs.hidden.shape[0],), generator=generator)
        for writer in (ours, theirs):
            writer.feed(tokens)
            if step in (3, 17, 18):  # beams change places within their input
                parents = torch.tensor([[0, 0], [1, 0], [1, 1]])[: len(tokens) // 2]
                writer.follow(parents)
            if step == 5:
                writer.keep(torch.tensor([0, 2]))
        assert theirs.hidden.std() > 0.1
        assert ours.hidden.dtype == dtype
        torch.testing.assert_close(ours.hidden, theirs.hidden, atol=tolerance, rtol=5 * tolerance)
    assert torch.equal(state.hidden, before)


@PRECISIONS
@pytest.mark.parametrize(
    "of", [[0, 0, 1, 1, 2, 2], [0, 0, 0, 1, 2, 2], [0, 1, 2]], ids=["pairs", "ragged", "one"]
)
@pytest.mark.parametrize("name", OWN)
def test_rows_read_what_their_input_has_read_with_the_same_gradients(name, of, dtype):
    """What rows share stands there once; hidden states and every weight's gradient are those of copies."""
    tolerance = 20 * tolerance_of(name, dtype)
    backbone = made(name, dtype)
    of = torch.tensor(of)
    generator = torch.Generator().manual_seed(3)
    tokens = torch.randint(3, 12, (len(of), 5), generator=generator)
    weights = torch.randn((len(of), 5, 16), generator=generator).to(dtype)
    found = []
    for stack in (backbone.stack, through_transformers(backbone)):
        state = encoded(stack)
        hidden = stack.read(state, tokens, Rows.grouped(of))
        (hidden * weights).sum().backward()
        found.append([hidden, *gradients_of(backbone)])
        backbone.model.zero_grad()
    ours, theirs = found
    assert len(ours) == len(theirs) > 10
    for mine, other in zip(ours, theirs, strict=True):
        scale = float(other.detach().abs().max())
        torch.testing.assert_close(mine, other, atol=tolerance * max(1.0, scale), rtol=0)


@pytest.mark.parametrize("packed", [1, 10])
@torch.no_grad()
def test_a_mask_over_too_many_rows_is_cut_into_smaller_ones(packed, monkeypatch):
    """Of four rows with five tokens each, one or two stand under a mask, and the input's keys are copied."""
    backbone = made("llama", torch.float64)
    of, tokens = torch.tensor([0, 0, 0, 0, 1, 1, 1, 2, 2, 2, 2]), torch.randint(3, 12, (11, 5))
    rows, state = Rows.grouped(of), encoded(backbone.stack)
    whole = backbone.read(state, tokens, rows)
    monkeypatch.setattr("warmup_bench.models.stacks.rotary.PACKED", packed)
    masks = []
    real = rotary._sight
    monkeypatch.setattr(rotary, "_sight", lambda *a: masks.append(real(*a).shape) or real(*a))
    torch.testing.assert_close(backbone.read(state, tokens, rows), whole, atol=1e-12, rtol=0)
    each = max(1, packed // 5)
    assert masks == [(3 * 4 // each, 1, 5 * each, 7 + 5 * each)]


@pytest.mark.parametrize("name", ["t5", "mt5"])
def test_dropout_falls_where_the_model_has_it(name, monkeypatch):
    """With a dropout that scales by the last axis in place of drawing, both ways agree, gradients too."""
    spelled_out.instead(monkeypatch)
    backbone = made(name, torch.float64, dropout_rate=0.3)
    backbone.model.train()
    of, tokens = torch.tensor([0, 0, 1, 1, 2, 2]), torch.randint(3, 12, (6, 5))
    found = []
    for stack in (backbone.stack, through_transformers(backbone)):
        hidden = stack.read(encoded(stack), tokens, Rows.grouped(of))
        hidden.square().sum().backward()
        found.append([hidden, *gradients_of(backbone)])
        backbone.model.zero_grad()
    tolerance = 1e3 * tolerance_of(name, torch.float64)
    for mine, other in zip(*found, strict=True):
        torch.testing.assert_close(mine, other, atol=tolerance, rtol=tolerance)


@torch.no_grad()
def test_a_family_whose_numbers_differ_is_run_by_its_model(monkeypatch):
    """A T5 that adds something of its own to each layer is found out at load."""
    from transformers.models.t5 import modeling_t5

    def shifted(self, *args, forward=modeling_t5.T5Attention.forward, **kwargs):
        output, *rest = forward(self, *args, **kwargs)
        return (output + 0.1, *rest)

    monkeypatch.setattr(modeling_t5.T5Attention, "forward", shifted)
    backbone = random_backbone(*FAMILIES["t5"])
    assert isinstance(backbone.stack, AnyStack)
    assert type(backbone.writer(encoded(backbone.stack), 1, 4)) is AnyWriter
