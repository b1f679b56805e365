"""One interface over encoder-decoder and decoder-only models.

Everything that the harness does with a model goes through four calls: :meth:`Backbone.encode` reads the
inputs once, :meth:`Backbone.read` feeds tokens to rows that continue them in one pass with gradients,
:meth:`Backbone.writer` feeds them one at a time without, and :meth:`Backbone.logits` turns hidden states into
logits where they are needed. Sampling, scoring and decoding share them, so no two of them can disagree about
the model. Which layers run behind them is for :mod:`warmup_bench.models.stacks`.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from warmup_bench.models.costs import Costs
from warmup_bench.models.lora import has_adapter, save_adapter
from warmup_bench.models.replay import Graphs, L
from warmup_bench.models.stacks.base import Stack, Writer
from warmup_bench.models.stacks.rows import Rows
from warmup_bench.models.state import SpecialTokens, State

LAYOUT = "warmup_bench.json"
"""File beside a saved model that keeps its separator and prompt."""
TEXTS_A_CALL = 1000
"""Of a tokenizer: few calls, and what it makes beside the ids stays small."""


class _Head(torch.autograd.Function):
    """A weight as it is. Autograd goes back through what was made last first, so this one's turn is late."""

    @staticmethod
    def forward(_: Any, weight: Tensor) -> Tensor:
        return weight.view_as(weight)

    @staticmethod
    def backward(_: Any, gradient: Tensor) -> Tensor:
        return gradient


class Backbone(ABC):
    """A model with its tokenizer and the tokens that the harness places."""

    architecture: str

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        tokens: SpecialTokens,
        costs: Costs,
        *,
        prefix: Sequence[int],
        suffix: Sequence[int],
        start: Sequence[int] = (),
    ) -> None:
        """Wrap a loaded model; use :func:`warmup_bench.models.load.load_backbone`.

        ``prefix`` and ``suffix`` are the ids around the source; ``start`` is what a decoder reads before its
        first prediction, nothing in decoder-only models.
        """
        self.model, self.tokenizer, self.tokens, self.costs = model, tokenizer, tokens, costs
        self.prefix, self.suffix, self.start = list(prefix), list(suffix), list(start)
        self._head = model.get_output_embeddings()
        self.head_scale = 1.0
        self.stack: Stack
        self.graphs = Graphs()
        self._try_out()

    @abstractmethod
    def _try_out(self) -> None:
        """Find on the model itself how its hidden states become logits, and which stack it can have."""

    @property
    def device(self) -> torch.device:
        """Device of the weights."""
        device: torch.device = self._head.weight.device
        return device

    def compute_in(self, dtype: str) -> None:
        """Let the layers compute with weights of a type: "float32", or "bfloat16" with half the memory.

        T5 overflows in float16, so that is not offered. Buffers stay: rotary frequencies need their fp32.
        """
        self.graphs.clear()
        for parameter in self.model.parameters():
            parameter.data = parameter.data.to(getattr(torch, dtype))

    @property
    def vocabulary(self) -> int:
        """Number of logits."""
        size: int = self._head.weight.shape[0]
        return size

    def source_ids(self, text: str, max_tokens: int) -> tuple[list[int], bool]:
        """Ids of prefix, text and suffix, and whether the text was cut; prefix and suffix never are."""
        return self.framed(self.plain_ids(text), max_tokens)

    def framed(self, ids: Sequence[int], max_tokens: int) -> tuple[list[int], bool]:
        """:meth:`source_ids` of a text whose ids are these."""
        room = max(0, max_tokens - len(self.prefix) - len(self.suffix))
        return [*self.prefix, *ids[:room], *self.suffix], len(ids) > room

    def encode(self, source: Tensor, mask: Tensor) -> State:
        """Read [batch, source] ids (right-padded, ``mask`` 1 at tokens) once, up to the first prediction."""
        weight = self.head_weight
        # Made first, so that its gradient comes last: those of the embeddings are added to it in its place.
        head = None if weight is None else _Head.apply(weight)  # type: ignore[no-untyped-call]
        state = self.stack.encode(source, mask)
        state.head = head
        return state

    def advance(self, state: State, tokens: Tensor) -> Tensor:
        """Feed [rows, t] tokens; returns hidden states [rows, t, width] and moves ``state`` on in place.

        Row paddings may only follow a row's last token: a hidden state depends on what came before it.
        """
        return self.stack.advance(state, tokens)

    def read(self, state: State, tokens: Tensor, rows: Rows) -> Tensor:
        """Hidden states [rows, t, width] of [rows, t] tokens that continue inputs of ``state``, which stays
        as it is: what the rows of an input share stands in memory once."""
        return self.stack.read(state, tokens, rows)

    def writer(self, state: State, width: int, room: int) -> Writer:
        """``width`` rows for each row of ``state``, to write up to ``room`` tokens one by one, without
        gradient; ``state`` stays as it is."""
        return self.stack.writer(state, width, room)

    @property
    def captures(self) -> bool:
        """Whether the steps of loops can be captured: on a GPU, where a step has one shape."""
        return self.device.type == "cuda" and self.stack.fixed

    def looped(
        self, make: Callable[..., L], state: State, tensors: Sequence[Tensor], settings: Hashable
    ) -> L:
        """The loop ``make(state, *tensors)`` after its beginning; see :meth:`Graphs.begin`."""
        if self.captures:
            return self.graphs.begin(make, state, tensors, settings)
        return make(state, *tensors)

    def logits(self, hidden: Tensor) -> Tensor:
        """Logits [..., vocabulary] of hidden states [..., width], in the dtype of the computation."""
        out: Tensor = self._head(self.scaled(hidden))
        bias = getattr(self.model, "final_logits_bias", None)  # BART's, a buffer that moves with the model
        return out if bias is None else out + bias.to(out.dtype)

    def scaled(self, hidden: Tensor) -> Tensor:
        """Hidden states as the head takes them (T5 with tied embeddings scales them down)."""
        return hidden * self.head_scale if self.head_scale != 1.0 else hidden

    @property
    def head_weight(self) -> Tensor | None:
        """[vocabulary, width] where the logits are this weight times :meth:`scaled`, and nothing else."""
        plain = type(self._head) is torch.nn.Linear and self._head.bias is None
        if not plain or getattr(self.model, "final_logits_bias", None) is not None:
            return None
        weight: Tensor = self._head.weight
        return weight

    def target_ids(self, text: str, max_tokens: int) -> tuple[list[int], bool]:
        """Token ids of a target, without special tokens and cut to ``max_tokens``; whether it was cut."""
        ids = self.plain_ids(text, target=True)
        return ids[:max_tokens], len(ids) > max_tokens

    def plain_ids(self, text: str, *, target: bool = False) -> list[int]:
        """Token ids of a text; text that spells a special token stays text, so no input can end a warmup.

        ``target`` says that the decoder writes it: Marian has another tokenizer for that side.
        """
        return next(self.many_ids([text], target=target))

    def many_ids(self, texts: Sequence[str], *, target: bool = False) -> Iterator[list[int]]:
        """:meth:`plain_ids` of every text, in few calls of the tokenizer."""
        for first in range(0, len(texts), TEXTS_A_CALL):
            some = list(texts[first : first + TEXTS_A_CALL])
            for text, ids in zip(some, self._tokenized(some, target), strict=True):
                yield ids if self._special.isdisjoint(ids) else self._spelled_out(text, target)

    def _tokenized(self, texts: list[str], target: bool) -> list[list[int]]:
        side = "text_target" if target and hasattr(self.tokenizer, "spm_target") else "text"
        rows: list[list[int]] = self.tokenizer(
            **{side: texts},
            add_special_tokens=False,
            split_special_tokens=True,
            return_attention_mask=False,
            return_token_type_ids=False,
        )["input_ids"]
        return rows

    def _spelled_out(self, text: str, target: bool) -> list[int]:
        # T5's </s> is a piece of its vocabulary like any other: only a space inside keeps it text.
        for token in sorted(self.tokenizer.all_special_tokens, key=len, reverse=True):
            text = text.replace(token, f"{token[0]} {token[1:]}")
        (ids,) = self._tokenized([text], target)
        return [i for i in ids if i not in self._special]

    @cached_property
    def _special(self) -> frozenset[int]:
        """Special ids that no text may give; the one of unknown characters it may."""
        return frozenset(self.tokenizer.all_special_ids) - {self.tokenizer.unk_token_id}

    def text(self, ids: Sequence[int]) -> str:
        """Text of generated ids, special tokens dropped."""
        decoded: str = self.tokenizer.decode(
            list(ids), skip_special_tokens=True, clean_up_tokenization_spaces=False
        )
        return decoded.strip()

    def save(self, folder: Path) -> None:
        """Write weights (safetensors), config and tokenizer in the layout of ``from_pretrained``; of a model
        with LoRA, its adapter alone."""
        if has_adapter(self.model):
            save_adapter(self.model, folder)
        else:
            self.model.save_pretrained(folder)
        self.tokenizer.save_pretrained(folder)
        separator = self.tokenizer.convert_ids_to_tokens(self.tokens.separator)
        layout = {"separator": separator, "prefix": self.prefix, "suffix": self.suffix}
        if self.start:
            layout["start"] = self.start
        (folder / LAYOUT).write_text(json.dumps(layout) + "\n", encoding="utf-8")
