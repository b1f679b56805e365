"""The one training loop, for the warm start and for every method."""

import json
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from harness.backbones.base import Backbone
from harness.backbones.costs import BACKWARD
from harness.batching import Batch, Encoded, collate, training_order
from harness.errors import UserError
from harness.ledger import Ledger, peak_memory
from harness.objective import Method, Rollout
from harness.rollout import (
    first_of_equals,
    given_warmups,
    lay_out,
    no_warmups,
    sample_warmups,
    score,
)
from harness.spec import Train, Warmup

MAX_SKIPPED = 20
"""Steps with a non-finite loss or gradient that a cell may skip; at one more it gives up."""

Report = Callable[[int, int, dict[str, float]], None]
"""Called with (step, steps, figures) after every step."""


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
    """The loss of a batch (a scalar with its graph, summed over inputs), its rollout and its costs."""

    value: Tensor
    rollout: Rollout
    warmup_tokens: int
    flops: float


def batch_loss(
    backbone: Backbone, batch: Batch, objective: Objective, draws: Tensor, *, dropout: float = 0.0
) -> Loss:
    """Sample, score and weigh one batch.

    Args:
        backbone: The model, in train mode.
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
        sampling_state = state
        if dropout > 0:
            backbone.model.eval()
            with torch.no_grad():
                sampling_state = backbone.encode(batch.source, batch.mask)
            backbone.model.train()
            flops += backbone.costs.encode(source)
        backbone.model.eval()
        warmups = sample_warmups(
            backbone,
            sampling_state.detach().repeat(n),
            draws[..., :-1].reshape(rows, -1),
            temperature=objective.warmup.temperature,
        )
        backbone.model.train()
    repeated = batch.target.repeat_interleave(n, dim=0), batch.target_lengths.repeat_interleave(n)
    sequences = lay_out(backbone, warmups, *repeated, direct=direct)
    lc, ly = score(backbone, state.repeat(n), sequences, temperature=objective.warmup.temperature)
    c = warmups.lengths.cpu().numpy().astype(np.int64)
    fed = c + (0 if direct else 1) + repeated[1].cpu().numpy() - 1
    per_row = np.repeat(source, n)
    positions = float(sequences.in_warmup.sum() + sequences.in_target.sum())
    once = backbone.costs.encode(source) + backbone.costs.advance(per_row, fed)
    flops += BACKWARD * (once + backbone.costs.predict(positions))
    if method.warmup == "sampled":
        written = c + warmups.ended.cpu().numpy()  # tokens drawn; the last one is never fed back
        flops += backbone.costs.advance(per_row, written - 1) + backbone.costs.predict(float(written.sum()))
    lc_reference = None
    if method.reference:
        if objective.reference is None:
            raise ValueError(f"method {method.name} needs the frozen reference")
        with torch.no_grad():
            frozen = objective.reference.encode(batch.source, batch.mask).repeat(n)
            lc_reference, _ = score(
                objective.reference, frozen, sequences, temperature=objective.warmup.temperature
            )
        flops += once + backbone.costs.predict(positions)
    shape = (batch.size, n)
    rollout = Rollout(
        lc=lc.detach().view(shape),
        ly=ly.detach().view(shape),
        lengths=warmups.lengths.view(shape),
        forced=~warmups.ended.view(shape) & (not direct),
        distinct=first_of_equals(warmups, n),
        noise=draws[..., -1],
        lc_reference=None if lc_reference is None else lc_reference.view(shape),
    )
    coefficients = method.coefficients(rollout)
    a, b = coefficients.a.detach(), coefficients.b.detach()
    # A row whose coefficient is 0 must not turn an infinite log-probability into a NaN.
    value = -(
        torch.where(a == 0, 0.0, a * lc.view(shape)) + torch.where(b == 0, 0.0, b * ly.view(shape))
    ).sum()
    return Loss(value, rollout, int(c.sum()), flops)


def autocast(device: torch.device, dtype: str) -> Any:
    """bf16 autocast where asked for; T5 overflows in fp16, so that is not offered."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=dtype == "bfloat16")


def train(
    backbone: Backbone,
    items: Sequence[Encoded],
    objective: Objective,
    settings: Train,
    *,
    steps: int,
    learning_rate: float,
    seed: int,
    log: Path,
    report: Report,
) -> Ledger:
    """Train for a number of optimiser steps and return what it cost.

    Data order and sampling draws are functions of the seed alone, so two methods of one seed meet the same
    batches in the same order. The loss is the sum over inputs divided by the batch's target tokens, the same
    for every method: for ``sft`` that is the usual token mean.

    Args:
        backbone: Trained in place.
        items: Encoded training split.
        objective: The method.
        settings: The loop's settings.
        steps: Optimiser steps.
        learning_rate: Peak learning rate.
        seed: Of the data order and the sampler.
        log: JSON-lines file to write.
        report: Progress callback.

    Raises:
        UserError: The loss or its gradient was not finite for more than ``MAX_SKIPPED`` steps.
    """
    from accelerate import Accelerator

    device = backbone.device
    # Accelerate fixes one precision a process, and a worker meets cells of several: ours is the autocast.
    accelerator = Accelerator(cpu=device.type == "cpu", mixed_precision="no")
    optimizer = make_optimizer(backbone, settings, learning_rate)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda s: _rate(s, steps, settings))
    optimizer, schedule = accelerator.prepare(optimizer, schedule)
    order = training_order(items, settings.batch_size, seed)
    generator = torch.Generator().manual_seed(seed + 1_000_003)  # apart from the data order's stream
    cap, n = objective.warmup.max_tokens, objective.samples
    ledger = Ledger(parameters=backbone.costs.parameters, trainable=backbone.costs.trainable)
    backbone.model.train()
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
    started = time.perf_counter()
    window: list[dict[str, float]] = []
    with log.open("w", encoding="utf-8") as file:
        for step in range(1, steps + 1):
            picked = [items[i] for i in next(order)]
            # Draws are made on the CPU for the whole batch: the same for every device and micro-batch size.
            draws = torch.rand((len(picked), n, cap + 1), generator=generator)
            tokens = sum(len(item.target) for item in picked)
            figures = {"loss": 0.0, "ess": 0.0, "warmup_length": 0.0, "forced": 0.0}
            micro = settings.micro_batch_size or len(picked)
            for start in range(0, len(picked), micro):
                part = picked[start : start + micro]
                batch = collate(part, backbone.tokens.pad, device)
                with autocast(device, settings.dtype):
                    loss = batch_loss(
                        backbone,
                        batch,
                        objective,
                        draws[start : start + micro].to(device),
                        dropout=settings.dropout,
                    )
                accelerator.backward(loss.value / tokens)
                share = len(part) / len(picked)
                ledger.train_flops += loss.flops
                ledger.warmup_tokens += loss.warmup_tokens
                # Reported: the mean of -log p(y|x) a token, marginal over the samples (log mean exp).
                marginal = loss.rollout.ly.logsumexp(dim=1) - math.log(loss.rollout.ly.shape[1])
                figures["loss"] += float(-marginal.sum()) / tokens
                figures["ess"] += share * float(loss.rollout.effective_sample_size.mean())
                figures["warmup_length"] += share * float(loss.rollout.lengths.float().mean())
                figures["forced"] += share * float(loss.rollout.forced.float().mean())
            norm = float(accelerator.clip_grad_norm_(backbone.model.parameters(), settings.max_grad_norm))
            figures["grad_norm"] = norm
            if math.isfinite(norm) and math.isfinite(figures["loss"]):
                optimizer.step()
            else:
                ledger.skipped_steps += 1
                if ledger.skipped_steps > MAX_SKIPPED:
                    raise UserError(
                        f"the loss was not finite in {ledger.skipped_steps} of {step} steps",
                        origin=f"training of {objective.method.name}",
                        hint="Lower train.learning_rate, or set train.dtype=float32.",
                    )
            figures["learning_rate"] = schedule.get_last_lr()[0]
            optimizer.zero_grad()
            schedule.step()
            ledger.steps, ledger.target_tokens = step, ledger.target_tokens + tokens
            window.append(figures)
            if step % settings.log_every == 0 or step == steps:
                means = {key: float(np.mean([w[key] for w in window])) for key in figures}
                # JSON has no NaN: a window with a skipped step shows null.
                line = {key: mean if math.isfinite(mean) else None for key, mean in means.items()}
                seconds = time.perf_counter() - started
                line |= {"step": step, "seconds": seconds, "flops": ledger.train_flops}
                if objective.method.warmup == "none":
                    for key in ("ess", "warmup_length", "forced"):
                        del line[key]
                file.write(json.dumps(line) + "\n")
                file.flush()
                window.clear()
            report(step, steps, figures)
    ledger.train_seconds = time.perf_counter() - started
    ledger.peak_memory = peak_memory(device.type)
    backbone.model.eval()
    return ledger


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


def _rate(step: int, steps: int, settings: Train) -> float:
    """Linear warm-up of the learning rate to its peak, then constant or linear to 0; ``step`` from 0."""
    warm = settings.lr_warmup_steps
    if step < warm:
        return (step + 1) / (warm + 1)
    if settings.schedule == "constant":
        return 1.0
    return max(0.0, (steps - step) / max(1, steps - warm))
