"""What is swapped, and what an interval counts: examples, or whole groups (documents) of them."""

from collections.abc import Sequence

import numpy as np

from warmup_bench.contracts.errors import UserError
from warmup_bench.contracts.metric import FloatArray


def unit_numbers(ids: Sequence[str], groups: Sequence[str | None] | None) -> np.ndarray | None:
    """The number of each example's unit, in the order of first appearance; None where each is its own.

    An example whose group is None is a unit by itself.

    Raises:
        UserError: Another number of groups than of ids.
    """
    if groups is None or all(group is None for group in groups):
        return None
    if len(groups) != len(ids):
        raise UserError(f"{len(groups)} groups for {len(ids)} examples", hint="Pass one group an example.")
    numbers: dict[tuple[bool, str], int] = {}
    keys = (
        (group is None, name if group is None else group) for name, group in zip(ids, groups, strict=True)
    )
    return np.array([numbers.setdefault(key, len(numbers)) for key in keys])


def stratum_sizes(units: np.ndarray | None, strata: Sequence[int]) -> list[int]:
    """How many units each stratum has, of strata of so many examples, one after the other.

    Raises:
        UserError: A unit lies in two of them.
    """
    if units is None:
        return list(strata)
    ends = np.cumsum(strata)
    sizes = [len(np.unique(units[end - size : end])) for end, size in zip(ends.tolist(), strata, strict=True)]
    if sum(sizes) > len(np.unique(units)):
        raise UserError("a group has examples in two test sets", hint="Name the groups of each otherwise.")
    return sizes


def unit_sums(statistics: FloatArray, units: np.ndarray | None) -> FloatArray:
    """Sum statistics [seeds, examples, k] over the examples of each unit: [seeds, units, k]."""
    if units is None:
        return statistics
    order = np.argsort(units, kind="stable")
    starts = np.flatnonzero(np.diff(units[order], prepend=-1))
    return np.add.reduceat(statistics[:, order], starts, axis=1)
