"""What a warmup model does with its warmups, measured on validation inputs while it trains."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from warmup_bench.models.base import Backbone
from warmup_bench.models.batching import Batch, Encoded, collate
from warmup_bench.models.rollout import Warmups, concatenate, lay_out, no_warmups, score
from warmup_bench.models.stacks.rows import Rows
from warmup_bench.train.fit import Fit
from warmup_bench.train.loss import Loss, Turn, batch_loss
from warmup_bench.train.objective import Objective
from warmup_bench.train.rounds import Memory

_FIGURES = (
    *("loss_direct", "loss", "loss_shuffled", "ess", "entropy", "warmup_length", "forced", "distinct"),
    *("overlap_target", "overlap_source"),
)
"""Summed over inputs; a method without warmups has the first two."""


def diagnose(
    backbone: Backbone,
    items: Sequence[Encoded],
    objective: Objective,
    seed: int,
    batch_size: int,
    *,
    fit: Fit | None = None,
) -> dict[str, float]:
    """Figures of one evaluation, means over the inputs; the model's weights and gradients stay as they are.

    Args:
        backbone: The model.
        items: Encoded validation inputs, with their warmups where the method gives them.
        objective: The method and its settings.
        seed: Of the warmups that are sampled here.
        batch_size: Inputs among which warmups change places for ``loss_shuffled``.
        fit: What may stand in memory at once, which changes figures by rounding only; None: a whole batch.

    Returns:
        ``loss``: -log p(y|x) a target token, marginal over the samples; ``loss_direct``: without one; and,
        where there are warmups: ``loss_shuffled``: with those of another input; ``ess``: effective sample
        size; ``entropy``: of p(c|x) in nats, the mean of -lc over the samples; ``warmup_length``, ``forced``;
        ``overlap_target``, ``overlap_source``: share of a warmup's tokens that stand in the target or source;
        ``distinct``: share of distinct samples; ``grad_norm_a``, ``grad_norm_b``: norms of the gradient's two
        parts (the sampler's credit and the output's likelihood).
    """
    generator = torch.Generator().manual_seed(seed)
    n, cap = objective.samples, objective.warmup.max_tokens
    look = _Look(backbone, objective, fit or Fit(batch_size, n))
    trained = look.trained
    kept = [None if p.grad is None else p.grad.clone() for p in trained]
    backbone.model.eval()
    for start in range(0, len(items), batch_size):
        together = items[start : start + batch_size]
        draws = torch.rand((len(together), n, cap + 1), generator=generator).to(backbone.device)
        warmups = look.own(together, draws)
        if warmups:
            look.shuffled(together, _of_another(concatenate(warmups), n))
    for parameter, before in zip(trained, kept, strict=True):
        parameter.grad = before
    backbone.model.train()
    return look.figures(len(items), sum(len(item.target) for item in items))


class _Look:
    """Figures of an evaluation, summed over the inputs so far."""

    def __init__(self, backbone: Backbone, objective: Objective, fit: Fit) -> None:
        self.backbone, self.objective, self.fit = backbone, objective, fit
        self.warms = objective.method.warmup != "none"
        self.sums = dict.fromkeys(_FIGURES if self.warms else _FIGURES[:2], 0.0)
        self.trained = [p for p in backbone.model.parameters() if p.requires_grad]
        sides = ("a", "b") if self.warms else ()
        self.gradients = {
            side: [torch.zeros_like(p, dtype=torch.float32) for p in self.trained] for side in sides
        }

    def own(self, items: Sequence[Encoded], draws: Tensor) -> list[Warmups]:
        """Add the figures of some inputs with their own warmups; returns the warmups, if there are any."""
        warmups = []
        for first in range(0, len(items), self.fit.inputs):
            part = items[first : first + self.fit.inputs]
            batch = collate(part, self.backbone.tokens.pad, self.backbone.device)
            with torch.no_grad():
                self.sums["loss_direct"] -= float(_direct(self.backbone, batch).sum())
            part_draws = draws[first : first + self.fit.inputs]
            loss = _loss(self.backbone, batch, self.objective, part_draws, self.fit.rows)
            marginal = loss.rollout.ly.logsumexp(dim=1) - torch.tensor(float(self.objective.samples)).log()
            self.sums["loss"] -= float(marginal.sum())
            if self.warms:
                _add_figures(self.sums, part, loss)
                _add_gradients(self.gradients, self.trained, loss)
                warmups.append(loss.warmups)
            del loss  # and its graph
        return warmups

    def shuffled(self, items: Sequence[Encoded], others: Warmups) -> None:
        """Add the loss of some inputs with the warmups of others."""
        n = self.objective.samples
        for first in range(0, len(items), self.fit.inputs):
            part = items[first : first + self.fit.inputs]
            batch = collate(part, self.backbone.tokens.pad, self.backbone.device)
            rows = torch.arange(first * n, (first + batch.size) * n, device=batch.source.device)
            with torch.no_grad():
                ly = _with_warmups(self.backbone, batch, others.select(rows), n, self.fit)
            self.sums["loss_shuffled"] -= float(ly.sum())

    def figures(self, inputs: int, targets: int) -> dict[str, float]:
        """Means over the inputs, of losses over their target tokens."""
        means = {
            key: value / (targets if key.startswith("loss") else inputs) for key, value in self.sums.items()
        }
        for side, summed in self.gradients.items():
            means[f"grad_norm_{side}"] = float(torch.stack([g.norm() for g in summed]).norm()) / targets
        return means


def overlap(c: Sequence[int], other: Sequence[int]) -> float:
    """Share of the tokens of ``c`` that stand in ``other``, as often as there; 0 without tokens."""
    return sum((Counter(c) & Counter(other)).values()) / len(c) if c else 0.0


def _direct(backbone: Backbone, batch: Batch) -> Tensor:
    """log p(y|x) on the path without a warmup, [batch]."""
    empty = no_warmups(batch.size, batch.source.device)
    sequences = lay_out(backbone, empty, batch.target, batch.target_lengths, direct=True)
    rows = Rows.regular(batch.size, 1, batch.source.device)
    return score(backbone, backbone.encode(batch.source, batch.mask), sequences, rows)[1]


def _loss(backbone: Backbone, batch: Batch, objective: Objective, draws: Tensor, rows: int) -> Loss:
    """The loss with n warmups for every input, whatever the method's sampler; ``rows`` of them at once."""
    if rows >= objective.samples:
        return batch_loss(backbone, batch, objective, draws)
    plain = replace(objective, method=replace(objective.method, sampler=None))
    return batch_loss(backbone, batch, plain, draws, turn=Turn(1.0, (), Memory(), rows))


def _add_figures(sums: dict[str, float], part: Sequence[Encoded], loss: Loss) -> None:
    """Add what the warmups of some inputs are like, summed over the inputs."""
    rollout, n = loss.rollout, loss.rollout.samples
    sums["ess"] += float(rollout.effective_sample_size.sum())
    for key, values in (
        ("entropy", -rollout.lc),
        ("warmup_length", rollout.lengths.float()),
        ("forced", rollout.forced.float()),
        ("distinct", rollout.distinct.float()),
    ):
        sums[key] += float(values.mean(dim=1).sum())
    rows = zip(loss.warmups.tokens.tolist(), loss.warmups.lengths.tolist(), strict=True)
    warmups = [row[:length] for row, length in rows]
    for i, item in enumerate(part):
        for c in warmups[i * n : (i + 1) * n]:
            sums["overlap_target"] += overlap(c, item.target) / n
            sums["overlap_source"] += overlap(c, item.source) / n


def _add_gradients(parts: dict[str, list[Tensor]], trained: Sequence[Tensor], loss: Loss) -> None:
    """Add the gradients of the two parts of a loss; its graph is gone afterwards."""
    for key, term in (("a", loss.credit), ("b", loss.likelihood)):
        gradients = torch.autograd.grad(term, trained, retain_graph=key == "a", allow_unused=True)
        for total, gradient in zip(parts[key], gradients, strict=True):
            if gradient is not None:
                total.add_(gradient)


def _of_another(warmups: Warmups, n: int) -> Warmups:
    """For every input the n warmups of the one before it, for the first those of the last."""
    rows = torch.arange(warmups.lengths.shape[0], device=warmups.lengths.device)
    return warmups.select(rows.roll(n))


def _with_warmups(backbone: Backbone, batch: Batch, warmups: Warmups, n: int, fit: Fit) -> Tensor:
    """log of the mean of p(y|x, c) over n warmups of each input, [batch]; as many rows at once as fit."""
    state = backbone.encode(batch.source, batch.mask)
    inputs = torch.arange(batch.size, device=batch.source.device).repeat_interleave(n)
    parts = []
    for rows in torch.split(torch.arange(len(inputs), device=inputs.device), fit.inputs * fit.rows):
        of = inputs[rows]
        targets = batch.target[of], batch.target_lengths[of]
        sequences = lay_out(backbone, warmups.select(rows), *targets, direct=False)
        read, grouped = Rows.picked(of)
        parts.append(score(backbone, state.select(read), sequences, grouped)[1])
    return torch.cat(parts).view(-1, n).logsumexp(dim=1) - torch.tensor(float(n)).log()
