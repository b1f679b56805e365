"""The loss of a batch: sample or take warmups, score them, weigh them by the coefficients of the method."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from warmup_bench.contracts.method import Rollout
from warmup_bench.models.base import Backbone
from warmup_bench.models.batching import Batch
from warmup_bench.models.costs import Meter
from warmup_bench.models.rollout import Warmups, concatenate, first_of_equals, given_warmups, no_warmups
from warmup_bench.train.objective import Objective
from warmup_bench.train.rounds import Round, Rounds, Turn, draw_rounds

__all__ = ["Loss", "Objective", "Turn", "batch_loss"]


@dataclass(frozen=True, slots=True)
class Loss:
    """The loss of a batch in its parts, its rollouts and its costs.

    Attributes:
        credit: - sum A_i lc_i, a scalar with its graph, summed over inputs.
        likelihood: - sum B_i ly_i, likewise.
        direct: - log p(y | x) of the path without a warmup, likewise; 0 where it has no weight.
        direct_weight: Its weight; the other two share the rest.
        rollouts: What the method saw: the inputs with one number of warmups together.
        warmups: The warmups, a row each, in the order of the inputs.
        flops: Floating-point operations of sampling, forward and backward pass, a float64 scalar.
    """

    credit: Tensor
    likelihood: Tensor
    direct: Tensor
    direct_weight: float
    rollouts: tuple[Rollout, ...]
    warmups: Warmups
    flops: Tensor

    @property
    def rollout(self) -> Rollout:
        """The one rollout, where every input has as many warmups."""
        (rollout,) = self.rollouts
        return rollout

    @property
    def warmup_tokens(self) -> Tensor:
        """Tokens of all warmups, without separators, a scalar."""
        return self.warmups.lengths.sum()

    @property
    def value(self) -> Tensor:
        """The loss."""
        return (1 - self.direct_weight) * (self.credit + self.likelihood) + self.direct_weight * self.direct


def batch_loss(
    backbone: Backbone,
    batch: Batch,
    objective: Objective,
    draws: Tensor,
    *,
    dropout: float = 0.0,
    turn: Turn | None = None,
) -> Loss:
    """Draw, score and weigh one batch.

    Args:
        backbone: The model; dropout is on if it is in train mode, and off while sampling.
        batch: Inputs and targets.
        objective: The method and its warmup settings.
        draws: Uniform draws in [0, 1), [batch, samples, cap + 1]: the sampler's, and last the method's own.
        dropout: The model's rate. When it is 0 the inputs are encoded once, for sampling and scoring; when it
            is not, sampling encodes them apart with dropout off, and what is drawn is scored there for its
            coefficients; lc and ly with their gradient are those of a pass that has it.
        turn: Where training stands; None: n warmups for every input, whatever the method's sampler.
    """
    method = objective.method
    source = batch.mask.sum(dim=1)
    state = backbone.encode(batch.source, batch.mask)
    meter = Meter(backbone.costs)
    meter.read(source, backbone.costs.backward)
    reference = None
    if method.reference:
        if objective.reference is None:
            raise ValueError(f"method {method.name} needs the frozen reference")
        with torch.no_grad():
            reference = objective.reference, objective.reference.encode(batch.source, batch.mask)
        meter.read(source)
    rounds = Rounds(backbone, batch, objective, state, reference, source, dropout, turn, meter)
    if method.warmup == "sampled":
        draw_rounds(rounds, draws[..., :-1])
    else:
        rounds.score(torch.arange(batch.size, device=draws.device), _one_each(backbone, batch, objective), 1)
    direct = -rounds.score_direct().sum() if objective.direct_weight else None
    return _weighed(rounds, draws[..., -1], direct)


def _one_each(backbone: Backbone, batch: Batch, objective: Objective) -> Warmups:
    """The warmup of each input that the method gives, or the empty one of the direct path."""
    method, device = objective.method, batch.source.device
    if method.warmup == "none":
        return no_warmups(batch.size, device)
    if batch.given is None or len(batch.given) != batch.size:
        raise ValueError(f"method {method.name} gives its warmups, and the batch holds none")
    return given_warmups(batch.given, objective.warmup.max_tokens, backbone.tokens.pad, device)


def _weighed(rounds: Rounds, noise: Tensor, direct: Tensor | None) -> Loss:
    """The coefficients of the method on all rounds; inputs with one number of warmups go to it together."""
    objective, scored = rounds.objective, rounds.scored
    method = objective.method
    weigh = objective.coefficients(1.0 if rounds.turn is None else rounds.turn.share)
    warmups = concatenate([part.warmups for part in scored])
    lc, ly, plain_lc, plain_ly = (
        torch.cat([getattr(part, name) for part in scored]) for name in ("lc", "ly", "plain_lc", "plain_ly")
    )
    ratio = torch.cat([torch.ones_like(p.ly) if p.ratio is None else p.ratio for p in scored])
    frozen = [part.lc_reference for part in scored if part.lc_reference is not None]
    lc_reference = torch.cat(frozen) if frozen else None
    credit = likelihood = lc.new_zeros(())
    rollouts = []
    order, groups = _by_number(scored, noise.shape[0])
    for which, rows in groups:
        n = rows.shape[1]
        group = warmups.select(rows.flatten())
        rollout = Rollout(
            lc=plain_lc[rows],
            ly=plain_ly[rows],
            lengths=group.lengths.view(-1, n),
            forced=~group.ended.view(-1, n) & (method.warmup != "none"),
            distinct=first_of_equals(group, n),
            noise=noise[which, :n],
            lc_reference=None if lc_reference is None else lc_reference[rows],
        )
        coefficients = weigh(rollout)
        a, b = coefficients.a.detach() * ratio[rows], coefficients.b.detach() * ratio[rows]
        # A row whose coefficient is 0 must not turn an infinite log-probability into a NaN.
        credit = credit - torch.where(a == 0, 0.0, a * lc[rows]).sum()
        likelihood = likelihood - torch.where(b == 0, 0.0, b * ly[rows]).sum()
        rollouts.append(rollout)
    weight = 0.0 if direct is None else objective.direct_weight
    direct = lc.new_zeros(()) if direct is None else direct
    warmups = warmups if order is None else warmups.select(order)
    return Loss(credit, likelihood, direct, weight, tuple(rollouts), warmups, rounds.meter.flops)


def _by_number(
    scored: Sequence[Round], size: int
) -> tuple[Tensor | None, list[tuple[Tensor | slice, Tensor]]]:
    """The rows of all rounds by input, and the inputs with one number of warmups together with their rows.

    Returns:
        The rows in the order of the inputs and within one of the rounds, None where they stand so; and for
        every number n of warmups that an input has, its inputs and their rows, [inputs, n].
    """
    inputs = torch.cat([part.inputs for part in scored])
    if len(scored) == 1:  # as many for each, whatever was drawn
        rows = torch.arange(inputs.shape[0], device=inputs.device).view(size, -1)
        return None, [(slice(None), rows)]
    order = inputs.argsort(stable=True)
    counts = inputs.bincount(minlength=size)
    groups: list[tuple[Tensor | slice, Tensor]] = []
    for n in sorted(set(counts.tolist())):
        which = (counts == n).nonzero()[:, 0]
        groups.append((which, order[torch.isin(inputs[order], which)].view(-1, n)))
    return order, groups
