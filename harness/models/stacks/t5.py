"""The layers of T5 and mT5 (Raffel et al. 2020): they share a bias by distance, and scale no scores."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from warmup_bench.models.device import constant
from warmup_bench.models.stacks.attention import (
    Keys,
    Linear,
    Pair,
    attend,
    hidden_padding,
    normed,
    split_heads,
)
from warmup_bench.models.stacks.base import Stack
from warmup_bench.models.stacks.rows import Rows
from warmup_bench.models.stacks.slots import SlotWriter
from warmup_bench.models.state import State


class T5Stack(Stack):
    """The modules of a layer are named as in transformers' T5Block, and are the model's own."""

    fixed = True

    def encode(self, source: Tensor, mask: Tensor) -> State:
        """See :meth:`Stack.encode`."""
        encoder, decoder = self.model.get_encoder(), self.model.get_decoder()
        x = encoder.dropout(self.embed(encoder.embed_tokens, source))
        unseen = hidden_padding(mask, x.dtype)
        bias = _bias(encoder, source.shape[1]) + unseen
        every = Rows.regular(source.shape[0], 1, source.device)
        for block in encoder.block:
            x = _self_attention(block.layer[0], x, bias, None, every)[0]
            x = _feed_forward(block.layer[1], x)
        memory = encoder.dropout(normed(encoder.final_layer_norm, x))
        read = []
        for block in decoder.block:
            attention = block.layer[1].EncDecAttention
            size = attention.key_value_proj_dim
            read.append((split_heads(attention.k(memory), size), split_heads(attention.v(memory), size)))
        start = constant(self.start, source.device).expand(source.shape[0], -1)
        state = State(Keys([], read), memory[:, 0], mask, mask.new_zeros(mask.shape[0]))
        self.advance(state, start)
        return state

    def advance(self, state: State, tokens: Tensor) -> Tensor:
        """See :meth:`Stack.advance`."""
        hidden, own = self._decode(state, tokens, Rows.regular(state.rows, 1, tokens.device))
        state.cache = Keys(own, state.cache.encoder)
        state.hidden, state.position = hidden[:, -1], state.position + tokens.shape[1]
        return hidden

    def read(self, state: State, tokens: Tensor, rows: Rows) -> Tensor:
        """See :meth:`Stack.read`."""
        return self._decode(state, tokens, rows)[0]

    def _decode(self, state: State, tokens: Tensor, rows: Rows) -> tuple[Tensor, list[Pair]]:
        """Hidden states of the decoder, and all keys and values of its own that the rows have by then."""
        decoder, keys = self.model.get_decoder(), state.cache
        x = decoder.dropout(self.embed(decoder.embed_tokens, tokens))
        width = tokens.shape[1]
        past = keys.own[0][0].shape[2] if keys.own else 0
        bias = _bias(decoder, past + width)[:, :, past:]
        later = torch.ones(bias.shape[2:], dtype=torch.bool, device=x.device).triu(past + 1)
        bias = bias.masked_fill(later, -torch.inf)
        unseen = hidden_padding(state.source_mask, x.dtype)
        own = []
        for index, block in enumerate(decoder.block):
            before = keys.own[index] if keys.own else None
            x, pair = _self_attention(block.layer[0], x, bias, before, rows)
            own.append(pair)
            layer, attention = block.layer[1], block.layer[1].EncDecAttention
            q = split_heads(attention.q(normed(layer.layer_norm, x)), attention.key_value_proj_dim)
            rate = attention.dropout if self.model.training else 0.0
            # The rows of an input are as many queries of one attention: its keys stand there once for all.
            attended = attend(rows.by_input(q), keys.encoder[index], unseen, 1.0, rate)
            x = x + layer.dropout(attention.o(rows.by_row(attended, width)))
            x = _feed_forward(block.layer[2], x)
        return decoder.dropout(normed(decoder.final_layer_norm, x)), own

    def writer(self, state: State, width: int, room: int) -> T5Writer:
        """See :meth:`Stack.writer`."""
        return T5Writer(self.model.get_decoder(), state, width, room)


def _self_attention(
    layer: Any, x: Tensor, bias: Tensor, before: Pair | None, rows: Rows
) -> tuple[Tensor, Pair]:
    """x after a layer's self-attention, and its keys and values, those that stood ``before`` included."""
    attention = layer.SelfAttention
    n = normed(layer.layer_norm, x)
    q, k, v = (
        split_heads(f(n), attention.key_value_proj_dim) for f in (attention.q, attention.k, attention.v)
    )
    if before is not None:
        k, v = (
            torch.cat([b.index_select(0, rows.of), t], dim=2) for b, t in zip(before, (k, v), strict=True)
        )
    rate = attention.dropout if layer.training else 0.0
    attended = attend(q, (k, v), bias, 1.0, rate).transpose(1, 2).flatten(2)
    return x + layer.dropout(attention.o(attended)), (k, v)


def _feed_forward(layer: Any, x: Tensor) -> Tensor:
    output: Tensor = x + layer.dropout(layer.DenseReluDense(normed(layer.layer_norm, x)))
    return output


def _bias(stack: Any, length: int) -> Tensor:
    """The bias of every query on every key, [1, heads, length, length]."""
    first = stack.block[0].layer[0].SelfAttention
    bias: Tensor = first.compute_bias(length, length, device=stack.embed_tokens.weight.device)
    return bias


@dataclass(frozen=True, slots=True)
class _Weights:
    """Of a decoder layer; what reads the same stands in one matrix."""

    qkv: Linear
    o: Linear
    cross_q: Linear
    cross_o: Linear
    wi: Linear
    wo: Linear


class T5Writer(SlotWriter):
    """See :class:`SlotWriter`."""

    def __init__(self, decoder: Any, state: State, width: int, room: int) -> None:
        """See :meth:`warmup_bench.models.base.Backbone.writer`."""
        super().__init__(state, width, room)
        self._decoder, self._encoder = decoder, state.cache.encoder
        self._unseen = hidden_padding(state.source_mask, self.hidden.dtype)
        self._sight[..., : self._read] = 0.0
        self._weights = [_weights(block) for block in decoder.block]
        # By step and key: of the query that a row then is, on what was read and on the slot of each row.
        bias = _bias(decoder, self._read + self.room)[0, :, self._read :]  # [heads, room, read + room]
        slots = [bias[..., : self._read], *[bias[..., self._read :]] * width]
        unseen = bias.new_zeros((*bias.shape[:2], self._total - self._read - width * room))
        self._bias = torch.cat([*slots, unseen], dim=2).transpose(0, 1).contiguous()

    def _layers(self, tokens: Tensor) -> Tensor:
        x: Tensor = self._decoder.embed_tokens(tokens)
        mask = self._sight + self._bias.index_select(0, self.step)[:, :, None]
        for index, (block, weights) in enumerate(zip(self._decoder.block, self._weights, strict=True)):
            layer = block.layer[0]
            size = layer.SelfAttention.key_value_proj_dim
            q, k, v = weights.qkv(normed(layer.layer_norm, x)).view(x.shape[0], 3, -1, size).unbind(1)
            x = weights.o.add_to(x, self._attend(index, q, k, v, mask, 1.0))
            q = weights.cross_q(normed(block.layer[1].layer_norm, x)).view(x.shape[0], -1, size)
            attended = attend(self._by_input(q), self._encoder[index], self._unseen, 1.0)
            x = weights.cross_o.add_to(x, self._by_row(attended))
            layer = block.layer[2]
            x = weights.wo.add_to(
                x, _activated(layer.DenseReluDense, weights.wi(normed(layer.layer_norm, x)))
            )
        return normed(self._decoder.final_layer_norm, x)

    def keep(self, inputs: Tensor) -> None:
        """See :meth:`Writer.keep`."""
        super().keep(inputs)
        self._encoder = [(k[inputs], v[inputs]) for k, v in self._encoder]
        self._unseen = self._unseen[inputs]


def _weights(block: Any) -> _Weights:
    own, cross, dense = (
        block.layer[0].SelfAttention,
        block.layer[1].EncDecAttention,
        block.layer[2].DenseReluDense,
    )
    gated = hasattr(dense, "wi_0")
    return _Weights(
        Linear.of([own.q, own.k, own.v]),
        Linear.of([own.o]),
        Linear.of([cross.q]),
        Linear.of([cross.o]),
        Linear.of([dense.wi_0, dense.wi_1] if gated else [dense.wi]),
        Linear.of([dense.wo]),
    )


def _activated(dense: Any, x: Tensor) -> Tensor:
    """What goes into ``wo``: the activation, or a gate times the other half."""
    if not hasattr(dense, "wi_0"):
        activated: Tensor = dense.act(x)
        return activated
    gate, linear = x.chunk(2, dim=-1)
    return dense.act(gate) * linear  # type: ignore[no-any-return]
