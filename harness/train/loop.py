"""The one training loop, for the warm start and for every method."""

import json
import math
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from warmup_bench.contracts.errors import TrainingError, UserError
from warmup_bench.contracts.settings import Budget, Train
from warmup_bench.models.base import Backbone
from warmup_bench.models.batching import Encoded, collate, training_order
from warmup_bench.models.parallel import ALONE, Group
from warmup_bench.train.checkpoint import Pace, Snapshot, capture, latest, log_text, restore, save
from warmup_bench.train.fit import Fit, halved
from warmup_bench.train.ledger import NOTHING, Ledger, Outlay, peak_memory, reset_peak_memory
from warmup_bench.train.loss import batch_loss
from warmup_bench.train.objective import Objective
from warmup_bench.train.rounds import Memory, Turn

MAX_SKIPPED = 20
"""Steps with a non-finite loss or gradient that a cell may skip; at one more it gives up."""

Report = Callable[[int, int, dict[str, float]], None]
"""Called with (step, steps, figures) after every step."""

Evaluate = Callable[[int, Fit], dict[str, float]]
"""Called with (step, what may stand in memory at once); returns figures of the model."""


def train(
    backbone: Backbone,
    items: Sequence[Encoded],
    objective: Objective,
    settings: Train,
    *,
    budget: Budget,
    learning_rate: float,
    seed: int,
    log: Path,
    report: Report,
    evaluate: Evaluate | None = None,
    checkpoints: Path | None = None,
    group: Group = ALONE,
    outlay: Outlay = NOTHING,
) -> Ledger:
    """Train until a budget is spent and return what it cost.

    Data order and sampling draws are functions of the seed alone, so two methods of one seed meet the same
    batches in the same order. The loss is the sum over inputs divided by the batch's target tokens, the same
    for every method: for ``sft`` that is the usual token mean.

    Args:
        backbone: Trained in place.
        items: Encoded training split.
        objective: The method.
        settings: The loop's settings.
        budget: What may be spent; the learning rate's schedule follows the share that is.
        learning_rate: Peak learning rate.
        seed: Of the data order and the sampler.
        log: JSON-lines file to write.
        report: Progress callback. It may raise KeyboardInterrupt to stop: a checkpoint is written first.
        evaluate: Figures of the model at a step, logged every ``eval_every`` steps; neither its operations
            nor its time count. It gets the micro-batch in force; where memory runs out it is called again
            with less, and training goes on with its own.
        checkpoints: Folder of this training's checkpoints (:mod:`warmup_bench.train.checkpoint`). Where it
        has
            one, training goes on from it and ends as if it had never stopped. Writing them is no training
            time.
        group: The ranks that share every batch; all call this with the same arguments. Rank 0 alone writes,
            evaluates and reports. With dropout a rank has a stream of its own, a function of seed, step and
            rank.
        outlay: What the warmups of ``items`` have cost; it counts as training, from the start. One that goes
            on from a checkpoint has counted it already.

    Returns:
        What all ranks have spent together, in rank 0's seconds and with the highest peak of memory.

    Raises:
        TrainingError: The loss or its gradient was not finite for more than ``MAX_SKIPPED`` steps.
        UserError: A checkpoint can't be written, the ranks see different ones, or the outlay alone takes the
            budget.
    """
    from accelerate import Accelerator

    budget = budget.in_steps(len(items), settings.batch_size)
    device = backbone.device
    # Accelerate fixes one precision a process, and a worker meets cells of several: ours is the autocast.
    accelerator = Accelerator(cpu=device.type == "cpu", mixed_precision="no")
    optimizer = make_optimizer(backbone, settings, learning_rate)
    optimizer = accelerator.prepare(optimizer)
    order = training_order(items, settings.batch_size, seed)
    generator = torch.Generator().manual_seed(seed + 1_000_003)  # apart from the data order's stream
    cap, n = objective.warmup.max_tokens, objective.samples
    ledger = Ledger(parameters=backbone.costs.parameters, trainable=backbone.costs.trainable)
    backbone.model.train()
    reset_peak_memory(device.type)
    started = time.perf_counter()
    paused = 0.0
    fit = Fit(settings.micro_batch_size or -(-min(settings.batch_size, len(items)) // group.size), n)
    ledger.micro_batch_size, ledger.rows_at_once = fit.inputs, fit.rows
    watched = fit  # what fits while it is evaluated
    origin = f"training of {objective.method.name}"
    memory = Memory()
    window: list[dict[str, float]] = []
    share = warm_share = seconds = before = 0.0
    group.start_alike(backbone.model)
    snapshot = None if checkpoints is None else _latest(checkpoints, group)
    if snapshot is None:
        outlay = replace(outlay, seconds=group.of_first(outlay.seconds))
        ledger.train_flops, before = outlay.flops, outlay.seconds
        share = _share_of(outlay, budget, origin)
    else:
        window = restore(snapshot, backbone, optimizer, generator, memory)
        ledger = Ledger(**snapshot.values["ledger"])
        fit = Fit(ledger.micro_batch_size, ledger.rows_at_once)
        share, warm_share, before = (snapshot.values[key] for key in ("share", "warm_share", "seconds"))
        order = islice(order, ledger.steps, None)
        started = time.perf_counter()
    pace = Pace(settings.checkpoint_every)

    def write_checkpoint() -> float:
        """Write one of this moment; returns how long it took."""
        assert checkpoints is not None
        began = time.perf_counter()
        ledger.peak_memory = max(ledger.peak_memory, peak_memory(device.type))
        counted = {"share": share, "warm_share": warm_share, "seconds": seconds}
        values = {"ledger": ledger.to_dict(), **counted}
        snapshot = capture(backbone, optimizer, generator, memory, window, values, log_text(log))
        save(checkpoints, ledger.steps, snapshot)
        pace.wrote(cost := time.perf_counter() - began)
        return cost

    with (log if group.first else Path(os.devnull)).open("w", encoding="utf-8") as file:
        file.write("" if snapshot is None else snapshot.log)
        file.flush()
        while share < 1:
            step = ledger.steps + 1
            if step <= settings.lr_warmup_steps + 1:
                warm_share = share
            rate = learning_rate * _rate(step - 1, share, warm_share, settings)
            for weights in optimizer.param_groups:
                weights["lr"] = rate
            keys = next(order)
            own = group.share(len(keys))
            # Draws are made on the CPU for the whole batch: the same for every device and micro-batch size.
            draws = torch.rand((len(keys), n, cap + 1), generator=generator)
            tokens = sum(len(items[i].target) for i in keys)
            if group.size > 1:
                torch.manual_seed((seed * 1_000_003 + step) * group.size + group.rank)  # dropout's
            remembered = memory.of(keys)
            while True:
                try:
                    spent = _accumulate(
                        backbone,
                        [items[i] for i in keys[own]],
                        draws[own],
                        objective,
                        settings,
                        Turn(share, keys[own], memory, fit.rows if fit.rows < n else None),
                        fit.inputs,
                        accelerator.backward,
                        inputs=len(keys),
                        tokens=tokens,
                    )
                    break
                except torch.OutOfMemoryError as error:
                    optimizer.zero_grad()
                    memory.put_back(keys, remembered)  # micro-batches before the one that failed have written
                    fit = halved(fit, error, origin)
                    ledger.micro_batch_size, ledger.rows_at_once = fit.inputs, fit.rows
            group.sum_gradients(backbone.model.parameters())
            spent = _summed([_Spent(**of_rank) for of_rank in group.gather(asdict(spent))])
            figures = spent.figures
            ledger.train_flops += spent.flops
            ledger.warmup_tokens += spent.warmup_tokens
            norm = float(accelerator.clip_grad_norm_(backbone.model.parameters(), settings.max_grad_norm))
            figures["grad_norm"] = norm
            if math.isfinite(norm) and math.isfinite(figures["loss"]):
                optimizer.step()
            else:
                ledger.skipped_steps += 1
                if ledger.skipped_steps > MAX_SKIPPED:
                    raise TrainingError(
                        f"the loss was not finite in {ledger.skipped_steps} of {step} steps",
                        origin=origin,
                        hint="Lower train.learning_rate, or set train.dtype=float32.",
                        diagnostics={"learning_rate": rate, "last_steps": [*window, figures][-5:]}
                        | ledger.to_dict(),
                    )
            figures["learning_rate"] = rate
            optimizer.zero_grad()
            ledger.steps, ledger.target_tokens = step, ledger.target_tokens + tokens
            seconds = group.of_first(before + time.perf_counter() - started - paused)
            share = budget.share(
                steps=step, flops=ledger.train_flops, seconds=seconds, tokens=ledger.target_tokens
            )
            window.append(figures)
            if step % settings.log_every == 0 or share >= 1:
                means = {key: float(np.mean([w[key] for w in window])) for key in figures}
                # JSON has no NaN: a window with a skipped step shows null.
                line = {key: mean if math.isfinite(mean) else None for key, mean in means.items()}
                line |= {"step": step, "seconds": seconds, "flops": ledger.train_flops}
                if objective.method.warmup == "none":
                    for key in ("ess", "warmup_length", "forced", "samples"):
                        del line[key]
                file.write(json.dumps(line) + "\n")
                window.clear()
            if (
                evaluate is not None
                and group.first
                and (step == 1 or step % settings.eval_every == 0 or share >= 1)
            ):
                began = time.perf_counter()
                validation, watched = _evaluated(evaluate, step, fit.within(watched), f"evaluation, {origin}")
                file.write(json.dumps({"step": step, "validation": validation}) + "\n")
                paused += time.perf_counter() - began
            file.flush()
            if checkpoints is not None and group.first and share < 1 and pace.due(step):
                paused += write_checkpoint()
            total = budget.steps or 1000
            try:
                report(min(total, round(total * share)), total, figures)
            except KeyboardInterrupt:
                if checkpoints is not None and group.first:
                    write_checkpoint()
                raise
    ledger.train_seconds = before + time.perf_counter() - started - paused
    peaks = group.gather([max(ledger.peak_memory, peak_memory(device.type)), -fit.inputs, -fit.rows])
    ledger.peak_memory, inputs, rows = (max(column) for column in zip(*peaks, strict=True))
    ledger.micro_batch_size, ledger.rows_at_once = -inputs, -rows  # a rank may have halved them alone
    backbone.model.eval()
    return ledger


def _share_of(outlay: Outlay, budget: Budget, origin: str) -> float:
    """How much of a budget is spent before the first step.

    Raises:
        UserError: All of it.
    """
    share = budget.share(steps=0, flops=outlay.flops, seconds=outlay.seconds, tokens=0)
    if share >= 1:
        ((unit, amount),) = budget.model_dump(exclude_none=True).items()
        raise UserError(
            f"to give the training inputs their warmups took {outlay.flops:.3g} FLOPs and "
            f"{outlay.seconds:.3g} seconds, and nothing is left of the budget {unit}={amount:.3g}",
            origin=origin,
            hint="Give it a larger budget, or one in steps.",
        )
    return share


@dataclass(slots=True)
class _Spent:
    """Figures and costs of one step's micro-batches."""

    figures: dict[str, float]
    flops: float = 0.0
    warmup_tokens: int = 0


def _accumulate(
    backbone: Backbone,
    picked: Sequence[Encoded],
    draws: Tensor,
    objective: Objective,
    settings: Train,
    turn: Turn,
    micro: int,
    backward: Callable[[Tensor], None],
    *,
    inputs: int,
    tokens: int,
) -> _Spent:
    """Add the gradient of one step, micro-batch by micro-batch; the same gradient for every size of them.

    ``picked`` is this rank's share of a batch of ``inputs`` inputs with ``tokens`` target tokens.
    """
    spent = _Spent(dict.fromkeys(("loss", "ess", "warmup_length", "forced", "samples"), 0.0))
    for start in range(0, len(picked), micro):
        part = picked[start : start + micro]
        batch = collate(part, backbone.tokens.pad, backbone.device)
        with backbone.autocast(settings.dtype):
            loss = batch_loss(
                backbone,
                batch,
                objective,
                draws[start : start + micro].to(backbone.device),
                dropout=settings.dropout,
                turn=replace(turn, keys=turn.keys[start : start + micro]),
            )
        backward(loss.value / tokens)
        spent.flops += loss.flops
        spent.warmup_tokens += loss.warmup_tokens
        for rollout in loss.rollouts:
            weight = rollout.ly.shape[0] / inputs
            # Reported: the mean of -log p(y|x) a token, marginal over the samples (log mean exp).
            marginal = rollout.ly.logsumexp(dim=1) - math.log(rollout.samples)
            spent.figures["loss"] += float(-marginal.sum()) / tokens
            spent.figures["ess"] += weight * float(rollout.effective_sample_size.mean())
            spent.figures["warmup_length"] += weight * float(rollout.lengths.float().mean())
            spent.figures["forced"] += weight * float(rollout.forced.float().mean())
            spent.figures["samples"] += weight * rollout.samples
    return spent


def _summed(parts: Sequence[_Spent]) -> _Spent:
    """What the ranks have spent together, in the order of their ranks."""
    figures = {key: sum(part.figures[key] for part in parts) for key in parts[0].figures}
    flops, tokens = sum(part.flops for part in parts), sum(part.warmup_tokens for part in parts)
    return _Spent(figures, flops, tokens)


def _latest(checkpoints: Path, group: Group) -> Snapshot | None:
    """The checkpoint to go on from; rank 0 looks first, and sets aside what is damaged.

    Raises:
        UserError: The ranks see different ones.
    """
    snapshot = latest(checkpoints) if group.first else None
    steps = group.of_first(snapshot and snapshot.values["ledger"]["steps"])
    if not group.first:
        snapshot = latest(checkpoints)
    seen = group.gather(snapshot and snapshot.values["ledger"]["steps"])
    if any(other != steps for other in seen):
        raise UserError(
            f"the processes of one cell see different checkpoints in {checkpoints}",
            origin="--out",
            hint="Give a folder that all machines share.",
        )
    return snapshot


def _evaluated(evaluate: Evaluate, step: int, fit: Fit, origin: str) -> tuple[dict[str, float], Fit]:
    """The figures of an evaluation, and what fitted into memory for it.

    Raises:
        UserError: One warmup of one input does not.
    """
    while True:
        try:
            return evaluate(step, fit), fit
        except torch.OutOfMemoryError as error:
            fit = halved(fit, error, origin)


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


def _rate(step: int, share: float, warm_share: float, settings: Train) -> float:
    """Linear warm-up of the learning rate to its peak, then constant or linear to 0.

    ``step`` counts from 0; ``share`` of the budget is spent, ``warm_share`` was when the warm-up ended.
    """
    warm = settings.lr_warmup_steps
    if step < warm:
        return (step + 1) / (warm + 1)
    if settings.schedule == "constant":
        return 1.0
    return max(0.0, (1 - share) / (1 - warm_share))
