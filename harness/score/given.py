"""Scores that another harness has given each example: only their sum is ours."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from warmup_bench.contracts.errors import UserError
from warmup_bench.contracts.metric import FloatArray

LOWER_IS_BETTER = {
    *("perplexity", "word_perplexity", "byte_perplexity", "bits_per_byte", "ppl", "nll", "loss"),
    *(
        "ter",
        "wer",
        "cer",
        "edit_distance",
        "mae",
        "mse",
        "rmse",
        "brier_score",
        "ece",
        "error",
        "error_rate",
    ),
    "metricx",
}
"""Names of metrics, in lower case, that everybody reads so."""


@dataclass(frozen=True, slots=True)
class Given:
    """A metric whose numbers stand in a log: statistics [examples, 2] of a number and its weight.

    Attributes:
        name: As the log has it.
        higher_is_better: Its direction.
        harness: That has scored.
        aggregation: ``mean``; ``perplexity`` and ``bits`` of log-likelihoods and what they are counted over.
        scale: What a mean is multiplied by: 100 where all numbers lie between 0 and 1.
    """

    name: str
    higher_is_better: bool
    harness: str
    aggregation: str = "mean"
    scale: float = 1.0

    @property
    def digits(self) -> int:
        """Decimals that a table shows: a perplexity or a share is told apart later than a percentage."""
        return 2 if self.scale == 100 else 4

    def segment_statistics(
        self, hypotheses: Sequence[str], references: Sequence[Sequence[str]], sources: Sequence[str]
    ) -> FloatArray:
        """There is nothing to score with.

        Raises:
            UserError: Always.
        """
        raise UserError(f"{self.name} was scored by {self.harness}, and texts can't be scored by it here")

    def aggregate(self, statistics: FloatArray) -> FloatArray:
        """Turn summed statistics [..., 2] into scores [...]."""
        with np.errstate(
            divide="ignore", invalid="ignore"
        ):  # a score that is not finite is refused, not told
            means: FloatArray = statistics[..., 0] / statistics[..., 1]
        if self.aggregation == "perplexity":
            return np.exp(-means)
        return self.scale * (-means / math.log(2) if self.aggregation == "bits" else means)

    def signature(self) -> str:
        """Who has scored, and how the numbers of examples become one."""
        times = f"|times:{self.scale:g}" if self.scale != 1 else ""
        return f"scored-by:{self.harness}|{self.aggregation}{times}"


def higher_is_better(name: str) -> bool:
    """The direction of a metric by its name alone: higher, unless everybody knows better."""
    parts = name.lower().replace(",", "/").split("/")
    return not any(part in LOWER_IS_BETTER for part in parts)
