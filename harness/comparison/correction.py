"""Correction of p values for a family of tests."""

import math
from collections.abc import Sequence

import numpy as np

from warmup_bench.contracts.metric import FloatArray


def holm(p_values: Sequence[float] | FloatArray) -> FloatArray:
    """Return Holm's step-down adjusted p values (Holm 1979), in the order given.

    The i-th smallest of m becomes the largest of ``min(1, (m - j + 1) p_(j))`` over j up to i. Reject those
    at or under the level: the chance of any false rejection in the family is at most the level.

    Raises:
        ValueError: if a p value is not a number between 0 and 1.
    """
    p = np.asarray(p_values, dtype=np.float64)
    if p.ndim != 1 or not ((p >= 0) & (p <= 1)).all():
        raise ValueError(f"p values must be a list of numbers between 0 and 1, not {p_values}")
    order = np.argsort(p, kind="stable")
    steps = p[order] * np.arange(len(p), 0, -1)
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(steps))
    return adjusted


def enough_swaps(rounds: int, comparisons: int, level: float) -> int:
    """The number of random swaps with which the smallest p of a family can survive its correction.

    ``rounds`` where ``1 / (rounds + 1)`` times the number of comparisons is at most the level; else ten times
    as many as that takes.
    """
    needed = math.ceil(comparisons / level - 1e-9)
    return rounds if rounds + 1 >= needed else 10 * needed
