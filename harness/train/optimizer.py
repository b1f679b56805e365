"""The optimiser, and its learning rate over the budget."""

import torch

from warmup_bench.contracts.settings import Train
from warmup_bench.models.base import Backbone


def make_optimizer(backbone: Backbone, settings: Train, learning_rate: float) -> torch.optim.Optimizer:
    """AdamW, or Adafactor (Shazeer and Stern 2018) with steps relative to the size of each weight matrix.

    T5's initialisation gives embeddings a deviation of 1 and queries one of 0.02: with one absolute step size
    for both, a T5 from scratch learns slowly.
    """
    parameters = [p for p in backbone.model.parameters() if p.requires_grad]
    if settings.optimizer == "adafactor":
        return torch.optim.Adafactor(parameters, lr=learning_rate, weight_decay=settings.weight_decay)
    return torch.optim.AdamW(
        parameters, lr=learning_rate, weight_decay=settings.weight_decay, betas=(0.9, 0.98)
    )


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
