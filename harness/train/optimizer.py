"""The optimiser, and its learning rate over the budget."""

import math
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor
from torch.nn import Parameter

from warmup_bench.contracts.settings import Train
from warmup_bench.models.device import waits
from warmup_bench.train.weights import Weights


def make_optimizer(
    parameters: Iterable[Parameter], settings: Train, learning_rate: float
) -> torch.optim.Optimizer:
    """AdamW, or Adafactor (Shazeer and Stern 2018) with steps relative to the size of each weight matrix.

    T5's initialisation gives embeddings a deviation of 1 and queries one of 0.02: with one absolute step size
    for both, a T5 from scratch learns slowly. On a GPU AdamW is one kernel, Adafactor one for many weights.
    """
    parameters = list(parameters)
    ahead = waits(parameters[0].device)
    groups: list[Any] = parameters
    if settings.weight_decay and not settings.decay_norms:
        kinds = [p for p in parameters if p.dim() > 1], [p for p in parameters if p.dim() < 2]
        decays = settings.weight_decay, 0.0
        groups = [{"params": k, "weight_decay": d} for k, d in zip(kinds, decays, strict=True) if k]
    common: dict[str, Any] = {"lr": learning_rate, "weight_decay": settings.weight_decay}
    if settings.optimizer == "adafactor":
        return torch.optim.Adafactor(groups, foreach=ahead or None, **common)
    return torch.optim.AdamW(
        groups, betas=settings.adam_betas, eps=settings.adam_eps, fused=ahead or None, **common
    )


def update(
    optimizer: torch.optim.Optimizer, weights: Weights, loss: Tensor, max_norm: float | None
) -> Tensor:
    """Clip the gradients to ``max_norm``, take a step unless they or the ``loss`` are not finite, drop them.

    Returns:
        Their norm before, a scalar on the device.
    """
    norm = torch.nn.utils.clip_grad_norm_(weights.masters, max_norm or math.inf)
    _move(optimizer, norm.isfinite() & loss.isfinite())
    weights.forget_gradients()
    weights.publish()
    return norm


def _move(optimizer: torch.optim.Optimizer, finite: Tensor) -> None:
    """Take a step, or none where the gradient is not ``finite``, a truth value on the device."""
    if optimizer.defaults.get("fused"):
        optimizer.found_inf = (~finite).float()  # type: ignore[attr-defined]  # as GradScaler says it
        optimizer.step()
    elif bool(finite):
        optimizer.step()


def rate(step: int, share: float, warm_share: float, settings: Train) -> float:
    """Linear warm-up of the learning rate to its peak, then constant or linear to 0.

    ``step`` counts from 0; ``share`` of the budget is spent, ``warm_share`` was when the warm-up ended.
    """
    warm = settings.lr_warmup_steps
    if step < warm:
        return (step + 1) / (warm + 1)
    if settings.schedule == "constant":
        return 1.0
    return max(0.0, (1 - share) / (1 - warm_share))
