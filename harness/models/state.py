"""The rows of a batch while they are read and written, and the tokens that the harness places itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import Tensor


@dataclass(frozen=True, slots=True)
class SpecialTokens:
    """Token ids that the harness places itself."""

    pad: int
    eos: int
    separator: int
    never: tuple[int, ...] = ()
    """Ids that may never be generated, besides pad (a decoder start token, the prompt's end mark)."""

    @property
    def banned_in_warmup(self) -> tuple[int, ...]:
        """A warmup ends at the separator or the cap; eos is not allowed inside it."""
        return (self.pad, self.eos, *self.never)

    @property
    def banned_in_output(self) -> tuple[int, ...]:
        """The output ends at eos."""
        # A tokenizer without a pad token pads with eos, which must stay free to end the output.
        return tuple({self.pad, self.separator, *self.never} - {self.eos})


@dataclass(slots=True)
class State:
    """The rows of a batch, as far as they have been read or written.

    Attributes:
        cache: Keys and values of every row, as the model's stack keeps them.
        hidden: Last hidden state, [rows, width]; it predicts the next token.
        source_mask: 1 where the source (or prompt) has a token, [rows, source].
        position: Position of the next token of each row, [rows] (decoder-only models).
        head: The head's weight for a score of these rows, [vocabulary, width]; None where a head is more.
    """

    cache: Any
    hidden: Tensor
    source_mask: Tensor
    position: Tensor
    head: Tensor | None = None

    @property
    def rows(self) -> int:
        """Number of rows."""
        return self.hidden.shape[0]

    def repeat(self, n: int) -> State:
        """Rows i*n .. i*n+n-1 continue row i; gradients flow back to the one encoding."""
        return self.map(lambda t: t.repeat_interleave(n, dim=0))

    def select(self, rows: Tensor) -> State:
        """The given rows, [k] indices."""
        return self.map(lambda t: t.index_select(0, rows))

    def reorder(self, rows: Tensor) -> State:
        """``select(rows)`` where a row only moves to a row of the same input, but for the hidden states."""
        from transformers.cache_utils import EncoderDecoderCache

        def move(tensor: Tensor) -> Tensor:
            return tensor.index_select(0, rows)

        cache = self.cache
        if isinstance(cache, EncoderDecoderCache):
            self_attention = map_cache(cache.self_attention_cache, move)
            cache = EncoderDecoderCache(self_attention, cache.cross_attention_cache)
        else:
            cache = map_cache(cache, move)
        return State(cache, self.hidden, self.source_mask, self.position, self.head)

    def tensors(self) -> list[Tensor]:
        """All of them but the head, in one order."""
        found: list[Tensor] = []

        def note(tensor: Tensor) -> Tensor:
            found.append(tensor)
            return tensor

        self.map(note)
        return found

    def map(self, f: Callable[[Tensor], Tensor]) -> State:
        """With ``f`` applied to every tensor of the rows."""
        mapped = map_cache(self.cache, f), f(self.hidden), f(self.source_mask), f(self.position)
        return State(*mapped, self.head)


def map_cache(cache: Any, f: Callable[[Tensor], Tensor]) -> Any:
    """A new cache with ``f`` applied to every key and value tensor, [rows, heads, length, width]."""
    if hasattr(cache, "map"):
        return cache.map(f)
    from transformers.cache_utils import DynamicCache, EncoderDecoderCache

    if isinstance(cache, EncoderDecoderCache):
        return EncoderDecoderCache(
            map_cache(cache.self_attention_cache, f), map_cache(cache.cross_attention_cache, f)
        )
    mapped = DynamicCache()
    for index, layer in enumerate(cache.layers):
        mapped.update(f(layer.keys), f(layer.values), index)
    return mapped
