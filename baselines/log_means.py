"""Means of weights in log space, shared by the methods: w_i = exp(ly_i) underflows for long targets."""

import math

import torch
from torch import Tensor


def log_mean(ly: Tensor) -> Tensor:
    """log W = log mean_i exp(ly_i), [batch, 1] from [batch, samples]."""
    return ly.logsumexp(dim=1, keepdim=True) - math.log(ly.shape[1])


def log_mean_without(ly: Tensor) -> Tensor:
    """log W_-i, the log of the mean without i, [batch, samples]; needs two samples or more."""
    n = ly.shape[1]
    others = (
        ly[:, None, :]
        .expand(-1, n, -1)
        .masked_fill(torch.eye(n, dtype=torch.bool, device=ly.device), -torch.inf)
    )
    return others.logsumexp(dim=2) - math.log(n - 1)
