"""Writing token by token gives the hidden states that transformers' own forward pass gives."""

import checkpoints
import pytest
import torch
import transformers
from random_models import random_backbone

from tiny import EOS, PAD
from warmup_bench.models.writing import ROOM, AnyWriter, RotaryWriter, T5Writer

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
OWN = dict.fromkeys(("t5", "mt5"), T5Writer)
OWN |= dict.fromkeys(("llama", "llama3", "mistral", "qwen2", "qwen3"), RotaryWriter)


@torch.no_grad()
def read(backbone):
    source = torch.tensor([[3, 4, 5, 6, EOS], [7, 8, EOS, PAD, PAD], [9, 3, 4, EOS, PAD]])
    state = backbone.encode(source, (source != PAD).long())
    backbone.advance(state, torch.tensor([[5, 6], [7, 8], [9, 10]]))  # written before the writer starts
    return state


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 2e-5), (torch.float64, 1e-10)])
@pytest.mark.parametrize("name", FAMILIES)
@torch.no_grad()
def test_every_family_is_written_as_its_model_would(name, dtype, tolerance):
    """In fp64 too, where only rounding could come closer: what differs in fp32 is rounding."""
    if name in ("t5", "mt5") and transformers.__version__.startswith("4."):
        tolerance = 2e-5  # its softmax is taken in fp32, whatever the weights are
    backbone = random_backbone(*FAMILIES[name])
    backbone.model.to(dtype)
    state = read(backbone)
    before = state.hidden.clone(), state.cache.get_seq_length()
    ours, theirs = backbone.writer(state, 2), AnyWriter(backbone, state, 2)
    assert type(ours) is OWN.get(name, AnyWriter)
    generator = torch.Generator().manual_seed(2)
    for step in range(ROOM + 6):  # past the first buffer, and past T5's largest distance
        tokens = torch.randint(3, 12, (theirs.hidden.shape[0],), generator=generator)
        for writer in (ours, theirs):
            writer.feed(tokens)
            if step in (3, ROOM + 1):  # beams: rows change places within their input
                rows = torch.arange(len(tokens)).view(-1, 2).flip(1)
                writer.follow(torch.cat([rows[:1].fill_(0), rows[1:]]).flatten())
            if step == 5:
                writer.keep(torch.tensor([0, 2]))
        assert theirs.hidden.std() > 0.1
        assert ours.hidden.dtype == dtype
        torch.testing.assert_close(ours.hidden, theirs.hidden, atol=tolerance, rtol=5 * tolerance)
    assert torch.equal(state.hidden, before[0])
    assert state.cache.get_seq_length() == before[1]


@torch.no_grad()
def test_a_family_whose_numbers_differ_is_written_by_its_model(monkeypatch):
    """A T5 that adds something of its own to each layer is found out at load."""
    from transformers.models.t5 import modeling_t5

    def shifted(self, *args, forward=modeling_t5.T5Attention.forward, **kwargs):
        output, *rest = forward(self, *args, **kwargs)
        return (output + 0.1, *rest)

    monkeypatch.setattr(modeling_t5.T5Attention, "forward", shifted)
    backbone = random_backbone(*FAMILIES["t5"])
    assert type(backbone.writer(read(backbone))) is AnyWriter
