"""Models of random weights in the sizes that are compared, as backbones without a tokenizer."""

from dataclasses import dataclass
from typing import Any

import torch

from warmup_bench.models.costs import measure_costs
from warmup_bench.models.families import DecoderOnly, EncoderDecoder
from warmup_bench.models.state import SpecialTokens

PAD, EOS, SEPARATOR = 0, 1, 2
FIRST = 3
"""Ids from here on are plain tokens."""


@dataclass(frozen=True, slots=True)
class Size:
    """Shape of a model, and the inputs of a training step.

    A T5 has ``layers`` layers in its encoder and as many in its decoder, a Llama twice ``layers``; the
    Llama's gated feed-forward is two thirds as wide, so that both have about as many weights a layer.
    """

    width: int
    heads: int
    head_size: int
    feed_forward: int
    layers: int
    vocabulary: int
    batch: int


SIZES = {
    "tiny": Size(width=16, heads=2, head_size=8, feed_forward=32, layers=1, vocabulary=64, batch=3),
    "mini": Size(width=128, heads=4, head_size=32, feed_forward=512, layers=2, vocabulary=2000, batch=32),
    "t5-small": Size(512, 8, 64, 2048, 6, 32128, batch=4),
    "t5-base": Size(768, 12, 64, 3072, 12, 32128, batch=32),
}
"""``mini``: 1.2M parameters as a T5; ``tiny``: for the tests alone, it measures nothing."""


def make_t5(size: Size, *, device: str = "cpu") -> EncoderDecoder:
    """A T5 without dropout; the same weights every time."""
    from transformers import T5Config, T5ForConditionalGeneration

    torch.manual_seed(0)
    config = T5Config(
        vocab_size=size.vocabulary,
        d_model=size.width,
        d_kv=size.head_size,
        d_ff=size.feed_forward,
        num_layers=size.layers,
        num_decoder_layers=size.layers,
        num_heads=size.heads,
        dropout_rate=0.0,
        decoder_start_token_id=PAD,
        pad_token_id=PAD,
        eos_token_id=EOS,
    )
    model = T5ForConditionalGeneration(config).to(device)
    return EncoderDecoder(model, None, SpecialTokens(PAD, EOS, SEPARATOR), measure_costs(model))


def make_llama(size: Size, *, device: str = "cpu") -> DecoderOnly:
    """A Llama; the same weights every time."""
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=size.vocabulary,
        hidden_size=size.width,
        intermediate_size=size.feed_forward * 2 // 3,
        num_hidden_layers=2 * size.layers,
        num_attention_heads=size.heads,
        num_key_value_heads=size.heads,
        head_dim=size.head_size,
        max_position_embeddings=1024,
        tie_word_embeddings=True,
        pad_token_id=PAD,
        bos_token_id=None,
        eos_token_id=EOS,
    )
    model = LlamaForCausalLM(config).to(device)
    tokens = SpecialTokens(PAD, EOS, SEPARATOR)
    return DecoderOnly(model, None, tokens, measure_costs(model), prefix=[], suffix=[])


def parameters(model: Any) -> int:
    """Number of weights."""
    return sum(p.numel() for p in model.parameters())
