"""Compare two systems on the same examples and matched seeds: difference, interval and p value."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from warmup_bench.comparison.interval import Error, crossed_error
from warmup_bench.comparison.randomization import randomization_test
from warmup_bench.comparison.scoring import Aggregate, finite_scores
from warmup_bench.comparison.seeds import interval_note, seed_level_note, seed_level_p
from warmup_bench.comparison.units import stratum_sizes, unit_numbers, unit_sums
from warmup_bench.contracts.errors import UserError
from warmup_bench.contracts.metric import FloatArray

NO_INTERVAL = "no interval: one unit, or differences that are all the same, tell nothing of their spread"


@dataclass(frozen=True, slots=True)
class Comparison:
    """System B against system A, the baseline, in the metric's own units.

    Attributes:
        score_a: Corpus score of A for each seed.
        score_b: Corpus score of B for each seed.
        difference: Mean over seeds of ``score_b - score_a``.
        low: Lower end of the interval of the difference, for other examples and, with several seeds, other
            seeds (:mod:`warmup_bench.comparison.interval`). None where the spread can't be known: a single
            unit, or differences that are all the same.
        high: Its upper end.
        p_value: Two-sided p of the paired randomisation, given the trained models.
        confidence: Nominal coverage of the interval.
        randomizations: Swaps behind ``p_value``: all there are where that is fewer than asked for, 0 where p
            was counted from the whole null distribution (accuracy).
        seeds: Matched seeds.
        examples: Test examples.
        groups: Units that were swapped, and that the interval counts: the examples, unless groups were given.
        notes: What a reader must know of the numbers, one plain sentence each.
        test: Name of the test behind ``p_value``.
        seed_p_value: Two-sided p of the sign-flip test over the matched seeds: would other seeds show the
            difference on these very examples? None with one seed.
        joint_p_value: Two-sided p of the t test that the interval belongs to: would other seeds show it on
            other examples? None with one seed, and where there is no interval.
        error: Behind the interval; None where there is none.
        p_at_floor: Whether no random swap reached the difference, so that p is at most what stands there.
        mid_p_value: McNemar's mid-p and its like, less cautious than the exact ``p_value``; None where p is
            not a count of the whole null distribution.
    """

    score_a: tuple[float, ...]
    score_b: tuple[float, ...]
    difference: float
    low: float | None
    high: float | None
    p_value: float
    confidence: float
    randomizations: int
    seeds: int
    examples: int
    groups: int
    notes: tuple[str, ...]
    test: str = "paired randomisation"
    seed_p_value: float | None = None
    joint_p_value: float | None = None
    error: Error | None = None
    p_at_floor: bool = False
    mid_p_value: float | None = None


def compare(
    a: ArrayLike,
    b: ArrayLike,
    aggregate: Aggregate,
    *,
    ids: Sequence[str],
    groups: Sequence[str | None] | None = None,
    strata: Sequence[int] = (),
    randomizations: int = 10_000,
    seed: int = 12345,
    confidence: float = 0.95,
) -> Comparison:
    """Compare statistics [seeds, examples, k] of A and B: same seeds, same examples, same order.

    Args:
        a: Segment statistics of the baseline.
        b: Segment statistics of the other system.
        aggregate: The metric's, from summed statistics [..., k] to scores [...].
        ids: The examples' ids, in order; an error names them.
        groups: The examples' groups (documents), which are swapped and counted whole; an example whose
            group is None is a unit by itself.
        strata: How many examples each of several test sets has that stand one after the other: the interval
            counts the spread within each. Empty: they are one test set.
        randomizations: Random swaps; all swaps are tried where they are no more than this.
        seed: Of the draws, which depend on nothing else but the numbers of units and rounds.
        confidence: Coverage of the interval, between 0 and 1.

    Raises:
        UserError: for shapes or ids that do not match, and for a statistic that is not finite.
        ValueError: for a number of rounds below 1 or a confidence outside of 0..1.
    """
    if randomizations < 1 or not 0.0 < confidence < 1.0:
        raise ValueError(f"cannot use {randomizations=}, {confidence=}")
    a, b = _checked(a, b, ids)
    units = unit_numbers(ids, groups)
    score_a, score_b = (finite_scores(aggregate, side.sum(axis=1)) for side in (a, b))
    a, b = unit_sums(a, units), unit_sums(b, units)
    test = randomization_test(a, b, aggregate, randomizations, seed)
    difference = float((score_b - score_a).mean())
    error = crossed_error(a, b, aggregate, stratum_sizes(units, strata) or [a.shape[1]])
    half = None if error is None else error.half_width(confidence)
    why_exact = f"all {test.rounds} distinct swaps were tried" if test.rounds else "every swap is counted"
    notes = [
        least_p_note(
            test.least, a.shape[1], "groups" if a.shape[1] < len(ids) else "examples", 1 - confidence
        ),
        skewness_note(test.skewness, a.shape[1]),
        f"no swap reached the difference: p is at most {test.p_value:.1g}" if test.floor else None,
        seed_level_note(len(a)),
        interval_note(len(a)) if error is not None else NO_INTERVAL,
        f"p is exact: {why_exact}" if test.exact else None,
        f"swapped and counted by {a.shape[1]} groups" if a.shape[1] < len(ids) else None,
    ]
    return Comparison(
        score_a=tuple(score_a.tolist()),
        score_b=tuple(score_b.tolist()),
        difference=difference,
        low=None if half is None else difference - half,
        high=None if half is None else difference + half,
        p_value=test.p_value,
        confidence=confidence,
        randomizations=test.rounds,
        seeds=len(a),
        examples=len(ids),
        groups=a.shape[1],
        notes=tuple(note for note in notes if note),
        test=test.test,
        seed_p_value=seed_level_p((score_b - score_a).tolist(), randomizations, seed),
        joint_p_value=None if error is None or len(a) < 2 else min(1.0, 2.0 * error.tail(abs(difference))),
        error=error,
        p_at_floor=test.floor,
        mid_p_value=test.mid_p,
    )


def least_p_note(least: float, units: int, name: str, level: float) -> str | None:
    """Say that no result could be significant, since too few units differ (or are there) at all."""
    if least <= level:
        return None
    differing = "of which too few differ" if 2.0 / 2.0**units <= level else "which are too few"
    return f"{units} {name}, {differing}: p cannot be under {least:g}, so no result could be significant"


def skewness_note(skewness: float | None, units: int) -> str | None:
    """Say where sign flips reject too often: skewed differences and few units, by Cochran's rule."""
    if skewness is None or abs(skewness) <= 1 or units > 25 * skewness**2:
        return None
    return (
        f"the differences of {units} units are skewed ({skewness:.1f}): with so few the paired test and the "
        "interval reject a true null in up to 10 to 15% of studies instead of 5%"
    )


def _checked(a: ArrayLike, b: ArrayLike, ids: Sequence[str]) -> tuple[FloatArray, FloatArray]:
    """Both as float64 [seeds, examples, k], or one clear error."""
    pair = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    shape = pair[0].shape
    if shape != pair[1].shape or len(shape) != 3 or 0 in shape:
        raise UserError(
            f"cannot pair statistics of shapes {shape} and {pair[1].shape} ([seeds, examples, k])",
            hint="Both systems need the same seeds, the same examples and the same metric, and one at least.",
        )
    if shape[1] != len(ids):
        raise UserError(
            f"{len(ids)} ids for statistics of {shape[1]} examples", hint="Pass one id an example."
        )
    if len(set(ids)) < len(ids):
        twice = next(name for i, name in enumerate(ids) if name in ids[:i])
        raise UserError(f"example id {twice!r} occurs twice", hint="Pairing needs ids that are unique.")
    for system, statistics in zip("AB", pair, strict=True):
        wrong = np.argwhere(~np.isfinite(statistics))
        if len(wrong):
            run, example, _ = wrong[0]
            raise UserError(
                f"a statistic of example {ids[example]!r} is not finite (system {system}, run {run})",
                hint="Score it again, or leave the example out of both systems.",
            )
    return pair
