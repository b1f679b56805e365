"""Rows that write token by token, without gradient: the one loop under sampling, greedy and beam search.

transformers' decoders prepare masks, positions and a growing copy of the cache at every token. For the T5 and
Llama families the attention of one step stands here instead: keys are written into a buffer, and the rows of
one input share its keys (the encoder's, or the prompt's). Everything else of a layer is the model's own
modules. At load the loop is tried against transformers on the model itself (:func:`choose_writer`); a model
on which it differs, or of another family, is written with by :class:`AnyWriter`.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from warmup_bench.models.base import Backbone, Writer
from warmup_bench.models.state import State

ROOM = 32
"""Tokens that a new key buffer holds; it doubles when it is full."""


class AnyWriter(Writer):
    """Through transformers' own forward pass: every family that :class:`Backbone` follows."""

    def __init__(self, backbone: Backbone, state: State, width: int) -> None:
        super().__init__(backbone, state, width)
        self._state = state.repeat(width)
        self.hidden = self._state.hidden

    def feed(self, tokens: Tensor) -> None:
        """See :meth:`Writer.feed`."""
        self.backbone.advance(self._state, tokens[:, None])
        self.hidden = self._state.hidden

    def keep(self, inputs: Tensor) -> None:
        """See :meth:`Writer.keep`."""
        self._state = self._state.select(self._rows_of(inputs))
        self.hidden = self._state.hidden

    def follow(self, rows: Tensor) -> None:
        """See :meth:`Writer.follow`."""
        self._state = self._state.reorder(rows)


class _Buffered(Writer):
    """Keys and values of the written tokens in buffers, those of the input shared by its rows."""

    def __init__(self, backbone: Backbone, state: State, width: int) -> None:
        super().__init__(backbone, state, width)
        self.hidden = state.hidden.repeat_interleave(width, dim=0)
        self._visible = state.source_mask[:, None, None].bool()  # [inputs, 1, 1, source]
        self._shared: list[tuple[Tensor, Tensor]] = []  # of a layer, [inputs, heads, source, size]
        self._own: list[tuple[Tensor, Tensor]] = []  # of a layer, [rows, heads, room, size]
        self._used = 0

    def keep(self, inputs: Tensor) -> None:
        """See :meth:`Writer.keep`."""
        rows = self._rows_of(inputs)
        self.hidden, self._visible = self.hidden[rows], self._visible[inputs]
        self._shared = [(k[inputs], v[inputs]) for k, v in self._shared]
        self._own = [(k[rows], v[rows]) for k, v in self._own]

    def follow(self, rows: Tensor) -> None:
        """See :meth:`Writer.follow`."""
        for pair in self._own:
            for buffer in pair:
                written = buffer[:, :, : self._used]
                written.copy_(written[rows])

    def _write(self, layer: int, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        """Append [rows, heads, size] to a layer; all of its own keys and values so far."""
        if layer == len(self._own):
            shape = (key.shape[0], key.shape[1], ROOM, key.shape[2])
            self._own.append((key.new_empty(shape), value.new_empty(shape)))
        keys, values = self._own[layer]
        if keys.shape[2] == self._used:
            keys, values = (torch.cat([b, torch.empty_like(b)], dim=2) for b in (keys, values))
            self._own[layer] = keys, values
        keys[:, :, self._used], values[:, :, self._used] = key, value
        return keys[:, :, : self._used + 1], values[:, :, : self._used + 1]


class T5Writer(_Buffered):
    """T5 and mT5 (Raffel et al. 2020): a bias by distance, shared by the layers; scores are not scaled."""

    def __init__(self, backbone: Backbone, state: State, width: int) -> None:
        super().__init__(backbone, state, width)
        self._decoder = backbone.model.get_decoder()
        self._first = self._decoder.block[0].layer[0].SelfAttention
        self._bias = torch.empty(0)
        self._shared = [(layer.keys, layer.values) for layer in state.cache.cross_attention_cache.layers]
        read = state.cache.self_attention_cache.layers  # the start token, and what was fed since
        for position in range(read[0].keys.shape[2]):
            for index, layer in enumerate(read):
                pair = (t[:, :, position].repeat_interleave(width, dim=0) for t in (layer.keys, layer.values))
                self._write(index, *pair)
            self._used += 1

    def feed(self, tokens: Tensor) -> None:
        """One step of the decoder; the modules of a layer are named as in transformers' T5Block."""
        x = self._decoder.embed_tokens(tokens)
        rows, bias = x.shape[0], self._bias_of(self._used)
        for index, block in enumerate(self._decoder.block):
            attention, normed = block.layer[0].SelfAttention, block.layer[0].layer_norm(x)
            q, k, v = (
                f(normed).view(rows, attention.n_heads, -1) for f in (attention.q, attention.k, attention.v)
            )
            keys, values = self._write(index, k, v)
            scores = q[:, :, None] @ keys.transpose(2, 3) + bias
            attended = _weighted(scores, values)
            x = x + attention.o(attended.reshape(rows, -1))
            attention, normed = block.layer[1].EncDecAttention, block.layer[1].layer_norm(x)
            keys, values = self._shared[index]
            # The rows of an input are as many queries of one attention: its keys are read once for all.
            q = attention.q(normed).view(-1, self.width, attention.n_heads, keys.shape[3]).transpose(1, 2)
            scores = (q @ keys.transpose(2, 3)).masked_fill(~self._visible, -torch.inf)
            attended = _weighted(scores, values)
            x = x + attention.o(attended.transpose(1, 2).reshape(rows, -1))
            x = block.layer[2](x)
        self.hidden = self._decoder.final_layer_norm(x)
        self._used += 1

    def _bias_of(self, position: int) -> Tensor:
        """The bias of a query at ``position`` on the keys 0..position, [1, heads, 1, position + 1]."""
        if self._bias.shape[-1] <= position:
            room = max(ROOM, 2 * position)
            # The last query's row holds the bias of every distance, the longest first.
            self._bias = self._first.compute_bias(room, room, device=self.hidden.device)[:, :, -1:]
        return self._bias[..., self._bias.shape[-1] - 1 - position :].to(self.hidden.dtype)


class RotaryWriter(_Buffered):
    """Llama, Qwen 2 and 3, and Mistral without a window: rotary positions, keys shared by groups of heads."""

    def __init__(self, backbone: Backbone, state: State, width: int) -> None:
        super().__init__(backbone, state, width)
        self._decoder = backbone.model.base_model
        self._shared = [(layer.keys, layer.values) for layer in state.cache.layers]
        written = self._shared[0][0].shape[2] - state.source_mask.shape[1]
        ones = self._visible.new_ones((*self._visible.shape[:3], written))
        self._visible = torch.cat([self._visible, ones], dim=3)
        self._position = state.position.repeat_interleave(width)[:, None]

    def keep(self, inputs: Tensor) -> None:
        """See :meth:`Writer.keep`."""
        self._position = self._position[self._rows_of(inputs)]
        super().keep(inputs)

    def feed(self, tokens: Tensor) -> None:
        """One step of the decoder; the modules of a layer are named as in transformers' LlamaDecoderLayer."""
        x = self._decoder.embed_tokens(tokens)
        cos, sin = self._decoder.rotary_emb(x[:, None], position_ids=self._position + self._used)
        for index, layer in enumerate(self._decoder.layers):
            x = x + self._attend(index, layer.self_attn, layer.input_layernorm(x), cos, sin)
            x = x + layer.mlp(layer.post_attention_layernorm(x))
        self.hidden = self._decoder.norm(x)
        self._used += 1

    def _attend(self, index: int, attention: Any, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        """Attention of one query a row to its input's keys and its own, [rows, width]."""
        rows, size, width = x.shape[0], attention.head_dim, self.width
        q, k, v = (f(x).view(rows, -1, size) for f in (attention.q_proj, attention.k_proj, attention.v_proj))
        if hasattr(attention, "q_norm"):
            q, k = attention.q_norm(q), attention.k_norm(k)
        q, k = _rotated(q, cos, sin), _rotated(k, cos, sin)
        keys, values = self._write(index, k, v)
        heads = k.shape[1]
        grouped = q.view(rows, heads, -1, size)  # [rows, heads, group, size]
        read_keys, read_values = self._shared[index]
        read = _by_input(grouped, width) @ read_keys.transpose(2, 3)  # [inputs, heads, width * group, source]
        read = read.masked_fill(~self._visible, -torch.inf)
        read = _by_row(read, width)
        own = grouped @ keys.transpose(2, 3)
        scores = torch.cat([read, own], dim=3) * attention.scaling  # [rows, heads, group, source + own]
        shares = _softmax(scores).to(values.dtype)
        of_read, of_own = torch.split(shares, [read.shape[3], own.shape[3]], dim=3)
        read = _by_row(_by_input(of_read, width) @ read_values, width)
        output: Tensor = attention.o_proj((read + of_own @ values).reshape(rows, -1))
        return output


def _by_input(x: Tensor, width: int) -> Tensor:
    """[inputs * width, heads, group, size] by input: [inputs, heads, width * group, size]."""
    return x.view(-1, width, *x.shape[1:]).transpose(1, 2).flatten(2, 3)


def _by_row(x: Tensor, width: int) -> Tensor:
    """The inverse of :func:`_by_input`."""
    return x.view(*x.shape[:2], width, -1, x.shape[3]).transpose(1, 2).flatten(0, 1)


def _weighted(scores: Tensor, values: Tensor) -> Tensor:
    """Values [..., keys, size] weighed by the softmax of [..., queries, keys]."""
    return _softmax(scores).to(values.dtype) @ values


def _softmax(scores: Tensor) -> Tensor:
    """Softmax over the keys, in fp32 at least."""
    return scores.softmax(dim=-1, dtype=torch.promote_types(scores.dtype, torch.float32))


def _rotated(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotary position embedding (Su et al. 2021) of [rows, heads, size], halves paired as in Llama."""
    first, second = x.chunk(2, dim=-1)
    return x * cos + torch.cat([-second, first], dim=-1) * sin


WRITERS: dict[str, type[Writer]] = {
    "t5": T5Writer,
    "mt5": T5Writer,
    "llama": RotaryWriter,
    "mistral": RotaryWriter,
    "qwen2": RotaryWriter,
    "qwen3": RotaryWriter,
}
"""By the model type of a transformers configuration."""


@torch.no_grad()
def choose_writer(backbone: Backbone) -> type[Writer]:
    """The writer of a model's family if it gives the model's own hidden states, else :class:`AnyWriter`.

    Two inputs of different length, with two rows each, write two tokens both ways.
    """
    model, device = backbone.model, backbone.device
    of_family = WRITERS.get(model.config.model_type)
    # Attention over a window forgets: transformers' own masks know how.
    if of_family is None or getattr(model.config, "sliding_window", None) is not None:
        return AnyWriter
    token, eos = backbone.tokens.separator, backbone.tokens.eos
    training = model.training
    model.eval()
    try:
        source = torch.tensor([[token, token, eos], [token, eos, backbone.tokens.pad]], device=device)
        state = backbone.encode(source, torch.tensor([[1, 1, 1], [1, 1, 0]], device=device))
        writers = [kind(backbone, state, 2) for kind in (AnyWriter, of_family)]
        for row in ([token, eos, eos, token], [eos, eos, token, token]):
            for writer in writers:
                writer.feed(torch.tensor(row, device=device))
        expected, ours = (writer.hidden.float() for writer in writers)
        same = expected.shape == ours.shape and (ours - expected).abs().max() <= 1e-3 * expected.abs().max()
    except (AttributeError, RuntimeError, TypeError):
        return AnyWriter  # a variant of the family with other modules
    finally:
        model.train(training)
    return of_family if same else AnyWriter
