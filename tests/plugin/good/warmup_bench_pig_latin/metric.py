"""``exact``: share of outputs that are a reference, letter for letter."""

from collections.abc import Sequence

import numpy as np

from warmup_bench import FloatArray, MetricContext


class Exact:
    """Exact match in 0..100; the statistics of an example are whether it is right, and 1."""

    name, higher_is_better, best = "exact", True, 100.0

    def __init__(self, context: MetricContext) -> None:
        """Nothing of the context is used."""

    def segment_statistics(
        self, hypotheses: Sequence[str], references: Sequence[Sequence[str]], sources: Sequence[str]
    ) -> FloatArray:
        """Return [examples, 2]."""
        return np.array(
            [[h in golds, 1] for h, golds in zip(hypotheses, references, strict=True)], dtype=np.float64
        ).reshape(-1, 2)

    def aggregate(self, statistics: FloatArray) -> FloatArray:
        """Return 100 times the share of right ones."""
        score: FloatArray = 100 * statistics[..., 0] / statistics[..., 1]
        return score

    def signature(self) -> str:
        """Return what changes the number: nothing."""
        return "refs:any|version:1"
