"""The two kinds of backbones: a decoder that reads an encoder, and one that reads its own prompt."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from warmup_bench.models.base import Backbone
from warmup_bench.models.costs import Costs
from warmup_bench.models.head import head_scale
from warmup_bench.models.state import SpecialTokens, State
from warmup_bench.models.writing import choose_writer


class _TriedOut(Backbone):
    """What both kinds have in common: each is tried out as soon as it is made."""

    def _try_out(self) -> None:
        self.head_scale = head_scale(self)
        self.writer_type = choose_writer(self)


class EncoderDecoder(_TriedOut):
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
        suffix = [tokens.eos] if suffix is None else suffix
        start = [model.config.decoder_start_token_id] if start is None else start
        super().__init__(model, tokenizer, tokens, costs, prefix=prefix, suffix=suffix, start=start)

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


class DecoderOnly(_TriedOut):
    """Llama and its kin: ``prompt(x) c sep y eos`` in one sequence; the prompt is in no loss.

    The prompt's ids around the source are e.g. bos and an answer mark.
    """

    architecture = "decoder-only"

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
