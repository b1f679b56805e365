"""``oracle``: a supervised plan (content plans, FROST 2104.07606).

    A = 1,   B = 1,   c = keywords of y: its content words of highest tf-idf, in their order in y

tf-idf of a word is its count in y times log((1 + N) / (1 + df)), N targets, df of them with the word, cases
alike. The model learns to write the plan, then the output; at inference it writes its own. It tells what a
good intermediate sequence could be worth, where ``warmup`` has to find one.
"""

import math
import re
from collections import Counter

from warmup_bench import Coefficients, Giving, Method, Rollout

WORD = re.compile(r"\w+")


def coefficients(rollout: Rollout) -> Coefficients:
    """A = B = 1: plan and output are both taught."""
    ones = rollout.ly.new_ones(rollout.ly.shape)
    return Coefficients(a=ones, b=ones)


def give(giving: Giving) -> list[list[int]]:
    """Keywords of every target, as many whole words as the cap holds, in the order of the target."""
    if giving.targets is None:
        raise ValueError("oracle plans are made from targets, which inference does not have")
    words = [WORD.findall(target) for target in giving.targets]
    seen_in = Counter(word for found in words for word in {w.lower() for w in found})
    return [_plan(found, seen_in, len(words), giving) for found in words]


def _plan(words: list[str], seen_in: Counter[str], documents: int, giving: Giving) -> list[int]:
    counts = Counter(word.lower() for word in words)

    def weight(word: str) -> float:
        return counts[word.lower()] * math.log((1 + documents) / (1 + seen_in[word.lower()]))

    once = {word.lower(): word for word in reversed(words)}.values()  # "The" and "the" are one keyword
    ranked = sorted(once, key=lambda word: (-weight(word), words.index(word)))
    kept: list[str] = []
    plan: list[int] = []
    for word in ranked:
        tried = sorted([*kept, word], key=words.index)
        ids = giving.encode(" ".join(tried))
        if len(ids) <= giving.cap:
            kept, plan = tried, ids
    return plan


METHOD = Method(
    name="oracle",
    summary="keywords of the target taught as the warmup (supervised plan)",
    source="arXiv 2104.07606",
    warmup="given",
    coefficients=coefficients,
    give=give,
    given_at_inference=False,
)
