"""Paired randomisation: how often do swapped labels give as large a difference as the real ones?

Null hypothesis: given the trained models, which of the two systems wrote which output of a unit is
exchangeable. Its p value is about these models on other test examples; it says nothing about training
again (:mod:`harness.stats.seeds`).

The unit of a swap is an example, or its group, together with **all its seeds**: under one mask an example's
outputs change sides in every matched pair of runs at once, and outputs of different seeds are never paired
(stratified, after Clark et al. 2011). The reason: two runs find the same example easy or hard, so their
differences on it are correlated. Flipping a coin for each run apart would break that correlation under the
null, make the null distribution too narrow and the p value too small.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from harness.metrics.base import FloatArray
from harness.stats.draws import every_swap, swap_masks
from harness.stats.scoring import Aggregate, finite_scores

TIE = 1e-9
"""Differences this close, relative to the larger score, count as equal: sums in another order round apart."""


@dataclass(frozen=True, slots=True)
class Randomization:
    """p value, the number of swaps that it rests on, and whether these were all that there are."""

    p_value: float
    rounds: int
    exact: bool


def randomization_test(
    a: FloatArray, b: FloatArray, aggregate: Aggregate, rounds: int, seed: int
) -> Randomization:
    """Test the mean over seeds of ``score_b - score_a``, two-sided, on statistics [seeds, units, k].

    Equal units swap without effect. Where the others allow no more than ``rounds`` distinct swaps, all are
    tried and p is exact: the share with ``abs(d*) >= abs(d) - eps``. Else ``p = (1 + #) / (rounds + 1)`` of
    random swaps, the real labels being one more arrangement (Noreen 1989; Phipson & Smyth 2010): a test at
    its level for any number of rounds. Identical systems give exactly 1.
    """
    total_a, total_b, gain = a.sum(axis=1), b.sum(axis=1), b - a
    score_a, score_b = finite_scores(aggregate, total_a), finite_scores(aggregate, total_b)
    tie = TIE * max(np.abs(score_a).max(), np.abs(score_b).max())
    least = abs((score_b - score_a).mean()) - tie
    differing = (gain != 0).any(axis=(0, 2))
    exact = 2 ** int(differing.sum()) <= rounds
    if exact:
        gain = gain[:, differing]
        rounds = 2 ** gain.shape[1]
    masks = every_swap(gain.shape[1]) if exact else swap_masks(gain.shape[1], rounds, seed)
    swapped = swapped_differences(total_a, total_b, gain, aggregate, masks)
    reached = sum(int(np.count_nonzero(np.abs(differences) >= least)) for differences in swapped)
    return Randomization(reached / rounds if exact else (1 + reached) / (1 + rounds), rounds, exact)


def swapped_differences(
    total_a: FloatArray,
    total_b: FloatArray,
    gain: FloatArray,
    aggregate: Aggregate,
    masks: Iterable[FloatArray],
) -> Iterator[FloatArray]:
    """Yield the mean over seeds of ``score_b - score_a`` after each swap: [rows] for masks [rows, units].

    A mask of 1 swaps the unit's outputs in all seeds. ``total_a`` and ``total_b`` are sums [seeds, k] over
    all units, ``gain`` is B's statistics less A's, [seeds, units, k], of the units that the masks are about.
    One matrix product a block takes the place of a loop.
    """
    for mask in masks:
        moved = mask @ gain  # [seeds, rows, k]
        scores_a = finite_scores(aggregate, total_a[:, None] + moved)
        scores_b = finite_scores(aggregate, total_b[:, None] - moved)
        yield (scores_b - scores_a).mean(axis=0)
