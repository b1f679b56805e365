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


def drawn(examples: Iterable[Example], amount: float, seed: int) -> tuple[list[Example], list[Example]]:
    """The examples without some drawn ones, and those: whole groups, where there are some, in random order.

    Args:
        examples: All of them.
        amount: How many examples are drawn, or below 1 their share; with groups no fewer. At most half.
        seed: Of the draw.
    """
    everyone = list(examples)
    size = round(amount * len(everyone)) if amount < 1 else int(amount)
    size = min(max(size, 1), len(everyone) // 2)
    groups: dict[str, list[Example]] = {}
    for number, example in enumerate(everyone):
        groups.setdefault(f"row {number}" if example.group is None else f"group {example.group}", []).append(
            example
        )
    order = list(groups)
    random.Random(seed).shuffle(order)
    taken: list[Example] = []
    rest: list[Example] = []
    for name in order:
        (taken if len(taken) < size else rest).extend(groups[name])
    return rest, taken


def without_held_out(train: Sequence[Example], *others: Sequence[Example]) -> list[Example]:
    """The training pairs of which neither text stands in another split, letter case and spaces aside.

    A target that is one of some options is no text: every split has it.
    """
    sources = {_bare(ex.source) for split in others for ex in split}
    targets = {_bare(ex.target) for split in others for ex in split if not ex.options}
    return [ex for ex in train if _bare(ex.source) not in sources and _bare(ex.target) not in targets]


def _bare(text: str) -> str:
    return " ".join(text.casefold().split())
