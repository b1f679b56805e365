"""Samplers: fewer warmups where they teach little. Options of every method that samples (``sampler=NAME``).

The paper names sampling as its cost, and more efficient sampling and adaptive selection as future work. These
are our choices. Each spends fewer operations a step than n warmups for every input do, so compare them at
equal FLOPs (``baselines/study-samplers.yaml``).
"""

import math

import torch
from torch import Tensor

from warmup_bench import Sampler, UserError
from warmup_bench.contracts.method import effective_sample_size


def _all_at_once(share: float, n: int) -> int:
    return n


def _two_first(share: float, n: int) -> int:
    return min(2, n)


def ramp() -> Sampler:
    """n doubles from 1 to its full value in equal parts of the budget: 1, 2, 4, 8.

    Early warmups are poor and so is what n of them say. Bias: none beyond the method's own at that n. A ratio
    estimator such as ``warmup`` has one of O(1/n), larger while n is small, and with one warmup its sampler
    learns nothing; ``warmup-vimco`` and ``warmup-jensen`` have no baseline then, which costs variance only.
    """

    def first(share: float, n: int) -> int:
        stages = math.floor(math.log2(n)) + 1
        stage = min(stages - 1, int(share * stages))
        return n if stage == stages - 1 else 2**stage

    return Sampler("ramp", "n doubles from 1 over training", first)


def pilot(spread: float = 1.0) -> Sampler:
    """Two warmups for every input; the others only where the log-likelihoods of the two are far apart.

    Where both explain y as well, the coefficients of the sampler are near 0 and more of them teach little.
    ``spread`` is the least difference, in nats. Bias: whether there are more depends on what was drawn
    (optional stopping), so an estimator that is unbiased at a fixed n, such as ``warmup-vimco``, is not quite
    so here; inputs that stop at two keep the bias of their method at n = 2.
    """
    if spread < 0:
        raise UserError(f"option spread={spread:g} is below 0", origin="sampler=pilot")

    def more(ly: Tensor, n: int) -> tuple[Tensor, int]:
        if ly.shape[1] > 2:
            return torch.zeros(ly.shape[0], dtype=torch.bool, device=ly.device), 0
        return ly.amax(dim=1) - ly.amin(dim=1) > spread, n - ly.shape[1]

    return Sampler("pilot", "two, and n where they differ by more than spread", _two_first, more)


def adaptive(ess: float = 1.5) -> Sampler:
    """Two warmups, then twice as many, up to n, until the effective sample size reaches ``ess``.

    The effective sample size is that of softmax(ly) (Kong 1992): 1 where one warmup has all the weight, the
    number drawn where all weigh the same. After two it is at least 1.5 where their ly differ by at most 1.32
    nats (ln(2 + sqrt 3)); it can't be over 2, so that ``ess`` of 2 stops there for equal warmups only. An
    input on which it stays low goes on to n. Bias: as for ``pilot``, the number drawn depends on what was
    drawn; it stops early where weights are even, so it favours neither a good nor a bad warmup by itself, but
    the mean of an unbiased estimator is no longer exact.
    """
    if ess < 1:
        raise UserError(f"option ess={ess:g} is below 1, the least there is", origin="sampler=adaptive")

    def more(ly: Tensor, n: int) -> tuple[Tensor, int]:
        return effective_sample_size(ly) < ess, ly.shape[1]

    return Sampler("adaptive", "doubled until the effective sample size is enough", _two_first, more)


def replay(clip: float = 2.0) -> Sampler:
    """Half of the warmups are those that the input drew when it was last met, with importance weights.

    A replayed warmup costs no sampling, only its score, which gives its weight p(c|x) now / then, cut at
    ``clip`` (Ionides 2008, truncated importance sampling); the method's coefficients of that row are
    multiplied by it. Bias: truncation, and for methods whose coefficients divide by a mean over the rows
    (``warmup``, ``warmup-vimco``) that mean takes replayed rows at weight 1. On an input's
    first visit all are drawn.
    """
    if clip < 1:
        raise UserError(f"option clip={clip:g} is below 1", origin="sampler=replay")
    return Sampler("replay", "half from the last visit", _all_at_once, replayed=0.5, clip=clip)
