"""The random draws of the tests, in blocks of swap masks.

They depend on nothing but the seed, the number of units and the number of rounds (fewer rounds give the
first of the same draws), never on a metric or on the size of a block. So all metrics and methods of one
table share them. Rows come as floats, ready for a matrix product.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from warmup_bench.contracts.metric import FloatArray

FLOAT64 = np.dtype(np.float64)

BLOCK_BYTES = 2**24
"""Size of one block of draws as float64; a test needs a few times as much beside its input."""

SUM_BYTES = 2**20
"""Size of the summed statistics that are scored at once, as float64: they and what a metric makes of them
stay in a cache of the processor."""


def product_dtype(statistics: FloatArray) -> np.dtype[Any]:
    """float32 where sums of any n of the n statistics [.., units, k] are exact in it, else float64.

    Whole numbers add up without rounding while the sum stays under 2**24: half the bytes, half the time.
    """
    largest = statistics.shape[-2] * float(np.abs(statistics).max(initial=0.0))
    whole = largest < 2**24 and bool((statistics == np.rint(statistics)).all())
    return np.dtype(np.float32) if whole else FLOAT64


def swap_masks(units: int, rounds: int, seed: int, dtype: np.dtype[Any] = FLOAT64) -> Iterator[NDArray[Any]]:
    """Yield ``rounds`` fair coin flips of every unit as blocks [rows, units] of 0.0 and 1.0."""
    bits = _generator(seed, "randomization").bit_generator
    words = -(-units // 64)
    for rows in _blocks(units, rounds):
        # Raw words: numpy guarantees the stream of a bit generator over its versions.
        raw = bits.random_raw(rows * words).astype("<u8", copy=False).view(np.uint8).reshape(rows, -1)
        yield np.unpackbits(raw, axis=1, count=units).astype(dtype)


def every_swap(units: int, dtype: np.dtype[Any] = FLOAT64) -> Iterator[NDArray[Any]]:
    """Yield all ``2**units`` masks, the empty one first, as blocks [rows, units] of 0.0 and 1.0."""
    start = 0
    for rows in _blocks(units, 2**units):
        codes = np.arange(start, start + rows)
        yield (codes[:, None] >> np.arange(units) & 1).astype(dtype)
        start += rows


def parts(draws: NDArray[Any], width: int) -> Iterator[NDArray[Any]]:
    """Split draws [rows, units] by rows: ``width`` sums of statistics a row then take :data:`SUM_BYTES`."""
    rows = max(1, SUM_BYTES // (8 * max(width, 1)))
    for start in range(0, len(draws), rows):
        yield draws[start : start + rows]


def _generator(seed: int, purpose: str) -> np.random.Generator:
    return np.random.default_rng([seed, *purpose.encode()])


def _blocks(units: int, rounds: int) -> Iterator[int]:
    """Split the rounds into blocks whose float64 rows fit in :data:`BLOCK_BYTES` (one row at least)."""
    rows = max(1, BLOCK_BYTES // (8 * max(units, 32)))
    for start in range(0, rounds, rows):
        yield min(rows, rounds - start)
