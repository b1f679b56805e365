"""Which stack a model has: that of its family if it gives the model's own numbers, else transformers'."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from warmup_bench.models.stacks.any_family import AnyDecoderOnly, AnyEncoderDecoder
from warmup_bench.models.stacks.base import Stack
from warmup_bench.models.stacks.rotary import RotaryStack
from warmup_bench.models.stacks.rows import Rows
from warmup_bench.models.stacks.t5 import T5Stack
from warmup_bench.models.state import SpecialTokens

STACKS: dict[str, type[Stack]] = {
    "t5": T5Stack,
    "mt5": T5Stack,
    "llama": RotaryStack,
    "mistral": RotaryStack,
    "qwen2": RotaryStack,
    "qwen3": RotaryStack,
}
"""By the model type of a transformers configuration."""


def any_stack(model: Any, start: Sequence[int]) -> Stack:
    """The stack that runs a model through transformers."""
    return (AnyEncoderDecoder if model.config.is_encoder_decoder else AnyDecoderOnly)(model, start)


@torch.no_grad()
def choose_stack(model: Any, start: Sequence[int], tokens: SpecialTokens) -> Stack:
    """The stack of a model's family, tried against transformers on the model itself."""
    config, theirs = model.config, any_stack(model, start)
    # Attention over a window forgets: transformers' own masks know how.
    if config.model_type not in STACKS or getattr(config, "sliding_window", None) is not None:
        return theirs
    ours = STACKS[config.model_type](model, start)
    training = model.training
    model.eval()
    try:
        expected, found = _tried(theirs, tokens), _tried(ours, tokens)
        same = expected.shape == found.shape and (found - expected).abs().max() <= 1e-3 * expected.abs().max()
    except (AttributeError, RuntimeError, TypeError):
        return theirs  # a variant of the family with other modules
    finally:
        model.train(training)
    return ours if same else theirs


def _tried(stack: Stack, tokens: SpecialTokens) -> Tensor:
    """Hidden states of two inputs of different length: two rows of the first and one of the second are
    read, and two rows of both write two tokens."""
    token, eos, device = tokens.separator, tokens.eos, stack.model.get_output_embeddings().weight.device
    source = torch.tensor([[token, token, eos], [token, eos, tokens.pad]], device=device)
    state = stack.encode(source, torch.tensor([[1, 1, 1], [1, 1, 0]], device=device))
    rows = Rows.grouped(torch.tensor([0, 0, 1], device=device))
    read = stack.read(state, torch.tensor([[token, eos], [eos, token], [eos, eos]], device=device), rows)
    writer = stack.writer(state, 2, 2)
    for row in ([token, eos, eos, token], [eos, eos, token, token]):
        writer.feed(torch.tensor(row, device=device))
    return torch.cat([read.flatten(0, 1), writer.hidden]).float()
