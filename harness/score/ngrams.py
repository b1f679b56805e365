"""N-gram matches of many pairs of texts at once: exact counts by sorting, where a library loops in Python.

What texts are made of is found once for all metrics and systems of a comparison: a :class:`Vocabulary` cuts
each distinct word once, and the last few sets of texts are known.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence, Sized
from functools import cache, lru_cache
from itertools import chain, count, islice
from threading import Lock
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from warmup_bench.contracts.metric import FloatArray

IntArray = NDArray[np.int64]

BLOCK_SYMBOLS = 2**14
"""Symbols of hypotheses and references that are counted together: few enough for a processor's cache."""

BLOCK_PAIRS = 2**12
"""Pairs of texts that are split together, so that memory does not grow with the test set."""

VOCABULARY_WORDS = 2**18
"""Words after which a new vocabulary begins, for the same reason."""

Cut = Callable[[list[str]], list[list[str]]]
"""The tokens of each of some words, but not of those of letters and digits alone, which are one token."""


class Symbols(NamedTuple):
    """Texts as numbers.

    Attributes:
        ids: Of the symbols of all texts, one after the other.
        lengths: Symbols of each text.
    """

    ids: IntArray
    lengths: IntArray


class Vocabulary:
    """Numbers of words (what stands between white space) and of their tokens, the same in all texts."""

    def __init__(self) -> None:
        self.numbers: defaultdict[str, int] = defaultdict(count().__next__)
        self._tokens: dict[Cut, Symbols] = {}

    def tokens(self, cut: Cut) -> Symbols:
        """The tokens of every word so far, each cut once."""
        ids, sizes = self._tokens.get(cut, (np.zeros(0, dtype=np.int64),) * 2)
        new = list(islice(self.numbers, len(sizes), None))
        others = [word for word in new if not word.isalnum()]
        pieces = dict(zip(others, cut(others), strict=True))
        by_word = [pieces.get(word, [word]) for word in new]
        found = self.number(chain.from_iterable(by_word))
        self._tokens[cut] = Symbols(np.append(ids, found), np.append(sizes, _lengths(by_word)))
        return self._tokens[cut]

    def number(self, words: Iterable[str]) -> IntArray:
        """The number of each word."""
        return np.fromiter(map(self.numbers.__getitem__, words), dtype=np.int64)


_shared, _lock = cache(Vocabulary), Lock()


def counted_in_blocks(
    count: Callable[[Vocabulary, tuple[str, ...], tuple[str, ...]], FloatArray],
    hypotheses: Sequence[str],
    references: Sequence[str],
) -> FloatArray:
    """Concatenate ``count(vocabulary, hypotheses, references)``, [examples, k], over blocks of pairs."""
    counts = []
    for first in range(0, len(hypotheses), BLOCK_PAIRS):
        block = slice(first, first + BLOCK_PAIRS)
        with _lock:
            if len(_shared().numbers) > VOCABULARY_WORDS:
                _shared.cache_clear()
            counts.append(count(_shared(), tuple(hypotheses[block]), tuple(references[block])))
    return np.concatenate(counts)


@lru_cache(maxsize=2)
def characters(texts: tuple[str, ...]) -> Symbols:
    """The characters of texts but white space, by their code points."""
    bare = ["".join(text.split()) for text in texts]
    points = np.frombuffer("".join(bare).encode("utf-32-le", "surrogatepass"), dtype="<u4")
    return Symbols(points.astype(np.int64), _lengths(bare))


@lru_cache(maxsize=4)
def words(vocabulary: Vocabulary, texts: tuple[str, ...]) -> Symbols:
    """What stands between white space in texts."""
    split = [text.split() for text in texts]
    return Symbols(vocabulary.number(chain.from_iterable(split)), _lengths(split))


@lru_cache(maxsize=4)
def tokens(vocabulary: Vocabulary, texts: tuple[str, ...], cut: Cut) -> Symbols:
    """The tokens of texts, which must not depend on what lies across white space."""
    word, lengths = words(vocabulary, texts)
    ids, sizes = vocabulary.tokens(cut)
    # Every word becomes its tokens: position within the word, from where its kind's tokens start.
    starts, size = _sums(sizes)[word], sizes[word]
    ends = _sums(size)
    ids = ids[np.arange(ends[-1]) + np.repeat(starts - ends[:-1], size)]
    return Symbols(ids, _steps(ends[_sums(lengths)]))


def ngram_counts(hypotheses: Symbols, references: Symbols, orders: int) -> FloatArray:
    """Count n-grams of each pair: [examples, orders, 3] for hypothesis, reference, clipped matches.

    Both sides are numbered alike. A match counts as often as it stands in both texts of a pair.
    """
    lengths = np.stack([hypotheses.lengths, references.lengths])
    counts = np.zeros((lengths.shape[1], orders, 3))
    for n in range(orders):
        counts[:, n, :2] = np.maximum(lengths - n, 0).T
    ends = [_sums(side) for side in lengths]
    for first, last in _blocks(lengths.sum(axis=0)):
        texts = [
            side.ids[end[first] : end[last]] for side, end in zip((hypotheses, references), ends, strict=True)
        ]
        counts[first:last, :, 2] = _matches(np.concatenate(texts), lengths[:, first:last], orders)
    return counts


def _matches(symbols: IntArray, lengths: IntArray, orders: int) -> FloatArray:
    """Clipped matches [pairs, orders] of the symbols of all hypotheses, then all references.

    One sort serves every order: a position's key is its pair and its next ``orders`` symbols, so that equal
    n-grams of a pair stand together for every n at once. The lowest bit tells the side. Where a large
    alphabet leaves room for fewer symbols, the rank by these takes the pair's place in the next sort.
    """
    sides, pairs = lengths.shape
    matches = np.zeros((pairs, orders))
    if not len(symbols):
        return matches
    symbols, kinds = _dense(symbols)
    flat, side = lengths.ravel(), lengths.sum(axis=1)
    # Texts end in symbols that the other side does not have: an n-gram beyond an end has no match.
    gap = orders - 1
    padded = np.repeat(len(kinds) + np.arange(sides), side + pairs * gap)
    place = np.arange(len(symbols)) + np.repeat(gap * np.arange(len(flat)), flat)
    padded[place] = symbols
    bits = (len(kinds) + 1).bit_length()
    ends, in_reference = _sums(lengths.sum(axis=0)), np.repeat(np.arange(sides), side)
    group, groups, done = np.repeat(np.tile(np.arange(pairs), sides), flat), pairs, 0
    while True:
        fit = min(orders - done, (62 - groups.bit_length()) // bits)
        keys = (group << (bits * fit) | _grams(padded, fit, bits)[place + done]) << 1 | in_reference
        if done + fit < orders:
            order = np.argsort(keys)
            keys = keys[order]
        else:
            keys.sort()
        references = _sums(keys & 1)
        change = np.full(len(keys) + 1, np.iinfo(np.int64).max)
        np.bitwise_xor(keys[1:], keys[:-1], out=change[1:-1])
        for n in range(fit):
            starts = np.flatnonzero(change >= 1 << (1 + bits * (fit - 1 - n)))
            theirs = _steps(references[starts])
            common = _sums(np.minimum(theirs, _steps(starts) - theirs))
            matches[:, done + n] = _steps(common[np.searchsorted(starts, ends)])
        done += fit
        if done == orders:
            return matches
        group[order], groups = np.cumsum(change[:-1] > 1) - 1, len(keys)


def _grams(symbols: IntArray, n: int, bits: int) -> IntArray:
    """The n symbols from each position on as one number, ``bits`` each."""
    grams, width = symbols, 1
    while width < n:
        step = min(width, n - width)
        grams = grams[:-step] << (bits * step) | grams[step:]
        width += step
    return grams


def _dense(values: IntArray) -> tuple[IntArray, IntArray]:
    """Number the distinct values in order; returns the number of each value, and the value of each number."""
    seen = np.zeros(int(values.max(initial=0)) + 1, dtype=np.int64)
    seen[values] = 1
    kinds = np.flatnonzero(seen)
    seen[kinds] = np.arange(len(kinds))
    return seen[values], kinds


def _lengths(parts: Sequence[Sized]) -> IntArray:
    return np.fromiter(map(len, parts), dtype=np.int64, count=len(parts))


def _sums(values: IntArray) -> IntArray:
    """Sums of the first 0, 1, … values."""
    sums = np.zeros(len(values) + 1, dtype=np.int64)
    np.cumsum(values, out=sums[1:])
    return sums


def _steps(values: IntArray) -> IntArray:
    """``np.diff`` of few values, without what its call costs."""
    return values[1:] - values[:-1]


def _blocks(sizes: IntArray) -> Iterator[tuple[int, int]]:
    """Ranges of pairs of about :data:`BLOCK_SYMBOLS` symbols, one pair at least."""
    first = 0
    ends = np.cumsum(sizes)
    while first < len(sizes):
        before = int(ends[first - 1]) if first else 0
        last = max(first + 1, int(np.searchsorted(ends, before + BLOCK_SYMBOLS, side="right")))
        yield first, last
        first = last
