"""Test sets for the tests' benchmark, made by Zipf's law or read from files, and outputs of two systems."""

import gzip
import itertools
import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from benchmarks.record import UnavailableError

LEXICON = 10_000
"""Words of the made language: 3,000 segments then have 14,700 distinct ones, those with a comma or a capital
counted too; as many sentences of scientific abstracts have 10,500."""
CONSONANTS, VOWELS = "tnshrdlcmwfgypbvkjxqz", "eaoiu"
"""Letters, the frequent ones first."""
WORDS = 21
"""Words of a made segment on average, as in a test set of news."""
RIGHT = 0.8
"""Words of a reference that a system gets right."""


@dataclass(frozen=True)
class Texts:
    """References, and the outputs of two systems."""

    references: list[str]
    outputs: tuple[list[str], list[str]]


def texts_of(segments: int, files: Sequence[Path] = ()) -> Texts:
    """So many segments: those of files, a line each, taken evenly from all of them; made without files.

    Raises:
        UnavailableError: The files have no line.
    """
    rng = random.Random(1)
    if files:
        lines = [line for file in files for line in lines_of(file)]
        if not lines:
            raise UnavailableError(f"no line of text in {', '.join(map(str, files))}")
        count = min(segments, len(lines))
        references = [lines[i * len(lines) // count] for i in range(count)]
        words = [word for line in references for word in line.split()]
    else:
        references, words = made(segments, rng)
    first, second = (
        [
            " ".join(word if rng.random() < RIGHT else rng.choice(words) for word in reference.split())
            for reference in references
        ]
        for _ in range(2)
    )
    return Texts(references, (first, second))


def made(segments: int, rng: random.Random) -> tuple[list[str], list[str]]:
    """Sentences, and the words of all of them.

    Frequencies of words follow Zipf's law, frequent words are short, and letters have frequencies too;
    sentences have capitals, commas, hyphens, quotes, numbers and an end.
    """
    lexicon = _lexicon()
    weights = list(itertools.accumulate(1 / (rank + 2.7) for rank in range(LEXICON)))
    references, words = [], []
    for _ in range(segments):
        length = max(3, round(rng.gauss(WORDS, WORDS / 2.3)))
        drawn = rng.choices(lexicon, cum_weights=weights, k=length)
        words += drawn
        references.append(" ".join([_written(word, rng) for word in drawn[:-1]] + drawn[-1:]) + ".")
    return [reference[0].upper() + reference[1:] for reference in references], words


def lines_of(file: Path) -> list[str]:
    """The lines of a text, which may be compressed, that are not empty."""
    content = gzip.decompress(file.read_bytes()) if file.suffix == ".gz" else file.read_bytes()
    return [line for line in content.decode("utf-8").split("\n") if line.strip()]


@cache
def _lexicon() -> list[str]:
    rng = random.Random(2)
    return [_word(rank, rng) for rank in range(LEXICON)]


def _word(rank: int, rng: random.Random) -> str:
    """A word: consonants and vowels by turns, the longer the rarer it is."""
    length = max(1, round(rng.gauss(1.5 + 0.8 * math.log(rank + 1), 1.6)))
    start = rng.randrange(2)
    kinds = [CONSONANTS, VOWELS] * (length // 2 + 1)
    return "".join(kind[int(len(kind) * rng.random() ** 2)] for kind in kinds[start : start + length])


def _written(word: str, rng: random.Random) -> str:
    """A word as it stands in a sentence: now and then a capital, a comma, a hyphen, quotes or a number."""
    kind = rng.random()
    for share, form in (
        (0.10, word.capitalize()),
        (0.07, word + ","),
        (0.02, f"{word}-{word[::-1]}"),
        (0.01, f'"{word}"'),
        (0.02, f"{rng.randrange(1, 2000):,}"),
    ):
        if kind < share:
            return form
        kind -= share
    return word
