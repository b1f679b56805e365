"""``pig-latin``: the first consonants of a word go to its end, with "ay" behind them."""

import itertools
import random

from warmup_bench import LoadRequest, ScaleCard, Splits, Subset, Task, TaskCard, numbered

ONSETS, VOWELS, CODAS = ("b", "st", "k", "pl", "m"), "aeiou", ("n", "t", "sk", "r")


def pig_latin(onset: str, rest: str) -> str:
    """``st``, ``ar`` -> ``arstay``."""
    return f"{rest}{onset}ay"


def load(request: LoadRequest) -> Splits:
    """Return 100 words, each once: 64 to learn, 12 to look at, 24 to be tested on."""
    words = [(onset, vowel + coda) for onset, vowel, coda in itertools.product(ONSETS, VOWELS, CODAS)]
    random.Random(7).shuffle(words)
    pairs = [(onset + rest, pig_latin(onset, rest)) for onset, rest in words]
    return Splits(numbered("t", pairs[36:]), numbered("v", pairs[24:36]), numbered("e", pairs[:24]))


TASK = Task(
    card=TaskCard(
        name="pig-latin",
        version=1,
        title="Pig Latin, made-up words",
        licence="CC0-1.0",
        citation="made by the package warmup-bench-pig-latin",
        metrics=("exact", "chrf++"),
        subsets={"words": Subset()},
        scales={"mini": ScaleCard(data="made: 64 / 12 / 24 words", backbone="pocket")},
    ),
    load=load,
)
