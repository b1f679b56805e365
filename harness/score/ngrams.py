"""N-gram matches of many pairs of texts at once: exact counts by sorting, where a library loops in Python."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from warmup_bench.contracts.metric import FloatArray

IntArray = NDArray[np.int64]

BLOCK_SYMBOLS = 2**14
"""Symbols of hypotheses and references that are counted together: few enough for a processor's cache."""


BLOCK_PAIRS = 2**13
"""Pairs of texts that are split into tokens together, so that memory does not grow with the test set."""


def counted_in_blocks(
    count: Callable[[Sequence[str], Sequence[str]], FloatArray],
    hypotheses: Sequence[str],
    references: Sequence[str],
) -> FloatArray:
    """Concatenate ``count(hypotheses, references)``, [examples, k], over blocks of pairs."""
    starts = range(0, len(hypotheses), BLOCK_PAIRS)
    blocks = [count(hypotheses[i : i + BLOCK_PAIRS], references[i : i + BLOCK_PAIRS]) for i in starts]
    return np.concatenate(blocks)


def character_ids(texts: Sequence[str]) -> tuple[IntArray, IntArray]:
    """Return the code points of all texts in one array, and the length of each text."""
    points = np.frombuffer("".join(texts).encode("utf-32-le", "surrogatepass"), dtype="<u4")
    return points.astype(np.int64), np.fromiter(map(len, texts), dtype=np.int64, count=len(texts))


def token_ids(
    hypotheses: Sequence[str], references: Sequence[str], tokens: Callable[[str], Sequence[str]]
) -> list[tuple[IntArray, IntArray]]:
    """Return for each side the tokens of all its texts as numbers in one array, and how many each text has.

    Args:
        hypotheses: Texts; their tokens must not depend on what lies across white space.
        references: The other side, numbered alike.
        tokens: The tokens of a stretch without white space; asked once for each distinct one, and not for
            one of letters and digits alone, which is one token.
    """
    words: list[str] = []
    stretches = []
    for text in (*hypotheses, *references):
        of_text = text.split()
        stretches.append(len(of_text))
        words += of_text
    kinds = {word: number for number, word in enumerate(dict.fromkeys(words))}
    numbers: dict[str, int] = {}
    pieces = [
        [numbers.setdefault(token, len(numbers)) for token in ((word,) if word.isalnum() else tokens(word))]
        for word in kinds
    ]
    flat = np.array([number for piece in pieces for number in piece], dtype=np.int64)
    sizes = np.array([len(piece) for piece in pieces], dtype=np.int64)
    kind = np.fromiter(map(kinds.__getitem__, words), dtype=np.int64, count=len(words))
    # Every stretch becomes its tokens: position within the stretch, from where its kind's tokens start.
    ends = np.concatenate([[0], np.cumsum(sizes[kind])])
    starts = np.cumsum(sizes) - sizes
    ids = flat[np.arange(ends[-1]) + np.repeat(starts[kind] - ends[:-1], sizes[kind])]
    lengths = np.diff(ends[np.concatenate([[0], np.cumsum(stretches, dtype=np.int64)])])
    first = len(hypotheses)
    cut = int(lengths[:first].sum())
    return [(ids[:cut], lengths[:first]), (ids[cut:], lengths[first:])]


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
    """Clipped matches [pairs, orders] of the symbols of all hypotheses, then all references.

    One sort serves every order: a position's key is its pair and its next ``orders`` symbols, so that equal
    n-grams of a pair stand together for every n at once. The lowest bit tells the side.
    """
    pairs = lengths.shape[1]
    matches = np.zeros((pairs, orders))
    if not len(symbols):
        return matches
    symbols, kinds = _dense(symbols)
    bits = int(kinds).bit_length()  # 0 is kept for what lies past a text's end
    flat = lengths.ravel()
    pair = np.repeat(np.tile(np.arange(pairs), 2), flat)
    left = np.repeat(np.cumsum(flat), flat) - np.arange(len(symbols))  # symbols from here to the text's end
    if bits * orders + pairs.bit_length() + 1 > 63:
        return _matches_by_order(symbols, pair, left, lengths, orders)
    keys = pair
    padded = np.concatenate([symbols + 1, np.zeros(orders, dtype=np.int64)])
    for n in range(orders):
        keys = (keys << bits) | np.where(left > n, padded[n : n + len(symbols)], 0)
    keys = (keys << 1) | np.repeat(np.array([0, 1]), lengths.sum(axis=1))
    keys.sort()
    side = keys & 1
    for n in range(orders):
        gram = keys >> (1 + bits * (orders - 1 - n))
        starts = np.flatnonzero(np.concatenate([[True], gram[1:] != gram[:-1]]))
        common = _common(side, starts)
        common[gram[starts] & (2**bits - 1) == 0] = 0  # ran past the end: no n-gram
        matches[:, n] = np.bincount(gram[starts] >> (bits * (n + 1)), weights=common, minlength=pairs)
    return matches


def _matches_by_order(
    symbols: IntArray, pair: IntArray, left: IntArray, lengths: IntArray, orders: int
) -> FloatArray:
    """The same with a sort for each order, where n symbols of the block's alphabet do not fit in 64 bits."""
    pairs, kinds = lengths.shape[1], int(symbols.max()) + 1
    matches = np.zeros((pairs, orders))
    side = np.repeat(np.array([0, 1]), lengths.sum(axis=1))
    grams, most = symbols, kinds
    for n in range(orders):
        if n:
            if most * kinds * 2 * pairs >= 2**62:
                distinct, grams = np.unique(grams, return_inverse=True)
                most = len(distinct)
            grams, most = grams[:-1] * kinds + symbols[n:], most * kinds
        whole = left[: len(grams)] > n
        if not whole.any():
            break
        keys = np.sort((((pair[: len(grams)] * most + grams) << 1) | side[: len(grams)])[whole])
        gram = keys >> 1
        starts = np.flatnonzero(np.diff(gram, prepend=-1))
        common = _common(keys & 1, starts)
        matches[:, n] = np.bincount(gram[starts] // most, weights=common, minlength=pairs)
    return matches


def _common(side: IntArray, starts: IntArray) -> IntArray:
    """How many members of each run of equal n-grams both sides have, [runs]."""
    in_reference = np.add.reduceat(side, starts)
    common: IntArray = np.minimum(in_reference, np.diff(starts, append=len(side)) - in_reference)
    return common


def _dense(values: IntArray) -> tuple[IntArray, int]:
    """Number the distinct values 0, 1, … in order; returns the numbers and how many there are."""
    seen = np.zeros(int(values.max()) + 1, dtype=np.int64)
    seen[values] = 1
    numbers = np.cumsum(seen)
    return numbers[values] - 1, int(numbers[-1])


def _blocks(sizes: IntArray) -> Iterator[tuple[int, int]]:
    """Ranges of pairs of about :data:`BLOCK_SYMBOLS` symbols, one pair at least."""
    first = 0
    ends = np.cumsum(sizes)
    while first < len(sizes):
        before = int(ends[first - 1]) if first else 0
        last = max(first + 1, int(np.searchsorted(ends, before + BLOCK_SYMBOLS, side="right")))
        yield first, last
        first = last
