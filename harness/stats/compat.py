"""sacreBLEU's own paired tests, to the last digit, faster (``--compat sacrebleu``).

The same draws from the same seed, the same counting with a strict ``>``, the same float32 sums in the
bootstrap; only the loops over resamples are matrix products here. It exists to reproduce printed numbers.
For a decision use :func:`harness.stats.compare`: sacreBLEU's counting gives two identical systems the
smallest p that there is, and its bootstrap test rejects true null hypotheses too often.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from harness.errors import UserError
from harness.metrics.base import FloatArray

Scorer = Callable[[NDArray[Any]], NDArray[Any]]
"""Scores [rows] of summed statistics [rows, k] in the arithmetic of their dtype, as in sacreBLEU's loop."""

EXACT_FLOAT32 = 2**24
"""Whole numbers up to here add up in float32 without rounding, in whatever order."""

BLOCK_CELLS = 2**21
"""Draws at once. Blocks have a multiple of 32 rows: numpy takes the bits of a mask from 32-bit words."""


@dataclass(frozen=True, slots=True)
class CompatResult:
    """What sacreBLEU reports of a system: score, p against the first system, bootstrap mean, half-width."""

    score: float
    p_value: float | None
    mean: float | None
    ci: float | None


def bleu_scores(totals: NDArray[Any]) -> NDArray[Any]:
    """``BLEU.compute_bleu`` with exponential smoothing, row by row to the last bit: [rows, 10] to [rows]."""
    correct, total = totals[:, 2:6], totals[:, 6:10]
    kind = _arithmetic(totals)
    missed = correct == 0
    smoothing = np.exp2(np.cumsum(missed, axis=1)).astype(kind)
    hundred = kind.type(100.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        precisions = np.where(missed, hundred / (smoothing * total), hundred * correct / total)
    precisions[total == 0] = 0.0
    rows = zip(totals[:, :2].tolist(), precisions.tolist(), (~missed).any(axis=1).tolist(), strict=True)
    return np.array([_bleu(int(hyp), int(ref), row) if some else 0.0 for (hyp, ref), row, some in rows])


def _bleu(hyp_len: int, ref_len: int, precisions: list[float]) -> float:
    penalty = 1.0
    if hyp_len < ref_len:
        penalty = math.exp(1 - ref_len / hyp_len) if hyp_len > 0 else 0.0
    # math.log and sum, not numpy's: they may differ in the last bit.
    return penalty * math.exp(sum([math.log(p) if p else -9999999999 for p in precisions]) / len(precisions))


def chrf_scores(totals: NDArray[Any]) -> NDArray[Any]:
    """``CHRF._compute_f_score`` with beta 2, row by row to the last bit: [rows, 3 orders] to [rows]."""
    kind = _arithmetic(totals)
    precision, recall, orders = np.zeros((3, len(totals)), dtype=kind)
    for start in range(0, totals.shape[1], 3):
        hyp, ref, match = totals[:, start : start + 3].T
        counted = (hyp > 0) & (ref > 0)
        precision += np.where(counted, match / np.where(counted, hyp, 1), 0).astype(kind)
        recall += np.where(counted, match / np.where(counted, ref, 1), 0).astype(kind)
        orders += counted
    precision, recall = (side / np.maximum(orders, 1) for side in (precision, recall))
    defined = precision + recall != 0
    weighted = np.where(defined, 4 * precision + recall, 1)
    scores: NDArray[Any] = np.where(defined, 100 * (5 * precision * recall / weighted), 0)
    # One plain 0.0 among float32 scores turns sacreBLEU's whole list into float64.
    return scores.astype(kind if defined.all() else np.float64)


SCORERS: dict[str, Scorer] = {"bleu": bleu_scores, "chrf++": chrf_scores}
"""By the key of the metric; the other metrics are not sacreBLEU's."""


def sacrebleu_paired_test(
    systems: Sequence[FloatArray],
    scorer: Scorer,
    *,
    test: Literal["ar", "bs"] = "ar",
    rounds: int = 10_000,
    resamples: int = 1_000,
    seed: int = 12345,
) -> list[CompatResult]:
    """Return what ``sacrebleu.significance.PairedTest`` gives, the first system being the baseline.

    Args:
        systems: Statistics [examples, k] of each system: sacreBLEU's own counts, whole numbers.
        scorer: Of the metric, from :data:`SCORERS`.
        test: ``ar``, approximate randomisation, or ``bs``, paired bootstrap.
        rounds: Randomisations of ``ar``.
        resamples: Bootstrap resamples: of the test for ``bs``, of the intervals for ``ar`` (0: no intervals).
        seed: As SACREBLEU_SEED.

    Raises:
        UserError: Seed 0, which sacreBLEU takes for "no seed": its numbers then change from run to run.
    """
    if seed == 0:
        raise UserError(
            "sacreBLEU draws without a seed when SACREBLEU_SEED is 0, so that nothing can be reproduced",
            origin="--seed",
            hint="Use another seed.",
        )
    scores = [float(scorer(stats.sum(axis=0, keepdims=True))[0]) for stats in systems]
    first = systems[0]
    of_first = None
    if resamples:
        of_first = _bootstrap_scores(first, scorer, np.random.default_rng(seed), resamples)
    results = [CompatResult(scores[0], None, *_interval(of_first))]
    for stats, score in zip(systems[1:], scores[1:], strict=True):
        rng, observed = np.random.default_rng(seed), abs(scores[0] - score)
        if test == "ar":
            # The masks come first: the intervals go on in the same stream.
            differences = _randomized_differences(first, stats, scorer, rng, rounds)
            resampled = _bootstrap_scores(stats, scorer, rng, resamples) if resamples else None
        else:
            resampled = _bootstrap_scores(stats, scorer, rng, resamples)
            differences = np.abs(resampled - of_first)
            differences = differences - differences.mean()
        p = (int(np.sum(differences > observed)) + 1) / (len(differences) + 1)
        results.append(CompatResult(score, p, *_interval(resampled)))
    return results


def compat_signature(signature: str, test: str, rounds: int, resamples: int, seed: int) -> str:
    """Return a sacreBLEU signature with the test's settings where sacreBLEU puts them."""
    settings = [f"bs:{resamples}"] if resamples else []
    settings += [f"ar:{rounds}"] if test == "ar" else []
    first, _, rest = signature.partition("|")
    return "|".join([first, *settings, f"seed:{seed}", rest])


def _randomized_differences(
    a: FloatArray, b: FloatArray, scorer: Scorer, rng: np.random.Generator, rounds: int
) -> NDArray[Any]:
    gain = a - b
    moved = [
        rng.integers(2, size=(rows, len(a)), dtype=bool).astype(np.float64) @ gain
        for rows in _blocks(len(a), rounds)
    ]
    moved_all = np.concatenate(moved)
    differences: NDArray[Any] = np.abs(scorer(b.sum(axis=0) + moved_all) - scorer(a.sum(axis=0) - moved_all))
    return differences


def _bootstrap_scores(
    stats: FloatArray, scorer: Scorer, rng: np.random.Generator, resamples: int
) -> NDArray[Any]:
    single = stats.astype(np.float32)
    totals = []
    for rows in _blocks(len(stats), resamples):
        drawn = rng.choice(len(stats), size=(rows, len(stats)), replace=True)
        cells = drawn + len(stats) * np.arange(rows)[:, None]
        counts = np.bincount(cells.ravel(), minlength=drawn.size).reshape(drawn.shape)
        sums = (counts.astype(np.float64) @ stats).astype(np.float32)
        for row in np.flatnonzero(sums.max(axis=1) > EXACT_FLOAT32):
            sums[row] = single[drawn[row]].sum(axis=0)  # rounds as the library's sum does
        totals.append(sums)
    return scorer(np.concatenate(totals))


def _interval(scores: NDArray[Any] | None) -> tuple[float | None, float | None]:
    """Mean and half the width of the middle 95%, as ``estimate_ci``."""
    if scores is None:
        return None, None
    ordered = np.sort(scores)
    cut = len(ordered) // 40
    return ordered.mean(), 0.5 * (ordered[len(ordered) - cut - 1] - ordered[cut])


def _arithmetic(totals: NDArray[Any]) -> np.dtype[Any]:
    """The dtype that a number of this array has after meeting a plain Python float (numpy 1: float64)."""
    return np.asarray(totals.dtype.type(1) * 1.0).dtype


def _blocks(units: int, rounds: int) -> Iterator[int]:
    rows = max(32, BLOCK_CELLS // max(units, 1) // 32 * 32)
    for start in range(0, rounds, rows):
        yield min(rows, rounds - start)
