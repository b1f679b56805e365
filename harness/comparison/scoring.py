"""Scores of many changed test sets at once, from sums of their statistics."""

from collections.abc import Callable

import numpy as np

from warmup_bench.contracts.errors import UserError
from warmup_bench.contracts.metric import FloatArray

Aggregate = Callable[[FloatArray], FloatArray]
"""A metric's ``aggregate``: statistics summed over examples, [..., k], to scores [...]."""


def finite_scores(aggregate: Aggregate, totals: FloatArray) -> FloatArray:
    """Return ``aggregate(totals)``, [..., k] to [...], or raise :class:`UserError` if one is not finite.

    A NaN would lose every comparison without a word and make a p value too small.
    """
    scores = np.asarray(aggregate(totals), dtype=np.float64)
    if scores.shape != totals.shape[:-1]:
        raise ValueError(f"aggregate turned {totals.shape} into {scores.shape}, not {totals.shape[:-1]}")
    if not np.isfinite(scores).all():
        raise UserError(
            "the metric has no finite score on a changed test set",
            hint="Its aggregate must give a number for every sum of statistics.",
        )
    return scores
