"""N-gram matches of many pairs of texts at once: exact counts by sorting, where a library loops in Python."""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from harness.metrics.base import FloatArray

IntArray = NDArray[np.int64]

BLOCK_SYMBOLS = 2**18
"""Symbols of hypotheses and references that are counted together."""


def character_ids(texts: Sequence[str]) -> tuple[IntArray, IntArray]:
    """Return the code points of all texts in one array, and the length of each text."""
    points = np.frombuffer("".join(texts).encode("utf-32-le", "surrogatepass"), dtype="<u4")
    return points.astype(np.int64), np.fromiter(map(len, texts), dtype=np.int64, count=len(texts))


def token_ids(texts: Iterable[Sequence[str]], numbers: dict[str, int]) -> tuple[IntArray, IntArray]:
    """Return the tokens' numbers in one array, and each text's length; ``numbers`` grows by new tokens."""
    lengths, ids = [], []
    for tokens in texts:
        lengths.append(len(tokens))
        ids += [numbers.setdefault(token, len(numbers)) for token in tokens]
    return np.array(ids, dtype=np.int64), np.array(lengths, dtype=np.int64)


def ngram_counts(
    hypotheses: tuple[IntArray, IntArray], references: tuple[IntArray, IntArray], orders: int
) -> FloatArray:
    """Count n-grams of each pair: [examples, orders, 3] for hypothesis, reference, clipped matches.

    Both sides are (symbols of all texts, length of each text), numbered alike. A match counts as often as it
    stands in both texts of a pair.
    """
    lengths = np.stack([hypotheses[1], references[1]])
    counts = np.zeros((lengths.shape[1], orders, 3))
    for n in range(orders):
        counts[:, n, :2] = np.maximum(lengths - n, 0).T
    ends = np.concatenate([np.zeros((2, 1), dtype=np.int64), np.cumsum(lengths, axis=1)], axis=1)
    for first, last in _blocks(lengths.sum(axis=0)):
        texts = [
            symbols[end[first] : end[last]]
            for symbols, end in zip((hypotheses[0], references[0]), ends, strict=True)
        ]
        counts[first:last, :, 2] = _matches(np.concatenate(texts), lengths[:, first:last], orders)
    return counts


def _matches(symbols: IntArray, lengths: IntArray, orders: int) -> FloatArray:
    """Clipped matches [pairs, orders] of the symbols of all hypotheses, then all references."""
    pairs = lengths.shape[1]
    matches = np.zeros((pairs, orders))
    if not len(symbols):
        return matches
    flat = lengths.ravel()
    pair = np.repeat(np.tile(np.arange(pairs), 2), flat)
    side = np.repeat(np.array([0, 1]), lengths.sum(axis=1))
    left = np.repeat(np.cumsum(flat), flat) - np.arange(len(symbols))  # symbols from here to the text's end
    symbols, kinds = _dense(symbols)
    grams, most = symbols, kinds
    for n in range(orders):
        if n:
            if most * kinds * 2 * pairs >= 2**62:
                grams, most = _dense(grams)
            grams, most = grams[:-1] * kinds + symbols[n:], most * kinds
        whole = left[: len(grams)] > n
        if not whole.any():
            break
        keys = np.sort((((pair[: len(grams)] * most + grams) << 1) | side[: len(grams)])[whole])
        gram = keys >> 1
        starts = np.flatnonzero(np.diff(gram, prepend=-1))
        sizes = np.diff(starts, append=len(keys))
        in_reference = np.add.reduceat(keys & 1, starts)
        common = np.minimum(in_reference, sizes - in_reference)
        matches[:, n] = np.bincount(gram[starts] // most, weights=common, minlength=pairs)
    return matches


def _dense(values: IntArray) -> tuple[IntArray, int]:
    """Number the distinct values 0, 1, …; returns the numbers and how many there are."""
    distinct, numbers = np.unique(values, return_inverse=True)
    return numbers.astype(np.int64, copy=False), len(distinct)


def _blocks(sizes: IntArray) -> Iterator[tuple[int, int]]:
    """Ranges of pairs of about :data:`BLOCK_SYMBOLS` symbols, one pair at least."""
    first = 0
    ends = np.cumsum(sizes)
    while first < len(sizes):
        before = int(ends[first - 1]) if first else 0
        last = max(first + 1, int(np.searchsorted(ends, before + BLOCK_SYMBOLS, side="right")))
        yield first, last
        first = last
