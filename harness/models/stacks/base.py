"""What every stack of layers can do: read inputs, read rows that continue them, and write token by token."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

from torch import Tensor
from torch.nn import Embedding, functional

from warmup_bench.models.device import waits
from warmup_bench.models.stacks.rows import Rows
from warmup_bench.models.state import State


class Writer(ABC):
    """``width`` rows for each input, which write on from where its state stands.

    Attributes:
        hidden: Last hidden state, [inputs * width, model width]; it predicts the next token.
    """

    hidden: Tensor
    width: int

    @abstractmethod
    def feed(self, tokens: Tensor) -> None:
        """Write one token a row, [rows]."""

    @abstractmethod
    def keep(self, inputs: Tensor) -> None:
        """Go on with these inputs alone, [k] indices."""

    @abstractmethod
    def follow(self, parents: Tensor) -> None:
        """Row j of input i goes on as its row ``parents[i, j]``, [inputs, width]."""


class Stack(ABC):
    """The layers of a model, from token ids to last hidden states.

    Attributes:
        fixed: Whether a step of its writers has one shape, however far they have come.
    """

    fixed = False

    def __init__(self, model: Any, start: Sequence[int]) -> None:
        """Of a transformers model; ``start`` is what a decoder reads before its first prediction."""
        self.model, self.start = model, tuple(start)

    def embed(self, embedding: Any, tokens: Tensor) -> Tensor:
        """Embeddings of token ids.

        Where the head has the same weight, their gradient is sparse: it is added to the head's in its place,
        and a vocabulary's gradient, the largest tensor of a small model's step, stands there once.
        """
        weight, head = embedding.weight, self.model.get_output_embeddings().weight
        sparse = type(embedding) is Embedding and weight is head and not waits(tokens.device)
        embedded: Tensor = functional.embedding(tokens, weight, sparse=True) if sparse else embedding(tokens)
        return embedded

    @abstractmethod
    def encode(self, source: Tensor, mask: Tensor) -> State:
        """See :meth:`warmup_bench.models.base.Backbone.encode`."""

    @abstractmethod
    def advance(self, state: State, tokens: Tensor) -> Tensor:
        """See :meth:`warmup_bench.models.base.Backbone.advance`."""

    @abstractmethod
    def read(self, state: State, tokens: Tensor, rows: Rows) -> Tensor:
        """See :meth:`warmup_bench.models.base.Backbone.read`."""

    @abstractmethod
    def writer(self, state: State, width: int, room: int) -> Writer:
        """See :meth:`warmup_bench.models.base.Backbone.writer`."""
