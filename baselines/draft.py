"""``draft``: the start of the model's own first answer before the output.

    A = 0,   B = 1,   c = the greedy output of the frozen warm start, cut at the cap

A control of two passes: what reading a draft is worth, without learning what to draft.
"""

from warmup_bench import Giving, Method, likelihood


def give(giving: Giving) -> list[list[int]]:
    """The frozen warm start's output for every example, cut at the cap."""
    return [ids[: giving.cap] for ids in giving.draft()]


METHOD = Method(
    name="draft",
    summary="the frozen warm start's own output, cut, before the output (two-pass control)",
    source="control",
    warmup="given",
    coefficients=likelihood,
    give=give,
    drafts=True,
)
