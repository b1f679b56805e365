"""Which examples make the difference between two systems."""

from warmup_bench.comparison.scoring import Aggregate, finite_scores
from warmup_bench.contracts.metric import FloatArray


def influences(a: FloatArray, b: FloatArray, aggregate: Aggregate) -> FloatArray:
    """Return how much each example moves ``score_b - score_a``, [examples], in the metric's units.

    ``a`` and ``b`` are statistics [seeds, examples, k]. An example's influence is half of what the mean
    difference over seeds loses when the example's outputs are swapped in all seeds, the same swap that the
    paired test makes. For a mean over examples that is its own difference over n, and the influences sum up
    to the difference; for a corpus metric such as BLEU nearly so.
    """
    total_a, total_b, gain = a.sum(axis=1), b.sum(axis=1), b - a
    observed = finite_scores(aggregate, total_b) - finite_scores(aggregate, total_a)
    swapped_a = finite_scores(aggregate, total_a[:, None] + gain)
    swapped_b = finite_scores(aggregate, total_b[:, None] - gain)
    moved: FloatArray = ((observed[:, None] - (swapped_b - swapped_a)) / 2.0).mean(axis=0)
    return moved
