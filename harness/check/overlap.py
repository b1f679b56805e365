"""Test examples that stand in the training split, as they are or nearly so. Pure functions of texts.

A source is a near duplicate where at least :data:`NEAR` of its n-grams stand together in one training
source: PaLM's 70% of 8-grams (Chowdhery et al. 2022, section 8), asked of one example instead of the whole
corpus, so that the pair can be shown and stock phrases from many places don't add up to a duplicate.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from warmup_bench.contracts.task import Example
from warmup_bench.score.rouge import unicode_tokens

ORDER = 8
"""Tokens of an n-gram. A shorter source is one n-gram by itself, so only its wording counts, not its case."""

NEAR = 0.7
"""Share of a source's n-grams in one training source that makes it a near duplicate."""

STOCK = 0.05
"""An n-gram in more than this share of the test sources is the task's own wording, an instruction say, and
is not counted (our choice); in a test split of fewer than 1 / STOCK examples, one in two or more."""


@dataclass(frozen=True, slots=True)
class Pair:
    """A test example and the training example that it resembles most, by id; ``share`` in 0..1."""

    test: str
    train: str
    share: float


def exact_duplicates(train: Iterable[Example], test: Sequence[Example]) -> list[Pair]:
    """Test examples whose source and target both stand in one training example."""
    wanted = {(example.source, example.target) for example in test}
    seen: dict[tuple[str, str], str] = {}
    for example in train:
        if (key := (example.source, example.target)) in wanted:
            seen.setdefault(key, example.id)
    return [
        Pair(example.id, seen[key], 1.0)
        for example in test
        if (key := (example.source, example.target)) in seen
    ]


def near_duplicates(train: Iterable[Example], test: Sequence[Example]) -> list[Pair]:
    """Test examples whose source nearly stands in one training source, equal sources included.

    One pass over the training split; the memory is that of the test split's n-grams.
    """
    every = [set(ngrams(example.source)) for example in test]
    spread = Counter(gram for grams in every for gram in grams)
    most = max(1.0, STOCK * len(test))
    kept = [{gram for gram in grams if spread[gram] <= most} for grams in every]
    holders: dict[tuple[str, ...], list[int]] = defaultdict(list)
    for number, grams in enumerate(kept):
        for gram in grams:
            holders[gram].append(number)
    best: dict[int, Pair] = {}
    for example in train:
        shared = Counter(
            number for gram in set(ngrams(example.source)) if gram in holders for number in holders[gram]
        )
        for number, count in shared.items():
            share = count / len(kept[number])
            if share >= NEAR and (number not in best or share > best[number].share):
                best[number] = Pair(test[number].id, example.id, share)
    return [best[number] for number in sorted(best)]


def ngrams(text: str) -> Iterator[tuple[str, ...]]:
    """The n-grams of a text in lower case without punctuation; one a character where scripts have no spaces.

    A text of fewer than :data:`ORDER` tokens is one n-gram; a text without a token has none.
    """
    tokens = unicode_tokens(text)
    if tokens:
        yield from (tuple(tokens[i : i + ORDER]) for i in range(max(1, len(tokens) - ORDER + 1)))
