"""The two kinds of backbones: a decoder that reads an encoder, and one that reads its own prompt."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from warmup_bench.models.base import Backbone
from warmup_bench.models.costs import Costs
from warmup_bench.models.head import head_scale
from warmup_bench.models.stacks.choose import any_stack, choose_stack
from warmup_bench.models.state import SpecialTokens


class _TriedOut(Backbone):
    """What both kinds have in common: each is tried out as soon as it is made."""

    def _try_out(self) -> None:
        self.stack = any_stack(self.model, self.start)
        self.head_scale = head_scale(self)
        self.stack = choose_stack(self.model, self.start, self.tokens)


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


class DecoderOnly(_TriedOut):
    """Llama and its kin: ``prompt(x) c sep y eos`` in one sequence; the prompt is in no loss.

    The prompt's ids around the source are e.g. bos and an answer mark.
    """

    architecture = "decoder-only"
