"""What a metric that asks a model has besides every metric's contract, so that nothing is scored twice.

Its score of an example is that of its best reference, and the score of a test set is the mean.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol, TypeGuard

import numpy as np

from warmup_bench.contracts.metric import FloatArray, Metric


@dataclass(frozen=True, slots=True)
class Segment:
    """One text to score; None where the metric does not read it, so that equal questions are asked once."""

    hypothesis: str
    source: str | None = None
    reference: str | None = None

    @property
    def size(self) -> int:
        """Characters: segments of one batch should be near each other."""
        return len(self.hypothesis) + len(self.source or "") + len(self.reference or "")


class LearnedMetric(Metric, Protocol):
    """A metric whose scores come from a model. It scores in a stage of its own, from stored predictions."""

    learned: ClassVar[bool]

    @property
    def key(self) -> str:
        """Name of its folder among the scores of a cell; another one for another model."""

    def missing(self) -> str:
        """Return why it can't score here and the command that mends it; "" when it can. Must be cheap."""

    def fetch(self) -> list[str]:
        """Download its models into the cache of the hub, and return what was downloaded."""

    def identity(self) -> Mapping[str, str]:
        """Everything that a segment's score depends on besides its texts: model hash, layer, versions."""

    def segments(
        self, hypotheses: Sequence[str], references: Sequence[Sequence[str]], sources: Sequence[str]
    ) -> list[list[Segment]]:
        """Return the segments of each example, one a reference where it reads references."""

    def score(self, segments: Sequence[Segment], *, device: str) -> Iterator[list[float]]:
        """Yield the scores of the segments in their order, a batch at a time; device: auto, cpu or cuda."""

    def statistics(self, scores: Sequence[Sequence[float]]) -> FloatArray:
        """Turn the scores of each example's segments into statistics [examples, k]."""

    def notes(self, hypotheses: Sequence[str], references: Sequence[Sequence[str]]) -> list[str]:
        """What a reader must know of these scores, e.g. how many empty texts count 0."""


def is_learned(metric: Metric) -> TypeGuard[LearnedMetric]:
    """Whether a metric asks a model."""
    return bool(getattr(metric, "learned", False))


def best_of_each(scores: Sequence[Sequence[float]]) -> FloatArray:
    """Return statistics [examples, 2]: the score of the best reference, and 1 to count the example."""
    return np.array([[max(of_one), 1.0] for of_one in scores], dtype=np.float64).reshape(-1, 2)


def mean_percent(statistics: FloatArray) -> FloatArray:
    """Return 100 times the mean score of summed statistics [..., 2], with the shape [...]."""
    score: FloatArray = 100.0 * statistics[..., 0] / statistics[..., 1]
    return score


def score_all(metric: LearnedMetric, segments: Sequence[Sequence[Segment]]) -> FloatArray:
    """Score without a cache: what ``segment_statistics`` of a learned metric returns."""
    flat = [segment for of_one in segments for segment in of_one]
    scores = iter([score for batch in metric.score(flat, device="auto") for score in batch])
    return metric.statistics([[next(scores) for _ in of_one] for of_one in segments])
