"""One interface over encoder-decoder and decoder-only models.

Everything that the harness does with a model goes through four calls: :meth:`Backbone.encode` reads the
inputs once, :meth:`Backbone.advance` feeds tokens to the rows in one pass with gradients,
:meth:`Backbone.writer` feeds them one at a time without, and :meth:`Backbone.logits` turns hidden states into
logits where they are needed. Sampling, scoring and decoding share them, so no two of them can disagree about
the model.
"""

from __future__ import annotations

import inspect
import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from harness.backbones.costs import Costs
from harness.backbones.head import head_scale
from harness.backbones.lora import has_adapter, save_adapter
from harness.backbones.writing import Writer, choose_writer

LAYOUT = "warmup_bench.json"
"""File beside a saved model that keeps its separator and prompt."""


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
        cache: transformers' key-value cache of every row.
        hidden: Last hidden state, [rows, width]; it predicts the next token.
        source_mask: 1 where the source (or prompt) has a token, [rows, source].
        position: Position of the next token of each row, [rows] (decoder-only models).
    """

    cache: Any
    hidden: Tensor
    source_mask: Tensor
    position: Tensor

    @property
    def rows(self) -> int:
        """Number of rows."""
        return self.hidden.shape[0]

    def repeat(self, n: int) -> State:
        """Rows i*n .. i*n+n-1 continue row i; gradients flow back to the one encoding."""
        return self._map(lambda t: t.repeat_interleave(n, dim=0))

    def select(self, rows: Tensor) -> State:
        """The given rows, [k] indices."""
        return self._map(lambda t: t.index_select(0, rows))

    def reorder(self, rows: Tensor) -> State:
        """``select(rows)`` where a row only moves to a row of the same input, but for the hidden states."""
        from transformers.cache_utils import EncoderDecoderCache

        def move(tensor: Tensor) -> Tensor:
            return tensor.index_select(0, rows)

        cache = self.cache
        if isinstance(cache, EncoderDecoderCache):
            own = map_cache(cache.self_attention_cache, move)
            cache = EncoderDecoderCache(own, cache.cross_attention_cache)
        else:
            cache = map_cache(cache, move)
        return State(cache, self.hidden, self.source_mask, self.position)

    def _map(self, f: Callable[[Tensor], Tensor]) -> State:
        return State(map_cache(self.cache, f), f(self.hidden), f(self.source_mask), f(self.position))


def map_cache(cache: Any, f: Callable[[Tensor], Tensor]) -> Any:
    """A new cache with ``f`` applied to every key and value tensor, [rows, heads, length, width]."""
    from transformers.cache_utils import DynamicCache, EncoderDecoderCache

    if isinstance(cache, EncoderDecoderCache):
        return EncoderDecoderCache(
            map_cache(cache.self_attention_cache, f), map_cache(cache.cross_attention_cache, f)
        )
    mapped = DynamicCache()
    for index, layer in enumerate(cache.layers):
        mapped.update(f(layer.keys), f(layer.values), index)
    return mapped


class Backbone(ABC):
    """A model with its tokenizer and the tokens that the harness places."""

    architecture: str

    def __init__(self, model: Any, tokenizer: Any, tokens: SpecialTokens, costs: Costs) -> None:
        """Wrap a loaded model; use :func:`harness.backbones.load.load_backbone`."""
        self.model, self.tokenizer, self.tokens, self.costs = model, tokenizer, tokens, costs
        self._head = model.get_output_embeddings()
        body = model.get_decoder() if self.architecture == "encoder-decoder" else model.base_model
        # transformers has renamed it (5.24 warns of the old name), a family at a time for all we know.
        named = "cache" in inspect.signature(body.forward).parameters
        self._cache_name = "cache" if named else "past_key_values"
        self._head_scale = 1.0
        self._head_scale = head_scale(self)
        self._writer = choose_writer(self)

    @property
    def device(self) -> torch.device:
        """Device of the weights."""
        device: torch.device = self._head.weight.device
        return device

    def autocast(self, dtype: str) -> torch.autocast:
        """bfloat16 autocast where ``dtype`` says so; T5 overflows in float16, so that is not offered."""
        return torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=dtype == "bfloat16")

    @property
    def vocabulary(self) -> int:
        """Number of logits."""
        size: int = self._head.weight.shape[0]
        return size

    prefix: list[int]
    """Ids before the source."""
    suffix: list[int]
    """Ids after it."""
    start: list[int]
    """Ids that a decoder reads before its first prediction; empty for decoder-only models."""

    def source_ids(self, text: str, max_tokens: int) -> tuple[list[int], bool]:
        """Ids of prefix, text and suffix, and whether the text was cut; prefix and suffix never are."""
        room = max(0, max_tokens - len(self.prefix) - len(self.suffix))
        ids = self.plain_ids(text)
        return [*self.prefix, *ids[:room], *self.suffix], len(ids) > room

    @abstractmethod
    def encode(self, source: Tensor, mask: Tensor) -> State:
        """Read [batch, source] ids (right-padded, ``mask`` 1 at tokens) once, up to the first prediction."""

    @abstractmethod
    def advance(self, state: State, tokens: Tensor) -> Tensor:
        """Feed [rows, t] tokens; returns hidden states [rows, t, width] and moves ``state`` on in place.

        Row paddings may only follow a row's last token: a hidden state depends on what came before it.
        """

    def writer(self, state: State, width: int = 1) -> Writer:
        """``width`` rows for each row of ``state``, to write token by token without gradient."""
        return self._writer(self, state, width)

    def logits(self, hidden: Tensor) -> Tensor:
        """Logits [..., vocabulary] of hidden states [..., width], in the dtype of the computation."""
        out: Tensor = self._head(self.scaled(hidden))
        bias = getattr(self.model, "final_logits_bias", None)  # BART's, a buffer that moves with the model
        return out if bias is None else out + bias.to(out.dtype)

    def scaled(self, hidden: Tensor) -> Tensor:
        """Hidden states as the head takes them (T5 with tied embeddings scales them down)."""
        return hidden * self._head_scale if self._head_scale != 1.0 else hidden

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
        side = "text_target" if target and hasattr(self.tokenizer, "spm_target") else "text"
        plain = {"add_special_tokens": False, "split_special_tokens": True}
        ids: list[int] = self.tokenizer(**{side: text}, **plain)["input_ids"]
        if self._special.isdisjoint(ids):
            return ids
        # T5's </s> is a piece of its vocabulary like any other: only a space inside keeps it text.
        for token in sorted(self.tokenizer.all_special_tokens, key=len, reverse=True):
            text = text.replace(token, f"{token[0]} {token[1:]}")
        ids = self.tokenizer(**{side: text}, **plain)["input_ids"]
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
        layout = {"separator": self.tokenizer.convert_ids_to_tokens(self.tokens.separator), **self._layout()}
        (folder / LAYOUT).write_text(json.dumps(layout) + "\n", encoding="utf-8")

    def _layout(self) -> dict[str, Any]:
        """What else a reload needs to place the same tokens."""
        return {}


class EncoderDecoder(Backbone):
    """T5, mT5, BART and their kin: the encoder reads x, the decoder writes ``c sep y eos``."""

    architecture = "encoder-decoder"

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        tokens: SpecialTokens,
        costs: Costs,
        *,
        prefix: Sequence[int] = (),
        suffix: Sequence[int] | None = None,
        start: Sequence[int] | None = None,
    ) -> None:
        """``prefix`` and ``suffix`` (None: eos) are the ids around the source; ``start`` is what the decoder
        reads before its first prediction (None: the configuration's start token)."""
        self.prefix = list(prefix)
        self.suffix = [tokens.eos] if suffix is None else list(suffix)
        self.start = [model.config.decoder_start_token_id] if start is None else list(start)
        super().__init__(model, tokenizer, tokens, costs)

    def _layout(self) -> dict[str, Any]:
        return {"prefix": self.prefix, "suffix": self.suffix, "start": self.start}

    def encode(self, source: Tensor, mask: Tensor) -> State:
        """Run the encoder, and the decoder on its start tokens: that fills the cross-attention cache once."""
        from transformers.cache_utils import DynamicCache, EncoderDecoderCache

        memory = self.model.get_encoder()(input_ids=source, attention_mask=mask).last_hidden_state
        cache = EncoderDecoderCache(DynamicCache(), DynamicCache())
        start = source.new_tensor(self.start).expand(source.shape[0], -1)
        out = self.model.get_decoder()(
            input_ids=start,
            encoder_hidden_states=memory,
            encoder_attention_mask=mask,
            use_cache=True,
            **{self._cache_name: cache},
        )
        hidden = out.last_hidden_state[:, -1]
        return State(cache, hidden, mask, mask.new_full((mask.shape[0],), len(self.start)))

    def advance(self, state: State, tokens: Tensor) -> Tensor:
        """Feed tokens to the decoder; its cross-attention reads the cache, not the memory."""
        keys = state.cache.cross_attention_cache.layers[0].keys
        # Only the shape of the memory is read once the cross-attention cache is full.
        memory = keys.new_empty((1, 1, 1)).expand(state.rows, keys.shape[2], self.model.config.hidden_size)
        out = self.model.get_decoder()(
            input_ids=tokens,
            encoder_hidden_states=memory,
            encoder_attention_mask=state.source_mask,
            use_cache=True,
            **{self._cache_name: state.cache},
        )
        hidden: Tensor = out.last_hidden_state
        state.hidden, state.position = hidden[:, -1], state.position + tokens.shape[1]
        return hidden


class DecoderOnly(Backbone):
    """Llama and its kin: ``prompt(x) c sep y eos`` in one sequence; the prompt is in no loss."""

    architecture = "decoder-only"

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        tokens: SpecialTokens,
        costs: Costs,
        *,
        prefix: Sequence[int],
        suffix: Sequence[int],
    ) -> None:
        """``prefix`` and ``suffix`` are the prompt's ids around the source, e.g. bos and an answer mark."""
        self.prefix, self.suffix, self.start = list(prefix), list(suffix), []
        super().__init__(model, tokenizer, tokens, costs)

    def _layout(self) -> dict[str, Any]:
        return {"prefix": self.prefix, "suffix": self.suffix}

    def encode(self, source: Tensor, mask: Tensor) -> State:
        """Run the prompt once; padding stands at the right and is masked from everything after it."""
        from transformers.cache_utils import DynamicCache

        lengths = mask.sum(dim=1)
        positions = torch.arange(source.shape[1], device=source.device).expand_as(source)
        cache = DynamicCache()
        out = self.model.base_model(
            input_ids=source,
            attention_mask=mask,
            position_ids=positions,
            use_cache=True,
            **{self._cache_name: cache},
        )
        rows = torch.arange(source.shape[0], device=source.device)
        return State(cache, out.last_hidden_state[rows, lengths - 1], mask, lengths)

    def advance(self, state: State, tokens: Tensor) -> Tensor:
        """Feed tokens after the prompt, each row at its own positions."""
        width = tokens.shape[1]
        written = state.cache.get_seq_length() - state.source_mask.shape[1]
        ones = state.source_mask.new_ones((state.rows, written + width))
        steps = torch.arange(width, device=tokens.device)
        out = self.model.base_model(
            input_ids=tokens,
            attention_mask=torch.cat([state.source_mask, ones], dim=1),
            position_ids=state.position[:, None] + steps,
            use_cache=True,
            **{self._cache_name: state.cache},
        )
        hidden: Tensor = out.last_hidden_state
        state.hidden, state.position = hidden[:, -1], state.position + width
        return hidden
