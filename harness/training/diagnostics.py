"""What a warmup model does with its warmups, measured on validation inputs while it trains."""

from collections import Counter, defaultdict
from collections.abc import Sequence

import torch
from torch import Tensor

from harness.backbones.base import Backbone
from harness.training.batching import Batch, Encoded, collate
from harness.training.loss import Objective, batch_loss
from harness.training.rollout import Warmups, lay_out, no_warmups, score


def diagnose(
    backbone: Backbone, items: Sequence[Encoded], objective: Objective, seed: int, batch_size: int
) -> dict[str, float]:
    """Figures of one evaluation, means over the inputs; the model's weights and gradients stay as they are.

    Args:
        backbone: The model.
        items: Encoded validation inputs, with their warmups where the method gives them.
        objective: The method and its settings.
        seed: Of the warmups that are sampled here.
        batch_size: Inputs at once.

    Returns:
        ``loss``: -log p(y|x) a target token, marginal over the samples; ``loss_direct``: without one; and,
        where there are warmups: ``loss_shuffled``: with those of another input; ``ess``: effective sample
        size; ``entropy``: of p(c|x) in nats, the mean of -lc over the samples; ``warmup_length``, ``forced``;
        ``overlap_target``, ``overlap_source``: share of a warmup's tokens that stand in the target or source;
        ``distinct``: share of distinct samples; ``grad_norm_a``, ``grad_norm_b``: norms of the gradient's two
        parts (the sampler's credit and the output's likelihood).
    """
    generator = torch.Generator().manual_seed(seed)
    method, n, cap = objective.method, objective.samples, objective.warmup.max_tokens
    trained = [p for p in backbone.model.parameters() if p.requires_grad]
    kept = [None if p.grad is None else p.grad.clone() for p in trained]
    parts = {key: [torch.zeros_like(p) for p in trained] for key in ("a", "b")}
    sums: dict[str, float] = defaultdict(float)
    targets = sum(len(item.target) for item in items)
    backbone.model.eval()
    for start in range(0, len(items), batch_size):
        part = items[start : start + batch_size]
        batch = collate(part, backbone.tokens.pad, backbone.device)
        draws = torch.rand((len(part), n, cap + 1), generator=generator).to(backbone.device)
        with torch.no_grad():
            sums["loss_direct"] -= float(_direct(backbone, batch).sum())
        loss = batch_loss(backbone, batch, objective, draws)
        rollout = loss.rollout
        sums["loss"] -= float((rollout.ly.logsumexp(dim=1) - torch.tensor(float(n)).log()).sum())
        if method.warmup == "none":
            continue
        with torch.no_grad():
            sums["loss_shuffled"] -= float(_with_warmups_of_others(backbone, batch, loss.warmups, n).sum())
        for key, term in (("a", loss.credit), ("b", loss.likelihood)):
            gradients = torch.autograd.grad(term, trained, retain_graph=True, allow_unused=True)
            for total, gradient in zip(parts[key], gradients, strict=True):
                if gradient is not None:
                    total.add_(gradient)
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
    for parameter, before in zip(trained, kept, strict=True):
        parameter.grad = before
    backbone.model.train()
    figures = {
        key: value / (targets if key.startswith("loss") else len(items)) for key, value in sums.items()
    }
    if method.warmup != "none":
        for key, summed in parts.items():
            figures[f"grad_norm_{key}"] = float(torch.stack([g.norm() for g in summed]).norm()) / targets
    return figures


def overlap(c: Sequence[int], other: Sequence[int]) -> float:
    """Share of the tokens of ``c`` that stand in ``other``, as often as there; 0 without tokens."""
    return sum((Counter(c) & Counter(other)).values()) / len(c) if c else 0.0


def _direct(backbone: Backbone, batch: Batch) -> Tensor:
    """log p(y|x) on the path without a warmup, [batch]."""
    empty = no_warmups(batch.size, batch.source.device)
    sequences = lay_out(backbone, empty, batch.target, batch.target_lengths, direct=True)
    return score(backbone, backbone.encode(batch.source, batch.mask), sequences)[1]


def _with_warmups_of_others(backbone: Backbone, batch: Batch, warmups: Warmups, n: int) -> Tensor:
    """log of the mean of p(y|x, c') over the warmups of the next input of the batch, [batch]."""
    rows = torch.arange(warmups.lengths.shape[0], device=batch.source.device)
    others = warmups.select(rows.roll(n))
    targets = batch.target.repeat_interleave(n, dim=0), batch.target_lengths.repeat_interleave(n)
    sequences = lay_out(backbone, others, *targets, direct=False)
    ly = score(backbone, backbone.encode(batch.source, batch.mask).repeat(n), sequences)[1]
    return ly.view(-1, n).logsumexp(dim=1) - torch.tensor(float(n)).log()
