"""The loss of a batch: sample or take warmups, score them, weigh them by the coefficients of the method."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from harness.backbones.base import Backbone
from harness.batching import Batch
from harness.objective import Method, Rollout
from harness.rollout import (
    Warmups,
    first_of_equals,
    given_warmups,
    lay_out,
    merge_equals,
    no_warmups,
    sample_warmups,
    score,
)
from harness.spec import Warmup


@dataclass(frozen=True, slots=True)
class Objective:
    """A method with the settings of its warmups, and the frozen model that it may refer to."""

    method: Method
    warmup: Warmup
    reference: Backbone | None = None

    @property
    def samples(self) -> int:
        """Rows an input: n where warmups are sampled, else 1."""
        return self.warmup.samples if self.method.warmup == "sampled" else 1


@dataclass(frozen=True, slots=True)
class Loss:
    """The loss of a batch in its two parts, its rollout and its costs.

    Attributes:
        credit: - sum A_i lc_i, a scalar with its graph, summed over inputs.
        likelihood: - sum B_i ly_i, likewise.
        rollout: What the method saw.
        warmups: The warmups, a row each.
        flops: Floating-point operations of sampling, forward and backward pass.
    """

    credit: Tensor
    likelihood: Tensor
    rollout: Rollout
    warmups: Warmups
    flops: float

    @property
    def warmup_tokens(self) -> int:
        """Tokens of all warmups, without separators."""
        return int(self.warmups.lengths.sum())

    @property
    def value(self) -> Tensor:
        """The loss."""
        return self.credit + self.likelihood


def batch_loss(
    backbone: Backbone, batch: Batch, objective: Objective, draws: Tensor, *, dropout: float = 0.0
) -> Loss:
    """Sample, score and weigh one batch.

    Args:
        backbone: The model; dropout is on if it is in train mode, and off while sampling.
        batch: Inputs and targets.
        objective: The method and its warmup settings.
        draws: Uniform draws in [0, 1), [batch, samples, cap + 1]: the sampler's, and last the method's own.
        dropout: The model's rate. When it is 0 the inputs are encoded once, for sampling and scoring; when it
            is not, sampling encodes them apart with dropout off, and lc is computed in the pass that has it.
    """
    method, n = objective.method, objective.samples
    direct = method.warmup == "none"
    rows = batch.size * n
    source = batch.mask.sum(dim=1).cpu().numpy().astype(np.int64)
    flops = 0.0
    state = backbone.encode(batch.source, batch.mask)
    if method.warmup == "none":
        warmups = no_warmups(rows, batch.source.device)
    elif method.warmup == "given":
        if batch.given is None or len(batch.given) != batch.size:
            raise ValueError(f"method {method.name} gives its warmups, and the batch holds none")
        warmups = given_warmups(
            batch.given, objective.warmup.max_tokens, backbone.tokens.pad, batch.source.device
        )
    else:
        training = backbone.model.training
        backbone.model.eval()
        sampling_state = state
        if dropout > 0:
            with torch.no_grad():
                sampling_state = backbone.encode(batch.source, batch.mask)
            flops += backbone.costs.encode(source)
        warmups = sample_warmups(
            backbone,
            sampling_state.detach().repeat(n),
            draws[..., :-1].reshape(rows, -1),
            temperature=objective.warmup.temperature,
        )
        backbone.model.train(training)
    # Equal warmups of an input are scored once, and their coefficients add up in the gradient: exact, unless
    # dropout draws anew for each of them.
    every = torch.arange(rows, device=batch.source.device)
    kept, inverse = (every, every) if n == 1 or dropout > 0 else merge_equals(warmups, n)
    inputs = kept // n
    scored = warmups.select(kept)
    sequences = lay_out(backbone, scored, batch.target[inputs], batch.target_lengths[inputs], direct=direct)
    temperature = objective.warmup.temperature
    lc, ly = score(backbone, state.select(inputs), sequences, temperature=temperature)
    per_row = source[inputs.cpu().numpy()]
    fed = (scored.lengths + batch.target_lengths[inputs] + (0 if direct else 1) - 1).cpu().numpy()
    positions = float(sequences.in_warmup.sum() + sequences.in_target.sum())
    once = backbone.costs.encode(source) + backbone.costs.advance(per_row, fed)
    flops += backbone.costs.backward * (once + backbone.costs.predict(positions))
    if method.warmup == "sampled":
        written = (warmups.lengths + warmups.ended).cpu().numpy()  # the last one drawn is never fed back
        flops += backbone.costs.advance(np.repeat(source, n), written - 1)
        flops += backbone.costs.predict(float(written.sum()))
    lc_reference = None
    if method.reference:
        if objective.reference is None:
            raise ValueError(f"method {method.name} needs the frozen reference")
        with torch.no_grad():
            frozen = objective.reference.encode(batch.source, batch.mask).select(inputs)
            lc_reference, _ = score(objective.reference, frozen, sequences, temperature=temperature)
        flops += once + backbone.costs.predict(positions)
    shape = (batch.size, n)
    lc, ly = lc[inverse].view(shape), ly[inverse].view(shape)
    rollout = Rollout(
        lc=lc.detach(),
        ly=ly.detach(),
        lengths=warmups.lengths.view(shape),
        forced=~warmups.ended.view(shape) & (not direct),
        distinct=first_of_equals(warmups, n),
        noise=draws[..., -1],
        lc_reference=None if lc_reference is None else lc_reference[inverse].view(shape),
    )
    coefficients = method.coefficients(rollout)
    a, b = coefficients.a.detach(), coefficients.b.detach()
    # A row whose coefficient is 0 must not turn an infinite log-probability into a NaN.
    credit = -torch.where(a == 0, 0.0, a * lc).sum()
    likelihood = -torch.where(b == 0, 0.0, b * ly).sum()
    return Loss(credit, likelihood, rollout, warmups, flops)
