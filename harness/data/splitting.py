"""Splits that the authors of a data set did not make: drawn by a fixed seed, and free of test texts."""

import random
from collections.abc import Iterable, Sequence

from warmup_bench.contracts.task import Example


def shuffled(examples: Iterable[Example], seed: int) -> list[Example]:
    """The examples in a random order, so that the first N are a fair sample."""
    mixed = list(examples)
    random.Random(seed).shuffle(mixed)
    return mixed


def held_out(examples: Iterable[Example], size: int, seed: int) -> tuple[list[Example], list[Example]]:
    """The examples without ``size`` drawn ones (at most half of them), and those."""
    mixed = shuffled(examples, seed)
    size = min(size, len(mixed) // 2)
    return mixed[size:], mixed[:size]


def without_held_out(train: Sequence[Example], *others: Sequence[Example]) -> list[Example]:
    """The training pairs of which neither text stands in another split, letter case and spaces aside."""
    sources = {_bare(ex.source) for split in others for ex in split}
    targets = {_bare(ex.target) for split in others for ex in split}
    return [ex for ex in train if _bare(ex.source) not in sources and _bare(ex.target) not in targets]


def _bare(text: str) -> str:
    return " ".join(text.casefold().split())
