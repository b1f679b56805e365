"""The one contract of every metric: segment statistics first, the score from their sum.

It is what lets one engine serve scores, intervals, randomisation and re-scoring (design: sacreBLEU's
split into statistics and score).
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from warmup_bench.contracts.settings import Score

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class MetricContext:
    """What a metric may need to know of a task and its test set.

    Attributes:
        target_language: Code of a language that :func:`warmup_bench.contracts.language.language_code` knows.
        labels: The closed label set of a classification task.
        references: References of every example, -1 where the number varies, None where it is not known; the
            signatures of sacreBLEU's metrics tell it.
        settings: The spec's section ``score``, which learned metrics read.
    """

    target_language: str = "en"
    labels: tuple[str, ...] = ()
    references: int | None = None
    settings: Score = field(default_factory=Score)


def references_of_each(references: Iterable[Sequence[str]]) -> int:
    """How many references every example has; -1 where the number varies."""
    counts = {len(golds) for golds in references}
    return counts.pop() if len(counts) == 1 else -1


class Metric(Protocol):
    """A metric on a whole test set.

    A metric that has a fixed best score declares it as ``best: float``; ``warmup-bench check task`` then
    asks it of the references scored against themselves.
    """

    @property
    def name(self) -> str:
        """Column name, e.g. ``BLEU``."""

    @property
    def higher_is_better(self) -> bool:
        """Whether a larger score is a better one."""

    def segment_statistics(
        self, hypotheses: Sequence[str], references: Sequence[Sequence[str]], sources: Sequence[str]
    ) -> FloatArray:
        """Return statistics [examples, k]; ``references[i]`` holds every reference of example i."""

    def aggregate(self, statistics: FloatArray) -> FloatArray:
        """Turn statistics summed over examples, [..., k], into scores [...]."""

    def signature(self) -> str:
        """Everything that changes the number, in sacreBLEU's ``key:value|key:value`` form."""


MetricFactory = Callable[[MetricContext], Metric]
"""What an entry point of the group ``warmup_bench.metrics`` names."""
