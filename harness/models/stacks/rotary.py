"""The layers of Llama, Qwen 2 and 3, and Mistral without a window: rotary positions, grouped keys."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from warmup_bench.models.stacks.attention import (
    Keys,
    Linear,
    Pair,
    attend,
    hidden_from,
    hidden_padding,
    normed,
    split_heads,
)
from warmup_bench.models.stacks.base import Stack
from warmup_bench.models.stacks.rows import Rows
from warmup_bench.models.stacks.slots import SlotWriter
from warmup_bench.models.state import State

PACKED = 512
"""Tokens of an input's rows that may stand under one mask, which grows with their square."""


class RotaryStack(Stack):
    """The modules of a layer are named as in transformers' LlamaDecoderLayer, and are the model's own."""

    fixed = True

    def encode(self, source: Tensor, mask: Tensor) -> State:
        """See :meth:`Stack.encode`; padding stands at the right, where no token sees it."""
        rows = Rows.regular(source.shape[0], 1, source.device)
        lengths = mask.sum(dim=1)
        hidden, own = self._decode(None, source, rows)
        return State(Keys(own, []), hidden[rows.of, lengths - 1], mask, lengths)

    def advance(self, state: State, tokens: Tensor) -> Tensor:
        """See :meth:`Stack.advance`."""
        hidden, own = self._decode(state, tokens, Rows.regular(state.rows, 1, tokens.device))
        state.cache = Keys(own, [])
        state.hidden, state.position = hidden[:, -1], state.position + tokens.shape[1]
        ones = state.source_mask.new_ones((state.rows, tokens.shape[1]))
        state.source_mask = torch.cat([state.source_mask, ones], dim=1)
        return hidden

    def read(self, state: State, tokens: Tensor, rows: Rows) -> Tensor:
        """See :meth:`Stack.read`."""
        return self._decode(state, tokens, rows)[0]

    def _decode(self, state: State | None, tokens: Tensor, rows: Rows) -> tuple[Tensor, list[Pair]]:
        """Hidden states, and the keys and values of every input with those of its rows behind them.

        Without a state the rows begin with their first token.
        """
        body, width = self.model.base_model, tokens.shape[1]
        x = self.embed(body.embed_tokens, tokens)
        positions = torch.arange(width, device=x.device).expand(tokens.shape)
        mask, times = None, 1
        if state is not None:
            positions = positions + state.position[rows.of, None]
            times = _copied(rows.each, width, state.source_mask.shape[1])
            rows = rows.apart(times)
            mask = _sight(_copies(state.source_mask, times), rows.each, width, x.dtype)
        cos, sin = (t[:, None] for t in body.rotary_emb(x, position_ids=positions))
        own = []
        for index, layer in enumerate(body.layers):
            attention = layer.self_attn
            n = normed(layer.input_layernorm, x)
            projections = attention.q_proj, attention.k_proj, attention.v_proj
            q, k, v = (split_heads(f(n), attention.head_dim) for f in projections)
            if hasattr(attention, "q_norm"):
                q, k = normed(attention.q_norm, q), normed(attention.k_norm, k)
            q, k = rotated(q, cos, sin), rotated(k, cos, sin)
            rate = attention.attention_dropout if self.model.training else 0.0
            if state is None or mask is None:
                spread = _repeated(k, v, q.shape[1] // k.shape[1])
                attended = attend(q, spread, None, attention.scaling, rate).transpose(1, 2).flatten(2)
            else:
                k, v = (
                    torch.cat([_copies(b, times), rows.by_input(t)], dim=2)
                    for b, t in zip(state.cache.own[index], (k, v), strict=True)
                )
                packed = _attend_groups(rows.by_input(q), (k, v), mask, attention.scaling, rate)
                attended = rows.by_row(packed, width)
            own.append((k, v))
            x = x + attention.o_proj(attended)
            x = x + layer.mlp(normed(layer.post_attention_layernorm, x))
        return normed(body.norm, x), own

    def writer(self, state: State, width: int, room: int) -> RotaryWriter:
        """See :meth:`Stack.writer`."""
        return RotaryWriter(self.model.base_model, state, width, room)


def _repeated(k: Tensor, v: Tensor, times: int) -> Pair:
    return (k, v) if times == 1 else (k.repeat_interleave(times, dim=1), v.repeat_interleave(times, dim=1))


def _copied(each: int, width: int, read: int) -> int:
    """How often an input's keys are copied so that its rows' masks stay no larger than its own."""
    most = max(PACKED, read)
    return next(k for k in range(1, each + 1) if each % k == 0 and (each // k * width <= most or k == each))


def _copies(x: Tensor, times: int) -> Tensor:
    return x if times == 1 else x.repeat_interleave(times, dim=0)


def _attend_groups(q: Tensor, pair: Pair, mask: Tensor, scale: float, rate: float) -> Tensor:
    """The heads of a group are as many queries of one: its keys are not copied."""
    inputs, every, queries, size = q.shape
    heads = pair[0].shape[1]
    if every == heads:
        return attend(q, pair, mask, scale, rate)
    grouped = q.reshape(inputs, heads, -1, size)
    attended = attend(grouped, pair, mask.repeat(1, 1, every // heads, 1), scale, rate)
    return attended.reshape(inputs, every, queries, size)


def _sight(source_mask: Tensor, each: int, width: int, dtype: torch.dtype) -> Tensor:
    """What ``each`` rows of ``width`` tokens an input see, [inputs, 1, each * width, read + each * width].

    Every row sees what its input has read, and of the rows itself alone, up to the token.
    """
    inputs, read = source_mask.shape
    place = torch.arange(each * width, device=source_mask.device)
    row = place // width
    rows = (row[:, None] == row) & (place[:, None] >= place)
    seen = source_mask.bool()[:, None].expand(inputs, each * width, read)
    return hidden_from(torch.cat([seen, rows.expand(inputs, -1, -1)], dim=2)[:, None], dtype)


def rotated(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotary position embedding (Su et al. 2021) of [..., size], halves paired as in Llama."""
    first, second = x.chunk(2, dim=-1)
    return x * cos + torch.cat([-second, first], dim=-1) * sin


@dataclass(frozen=True, slots=True)
class _Weights:
    """Of a layer; what reads the same stands in one matrix."""

    qkv: Linear
    o: Linear
    wi: Linear
    wo: Linear


class RotaryWriter(SlotWriter):
    """See :class:`SlotWriter`."""

    def __init__(self, body: Any, state: State, width: int, room: int) -> None:
        """See :meth:`warmup_bench.models.base.Backbone.writer`."""
        super().__init__(state, width, room)
        self._body = body
        self._position = state.position.repeat_interleave(width)[:, None]
        self._sight[..., : self._read] = hidden_padding(state.source_mask, self.hidden.dtype)
        self._weights = [_weights(layer) for layer in body.layers]

    def keep(self, inputs: Tensor) -> None:
        """See :meth:`Writer.keep`."""
        super().keep(inputs)
        self._position = self._position.view(-1, self.width)[inputs].view(-1, 1)

    def _layers(self, tokens: Tensor) -> Tensor:
        x: Tensor = self._body.embed_tokens(tokens)
        cos, sin = self._body.rotary_emb(x[:, None], position_ids=self._position + self.step)
        half = cos.shape[-1] // 2
        signed = torch.cat([-sin[..., :half], sin[..., half:]], dim=-1)
        masks: dict[int, Tensor] = {}
        for index, (layer, weights) in enumerate(zip(self._body.layers, self._weights, strict=True)):
            attention = layer.self_attn
            heads = self._own[index][0].shape[1]
            qkv = weights.qkv(normed(layer.input_layernorm, x)).view(x.shape[0], -1, attention.head_dim)
            every = qkv.shape[1] - 2 * heads
            if hasattr(attention, "q_norm"):
                q, k, v = torch.split(qkv, [every, heads, heads], dim=1)
                qk = torch.cat([normed(attention.q_norm, q), normed(attention.k_norm, k)], dim=1)
            else:
                qk, v = torch.split(qkv, [every + heads, heads], dim=1)
            qk = torch.addcmul(qk * cos, qk.roll(half, -1), signed)  # :func:`rotated`, in three operations
            q, k = torch.split(qk, [every, heads], dim=1)
            group = every // heads
            if group not in masks:
                masks[group] = self._sight.repeat_interleave(group, dim=2) if group > 1 else self._sight
            x = weights.o.add_to(x, self._attend(index, q, k, v, masks[group], attention.scaling))
            gate, linear = weights.wi(normed(layer.post_attention_layernorm, x)).chunk(2, dim=-1)
            x = weights.wo.add_to(x, layer.mlp.act_fn(gate) * linear)
        return normed(self._body.norm, x)


def _weights(layer: Any) -> _Weights:
    attention, mlp = layer.self_attn, layer.mlp
    return _Weights(
        Linear.of([attention.q_proj, attention.k_proj, attention.v_proj]),
        Linear.of([attention.o_proj]),
        Linear.of([mlp.gate_proj, mlp.up_proj]),
        Linear.of([mlp.down_proj]),
    )
