"""Every family that transformers' own forward pass can be followed through."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from warmup_bench.models.device import constant
from warmup_bench.models.stacks.base import Stack, Writer
from warmup_bench.models.stacks.rows import Rows
from warmup_bench.models.state import State


class AnyStack(Stack):
    """What both kinds have in common: rows have keys of their own, copied from their input's."""

    def __init__(self, model: Any, start: Sequence[int]) -> None:
        """See :class:`Stack`."""
        super().__init__(model, start)
        self.body = model.get_decoder() if model.config.is_encoder_decoder else model.base_model
        # transformers has renamed it (5.24 warns of the old name), a family at a time for all we know.
        named = "cache" in inspect.signature(self.body.forward).parameters
        self.cache_name = "cache" if named else "past_key_values"
        for module in model.modules():
            # M2M-100's and NLLB's positions are no weights, and stay in fp32 where the layers don't.
            if type(module).__name__ == "M2M100SinusoidalPositionalEmbedding":
                module.register_forward_hook(lambda _, inputs, output: output.to(model.dtype))

    def read(self, state: State, tokens: Tensor, rows: Rows) -> Tensor:
        """See :meth:`Stack.read`."""
        return self.advance(state.select(rows.of), tokens)

    def writer(self, state: State, width: int, room: int) -> Writer:
        """See :meth:`Stack.writer`."""
        return AnyWriter(self, state, width)


class AnyEncoderDecoder(AnyStack):
    """A decoder that reads an encoder."""

    def encode(self, source: Tensor, mask: Tensor) -> State:
        """Run the encoder, and the decoder on its start tokens: that fills the cross-attention cache once."""
        from transformers.cache_utils import DynamicCache, EncoderDecoderCache

        memory = self.model.get_encoder()(input_ids=source, attention_mask=mask).last_hidden_state
        cache = EncoderDecoderCache(DynamicCache(), DynamicCache())
        start = constant(self.start, source.device).expand(source.shape[0], -1)
        out = self.body(
            input_ids=start,
            encoder_hidden_states=memory,
            encoder_attention_mask=mask,
            use_cache=True,
            **{self.cache_name: cache},
        )
        hidden = out.last_hidden_state[:, -1]
        return State(cache, hidden, mask, mask.new_full((mask.shape[0],), len(self.start)))

    def advance(self, state: State, tokens: Tensor) -> Tensor:
        """Feed tokens to the decoder; its cross-attention reads the cache, not the memory."""
        keys = state.cache.cross_attention_cache.layers[0].keys
        # Only the shape of the memory is read once the cross-attention cache is full.
        memory = keys.new_empty((1, 1, 1)).expand(state.rows, keys.shape[2], self.model.config.hidden_size)
        out = self.body(
            input_ids=tokens,
            encoder_hidden_states=memory,
            encoder_attention_mask=state.source_mask,
            use_cache=True,
            **{self.cache_name: state.cache},
        )
        hidden: Tensor = out.last_hidden_state
        state.hidden, state.position = hidden[:, -1], state.position + tokens.shape[1]
        return hidden


class AnyDecoderOnly(AnyStack):
    """A decoder that reads its own prompt."""

    def encode(self, source: Tensor, mask: Tensor) -> State:
        """Run the prompt once; padding stands at the right and is masked from everything after it."""
        from transformers.cache_utils import DynamicCache

        lengths = mask.sum(dim=1)
        positions = torch.arange(source.shape[1], device=source.device).expand_as(source)
        cache = DynamicCache()
        out = self.body(
            input_ids=source,
            attention_mask=mask,
            position_ids=positions,
            use_cache=True,
            **{self.cache_name: cache},
        )
        rows = torch.arange(source.shape[0], device=source.device)
        return State(cache, out.last_hidden_state[rows, lengths - 1], mask, lengths)

    def advance(self, state: State, tokens: Tensor) -> Tensor:
        """Feed tokens after the prompt, each row at its own positions."""
        width = tokens.shape[1]
        written = state.cache.get_seq_length() - state.source_mask.shape[1]
        ones = state.source_mask.new_ones((state.rows, written + width))
        steps = torch.arange(width, device=tokens.device)
        out = self.body(
            input_ids=tokens,
            attention_mask=torch.cat([state.source_mask, ones], dim=1),
            position_ids=state.position[:, None] + steps,
            use_cache=True,
            **{self.cache_name: state.cache},
        )
        hidden: Tensor = out.last_hidden_state
        state.hidden, state.position = hidden[:, -1], state.position + width
        return hidden


class AnyWriter(Writer):
    """Rows that :meth:`AnyStack.advance` feeds one token at a time."""

    def __init__(self, stack: AnyStack, state: State, width: int) -> None:
        """Rows i * width .. i * width + width - 1 continue row i of ``state``, which stays as it is."""
        self.stack, self.width = stack, width
        self._state = state.repeat(width)
        self.hidden = self._state.hidden

    def feed(self, tokens: Tensor) -> None:
        """See :meth:`Writer.feed`."""
        self.stack.advance(self._state, tokens[:, None])
        self.hidden = self._state.hidden

    def keep(self, inputs: Tensor) -> None:
        """See :meth:`Writer.keep`."""
        rows = (inputs[:, None] * self.width + torch.arange(self.width, device=inputs.device)).flatten()
        self._state = self._state.select(rows)
        self.hidden = self._state.hidden

    def follow(self, parents: Tensor) -> None:
        """See :meth:`Writer.follow`."""
        first = torch.arange(parents.shape[0], device=parents.device)[:, None] * self.width
        self._state = self._state.reorder((first + parents).flatten())
