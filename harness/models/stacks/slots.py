"""Writing token by token into buffers of one shape, without gradient: under sampling, greedy and beam search.

An input's rows write into slots that stand behind what the input has read; a row sees the slots of its own
past. So beams change places by what they see, and nothing is copied; and since no shape depends on how far
the rows have come, a step can be captured once on a GPU and replayed.
"""

from __future__ import annotations

from abc import abstractmethod

import torch
from torch import Tensor

from warmup_bench.models.stacks.attention import attend
from warmup_bench.models.stacks.base import Writer
from warmup_bench.models.state import State

SLOTS = 8
"""Keys come in multiples of it, the last ones never seen: fused kernels want their masks aligned."""


class SlotWriter(Writer):
    """What the writers of both families have in common.

    Attributes:
        step: How many tokens the rows have written, [1].
    """

    def __init__(self, state: State, width: int, room: int) -> None:
        """See :meth:`warmup_bench.models.base.Backbone.writer`."""
        self.width, self.room = width, room
        self.hidden = state.hidden.repeat_interleave(width, dim=0)
        device = self.hidden.device
        self._read: int = state.cache.own[0][0].shape[2]
        self._total = -(-(self._read + width * room) // SLOTS) * SLOTS
        self._own = [(self._with_slots(k), self._with_slots(v)) for k, v in state.cache.own]
        self.step = torch.zeros(1, dtype=torch.long, device=device)
        self._slots = self._read + self.room * torch.arange(width, device=device)  # written next, [width]
        self._sight = torch.full(
            (state.rows, 1, width, self._total),
            -torch.inf,
            dtype=self.hidden.dtype,
            device=device,
        )  # additive: what each row sees
        self._itself = torch.full((width, width), -torch.inf, dtype=self.hidden.dtype, device=device)
        self._itself.fill_diagonal_(0.0)

    def _with_slots(self, read: Tensor) -> Tensor:
        """Keys or values [inputs, heads, read, size] with room behind them."""
        inputs, heads, count, size = read.shape
        buffer = read.new_zeros((inputs, heads, self._total, size))
        buffer[:, :, :count] = read
        return buffer

    def feed(self, tokens: Tensor) -> None:
        """See :meth:`Writer.feed`."""
        inputs = self._sight.shape[0]
        self._sight.index_copy_(3, self._slots, self._itself.expand(inputs, 1, -1, -1))
        self.hidden.copy_(self._layers(tokens))
        self._slots += 1
        self.step += 1

    @abstractmethod
    def _layers(self, tokens: Tensor) -> Tensor:
        """Hidden states of tokens [rows] at the slots that are written next, [rows, model width]."""

    def _attend(self, layer: int, q: Tensor, k: Tensor, v: Tensor, mask: Tensor, scale: float) -> Tensor:
        """Write keys and values [rows, heads, size], and read with q, [rows, all heads * size]."""
        keys, values = self._own[layer]
        keys.index_copy_(2, self._slots, self._by_input(k))
        values.index_copy_(2, self._slots, self._by_input(v))
        return self._by_row(attend(self._by_input(q, keys.shape[1]), (keys, values), mask, scale))

    def _by_input(self, x: Tensor, heads: int | None = None) -> Tensor:
        """[rows, heads, size] as [inputs, heads, width, size].

        More heads than ``heads`` are groups of queries: [inputs, heads, width * group, size].
        """
        x = x.view(-1, self.width, *x.shape[1:])
        if heads is None or heads == x.shape[2]:
            return x.transpose(1, 2)
        inputs, _, every, size = x.shape
        x = x.view(inputs, self.width, heads, every // heads, size).transpose(1, 2)
        return x.reshape(inputs, heads, -1, size)

    def _by_row(self, x: Tensor) -> Tensor:
        """[inputs, heads, width * group, size] as [rows, heads * group * size]."""
        inputs, heads, _, size = x.shape
        x = x.view(inputs, heads, self.width, -1, size).transpose(1, 2)
        return x.reshape(inputs * self.width, -1)

    def keep(self, inputs: Tensor) -> None:
        """See :meth:`Writer.keep`."""
        self.hidden = self.hidden.view(-1, self.width, self.hidden.shape[1])[inputs].flatten(0, 1)
        self._own = [(k[inputs], v[inputs]) for k, v in self._own]
        self._sight = self._sight[inputs]

    def follow(self, parents: Tensor) -> None:
        """See :meth:`Writer.follow`."""
        index = parents[:, None, :, None].expand(-1, -1, -1, self._sight.shape[3])
        self._sight.copy_(self._sight.gather(2, index))
