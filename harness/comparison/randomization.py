"""Paired randomisation: how often do swapped labels give as large a difference as the real ones?

Null hypothesis: given the trained models, which of the two systems wrote which output of a unit is
exchangeable. Its p value is about these models on other test examples; it says nothing about training
again (:mod:`warmup_bench.comparison.seeds`).

The unit of a swap is an example, or its group, together with **all its seeds**: under one mask an example's
outputs change sides in every matched pair of runs at once, and outputs of different seeds are never paired
(stratified, after Clark et al. 2011). The reason: two runs find the same example easy or hard, so their
differences on it are correlated. Flipping a coin for each run apart would break that correlation under the
null, make the null distribution too narrow and the p value too small.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from warmup_bench.comparison.additive import additive_gains, counted_p, is_binary
from warmup_bench.comparison.draws import FLOAT64, every_swap, parts, product_dtype, swap_masks
from warmup_bench.comparison.scoring import Aggregate, finite_scores
from warmup_bench.contracts.metric import FloatArray

TIE = 1e-9
"""Differences this close, relative to the larger score, count as equal: sums in another order round apart."""


@dataclass(frozen=True, slots=True)
class Randomization:
    """A p value and what it rests on.

    Attributes:
        p_value: Two-sided.
        rounds: Swaps that were tried; 0 where the whole null distribution was counted instead.
        exact: Whether these are all that there are.
        test: What the field calls it.
        floor: Whether no random swap reached the observed difference: p is then the least that so many swaps
            can give, and the true one may be lower.
        mid_p: Of a count of the whole null distribution: ties weigh half (McNemar: Fagerland et al. 2013).
        least: The smallest p that the differing units allow, 2 / 2^units; 1 with one or none.
        skewness: Of the units' differences of a mean over examples.
    """

    p_value: float
    rounds: int
    exact: bool
    test: str
    floor: bool = False
    mid_p: float | None = None
    least: float = 0.0
    skewness: float | None = None


def randomization_test(
    a: FloatArray, b: FloatArray, aggregate: Aggregate, rounds: int, seed: int
) -> Randomization:
    """Test the mean over seeds of ``score_b - score_a``, two-sided, on statistics [seeds, units, k].

    Equal units swap without effect. Where the others allow no more than ``rounds`` distinct swaps, all are
    tried and p is exact: the share with ``abs(d*) >= abs(d) - eps``. So it is where the units' differences of
    an additive metric are whole numbers (:mod:`warmup_bench.comparison.additive`; accuracy: McNemar's test).
    Else ``p = (1 + #) / (rounds + 1)`` of random swaps, the real labels being one more arrangement (Noreen
    1989; Phipson & Smyth 2010): a test at its level for any number of rounds. Identical systems give exactly
    1.
    """
    gain = b - a
    differing = (gain != 0).any(axis=(0, 2))
    units = int(differing.sum())
    few = 2**units <= rounds
    smallest = 2.0 ** (1 - max(units, 1))
    additive = additive_gains(a, b, aggregate)
    counted = None
    if additive is None:
        name = "paired randomisation"
        dtype = product_dtype(gain)
        observed, tie, swap = _corpus_swaps(a, b, aggregate, differing if few else None, dtype)
    else:
        dtype = FLOAT64
        name = "McNemar's test" if is_binary(a, b) else "sign-flip permutation"
        counted = counted_p(additive[0])
        if counted is not None and not few:
            skewed = skewness(additive[0])
            return Randomization(counted.p, 0, True, f"exact {name}", False, counted.mid_p, smallest, skewed)
        observed, tie, swap = _sign_flips(*additive, differing if few else None)
    if few:
        name = f"exact {name}"
        rounds = 2**units
    masks = every_swap(units, dtype) if few else swap_masks(a.shape[1], rounds, seed, dtype)
    least = abs(observed) - tie
    reached = sum(int(np.count_nonzero(np.abs(differences) >= least)) for differences in swap(masks))
    p = reached / rounds if few else (1 + reached) / (1 + rounds)
    mid_p = None if additive is None or counted is None else counted.mid_p
    own = None if additive is None else skewness(additive[0])
    return Randomization(p, rounds, few, name, not few and reached == 0, mid_p, smallest, own)


def skewness(values: FloatArray) -> float:
    """Third moment around the mean over the standard deviation's cube; 0 where all are the same."""
    moves = values - values.mean()
    deviation = float(np.sqrt((moves**2).mean()))
    return float((moves**3).mean()) / deviation**3 if deviation > 0 else 0.0


Swaps = Callable[[Iterable[FloatArray]], Iterator[FloatArray]]
"""From masks [rows, units] to differences [rows]."""


def _corpus_swaps(
    a: FloatArray, b: FloatArray, aggregate: Aggregate, units: np.ndarray | None, dtype: np.dtype[Any]
) -> tuple[float, float, Swaps]:
    """Observed difference, what counts as a tie, and the swaps of a corpus metric (of ``units`` only)."""
    total_a, total_b, gain = a.sum(axis=1), b.sum(axis=1), b - a
    score_a, score_b = finite_scores(aggregate, total_a), finite_scores(aggregate, total_b)
    tie = TIE * max(np.abs(score_a).max(), np.abs(score_b).max())
    gain = (gain if units is None else gain[:, units]).astype(dtype)
    swap = partial(swapped_differences, total_a, total_b, gain, aggregate)
    return float((score_b - score_a).mean()), tie, swap


def _sign_flips(gains: FloatArray, scale: float, units: np.ndarray | None) -> tuple[float, float, Swaps]:
    """The same for an additive metric, whose differences need no statistics and no score."""
    observed = float(scale * gains.sum())
    doubled = 2.0 * scale * (gains if units is None else gains[units])
    tie = TIE * float(abs(scale) * np.abs(gains).sum())
    return observed, tie, lambda masks: (observed - mask @ doubled for mask in masks)


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
    One matrix product takes the place of a loop, over the statistics that differ at all (a reference's own
    counts do not). Sums lie in memory statistic by statistic, so that a metric reads each of them in one go.
    """
    seeds, units, k = gain.shape
    moving = np.flatnonzero(gain.any(axis=(0, 1)))
    gains = np.ascontiguousarray(gain.transpose(2, 0, 1)[moving]).reshape(len(moving) * seeds, units)
    from_a, from_b = (total.T[..., None] for total in (total_a, total_b))  # [k, seeds, 1]
    for block in masks:
        for mask in parts(block, seeds * k):
            moved = np.zeros((k, seeds, len(mask)))
            moved[moving] = (gains @ mask.T).reshape(len(moving), seeds, len(mask))
            scores_a = finite_scores(aggregate, np.moveaxis(from_a + moved, 0, -1))
            scores_b = finite_scores(aggregate, np.moveaxis(from_b - moved, 0, -1))
            yield (scores_b - scores_a).mean(axis=0)
