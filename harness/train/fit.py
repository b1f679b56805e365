"""How much of a batch stands in memory at once, and what to do where that is too much."""

from dataclasses import dataclass

import torch

from warmup_bench.contracts.errors import UserError


@dataclass(frozen=True, slots=True)
class Fit:
    """What fits into memory: ``inputs`` a micro-batch, and ``rows`` of warmups scored at once."""

    inputs: int
    rows: int

    def within(self, other: "Fit") -> "Fit":
        """The smaller of two, in both."""
        return Fit(min(self.inputs, other.inputs), min(self.rows, other.rows))


def halved(fit: Fit, error: Exception, origin: str) -> Fit:
    """Half the micro-batch after memory ran out; at one input, half the warmups that are scored at once.

    Args:
        fit: What was tried.
        error: The error of memory.
        origin: What was under way, for the message.

    Raises:
        UserError: One warmup of one input is too many already.
    """
    if fit.inputs == fit.rows == 1:
        raise UserError(
            "memory ran out on a single warmup of a single input",
            origin=origin,
            hint="Lower train.max_source_tokens or train.max_target_tokens.",
        ) from error
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    if fit.inputs > 1:
        return Fit((fit.inputs + 1) // 2, fit.rows)
    return Fit(1, (fit.rows + 1) // 2)
