"""``random``: tokens without meaning before the output.

    A = 0,   B = 1,   c = tokens drawn from the unigram distribution of the training targets

A control of compute like ``filler``, with tokens that look like an output's.
"""

import random

from warmup_bench import Giving, Method, likelihood


def give(giving: Giving) -> list[list[int]]:
    """The cap's number of tokens for every example, drawn by the seed."""
    tokens = [token for ids in giving.target_ids for token in ids]
    generator = random.Random(giving.seed)
    return [generator.choices(tokens, k=giving.cap) for _ in giving.sources]


METHOD = Method(
    name="random",
    summary="random target tokens before the output (compute control)",
    source="control",
    warmup="given",
    coefficients=likelihood,
    give=give,
)
