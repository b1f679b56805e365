"""``filler``: the same extra tokens without content (pause tokens 2310.02226; filler tokens 2404.15758).

    A = 0,   B = 1,   c = one token, as often as the cap allows

A control of compute: what the longer decoder sequence alone is worth.
"""

from warmup_bench import Giving, Method, likelihood


def give(giving: Giving) -> list[list[int]]:
    """The cap's number of full stops for every example."""
    return [[giving.encode(".")[-1]] * giving.cap for _ in giving.sources]


METHOD = Method(
    name="filler",
    summary="a fixed run of one token before the output (compute control)",
    source="arXiv 2310.02226, 2404.15758",
    warmup="given",
    coefficients=likelihood,
    give=give,
)
