"""Random inputs without padding, of one length, for a training step."""

import torch
from torch import Tensor

from benchmarks.models import FIRST, Size
from warmup_bench.models.batching import Batch

SAMPLES, CAP, SOURCE, TARGET = 4, 16, 24, 24
"""Warmups an input, their cap, and the tokens of every source and target."""


def random_batch(size: Size, device: str = "cpu", *, seed: int = 1, length: int = SOURCE) -> Batch:
    """``size.batch`` inputs of ``length`` plain tokens."""
    generator = torch.Generator().manual_seed(seed)

    def ids(count: int) -> Tensor:
        drawn = torch.randint(FIRST, size.vocabulary, (size.batch, count), generator=generator)
        return drawn.to(device)

    source, target = ids(length), ids(TARGET)
    lengths = torch.full((size.batch,), TARGET, device=device)
    return Batch(source, torch.ones_like(source), target, lengths)


def draws(size: Size, generator: torch.Generator, device: str = "cpu") -> Tensor:
    """Uniform draws of a step for :func:`warmup_bench.train.loss.batch_loss`, [batch, samples, cap + 1].

    None is below 0.02: the sampler inverts the cumulative distribution in the order of the ids, and the
    separator, the lowest id that it may draw, has less than that. So every warmup is as long as the cap.
    """
    return (0.02 + 0.98 * torch.rand((size.batch, SAMPLES, CAP + 1), generator=generator)).to(device)
