"""The one training loop, for the warm start and for every method: a step, a checkpoint, a loop."""

import json
import math
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from warmup_bench.contracts.errors import TrainingError, UserError
from warmup_bench.contracts.settings import Budget, Train
from warmup_bench.models.base import Backbone
from warmup_bench.models.batching import Encoded, collate, training_order
from warmup_bench.models.device import sent, waits
from warmup_bench.models.parallel import ALONE, RankGroup
from warmup_bench.train.checkpoint import Pace, Snapshot, capture, latest, log_text, restore, save
from warmup_bench.train.fit import Fit, halved
from warmup_bench.train.ledger import NOTHING, Ledger, Outlay, peak_memory, reset_peak_memory
from warmup_bench.train.loss import Loss, batch_loss
from warmup_bench.train.objective import Objective
from warmup_bench.train.optimizer import make_optimizer, rate, update
from warmup_bench.train.rounds import Memory, Turn
from warmup_bench.train.weights import Weights

FORGIVEN, MAX_SKIPPED = 2, 20
"""Steps with a non-finite loss or gradient that a training may skip however short, and however long it is."""
OF_WARMUPS = ("ess", "warmup_length", "forced", "samples")
"""Figures that a method without warmups has nothing to say with."""
SPENT = ("flops", "warmup_tokens")
FIGURES = ("loss", *OF_WARMUPS, *SPENT, "grad_norm", "learning_rate")
"""What is noted of a step, in this order."""

Report = Callable[[int, int, dict[str, float]], None]
"""Called after every step with (step, steps, figures); on a GPU those of the last line of the log."""

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
    group: RankGroup = ALONE,
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
        evaluate: Figures of the model at a step, logged every ``eval_every`` steps, at the last one, and at
            the first one of a training that is longer; neither its operations nor its time count. It gets
            the micro-batch in force; where memory runs out it is called again with less, and training goes
            on with its own.
        checkpoints: Folder of this training's checkpoints (:mod:`warmup_bench.train.checkpoint`). Where it
            has one, training goes on from it and ends as if it had never stopped. Writing them is no
            training time.
        group: The ranks that share every batch; all call this with the same arguments. Rank 0 alone writes,
            evaluates and reports. With dropout a rank has a stream of its own, a function of seed, step and
            rank.
        outlay: What the warmups of ``items`` have cost; it counts as training, from the start. One that goes
            on from a checkpoint has counted it already.

    Returns:
        What all ranks have spent together, in rank 0's seconds and with the highest peak of memory.

    Raises:
        TrainingError: The loss or its gradient was not finite in more steps than ``max_skipped`` allows.
        UserError: A checkpoint can't be written, the ranks see different ones, or the outlay alone takes the
            budget.
    """
    budget = budget.in_steps(len(items), settings.batch_size)
    training = _Training(backbone, items, objective, settings, budget, learning_rate, seed, group)
    begun = training.begin(checkpoints, outlay)
    pace = Pace(settings.checkpoint_every)

    def write_checkpoint(folder: Path) -> None:
        with training.clock.paused() as took:
            save(folder, training.ledger.steps, training.snapshot(log_text(log)))
        pace.wrote(took[0])

    with (log if group.first else Path(os.devnull)).open("w", encoding="utf-8") as file:
        file.write(begun)
        file.flush()
        figures: dict[str, float] = {}
        while training.share < 1:
            training.step()
            step, over = training.ledger.steps, training.share >= 1
            if step % settings.log_every == 0 or over:
                training.settle()
                figures = training.window[-1]
                file.write(json.dumps(training.line()) + "\n")
            first = step == 1 and settings.eval_every < (budget.steps or math.inf)
            if evaluate and group.first and (first or step % settings.eval_every == 0 or over):
                with training.clock.paused():
                    validation = training.evaluated(evaluate)
                file.write(json.dumps({"step": step, "validation": validation}) + "\n")
            file.flush()
            if checkpoints is not None and group.first and not over and pace.due(step):
                write_checkpoint(checkpoints)
            total = budget.steps or 1000
            try:
                figures = training.window[-1] if training.window else figures
                report(min(total, round(total * training.share)), total, figures)
            except KeyboardInterrupt:
                if checkpoints is not None and group.first:
                    write_checkpoint(checkpoints)
                raise
    return training.end()


class _Clock:
    """Wall seconds of a training: those before it went on, and those since without its pauses."""

    def __init__(self, before: float = 0.0) -> None:
        self.before, self.started, self.pauses = before, time.perf_counter(), 0.0

    def seconds(self) -> float:
        """Until now."""
        return self.before + time.perf_counter() - self.started - self.pauses

    @contextmanager
    def paused(self) -> Iterator[list[float]]:
        """Don't count what is done in the block; yields a list that then holds its seconds."""
        took: list[float] = []
        began = time.perf_counter()
        yield took
        took.append(time.perf_counter() - began)
        self.pauses += took[0]


class _Training:
    """A training between two steps: what a checkpoint holds, and what makes the next step.

    Attributes:
        ledger: What is spent.
        share: Of the budget that is; ``warm_share``: that was when the learning rate's warm-up ended.
        seconds: At the last step, rank 0's.
        window: Figures of the steps since the last line of the log.
        fit: What fits into memory; ``watched``: while it is evaluated.
    """

    fit: Fit
    clock: _Clock

    def __init__(
        self,
        backbone: Backbone,
        items: Sequence[Encoded],
        objective: Objective,
        settings: Train,
        budget: Budget,
        learning_rate: float,
        seed: int,
        group: RankGroup,
    ) -> None:
        self.backbone, self.items, self.objective, self.settings = backbone, items, objective, settings
        self.budget, self.learning_rate, self.seed, self.group = budget, learning_rate, seed, group
        self.origin = f"training of {objective.method.name}"
        group.start_alike(backbone.model)
        self.weights = Weights(backbone, settings.dtype)
        self.optimizer = make_optimizer(self.weights.masters, settings, learning_rate)
        self.order = training_order(items, settings.batch_size, seed)
        self.generator = torch.Generator().manual_seed(seed + 1_000_003)  # apart from the data order's stream
        self.memory, self.window, self._unread = Memory(), list[dict[str, float]](), list[Tensor]()
        inputs = settings.micro_batch_size or -(-min(settings.batch_size, len(items)) // group.size)
        self.ledger = Ledger(parameters=backbone.costs.parameters, trainable=backbone.costs.trainable)
        self._fit_in(Fit(inputs, objective.samples))
        self.watched = self.fit
        self.share = self.warm_share = self.seconds = 0.0

    def begin(self, checkpoints: Path | None, outlay: Outlay) -> str:
        """Start anew, or where the last checkpoint stands; returns the log so far.

        Raises:
            UserError: The ranks see different checkpoints, or the outlay alone takes the budget.
        """
        self.backbone.model.train()
        reset_peak_memory(self.backbone.device.type)
        self.clock = _Clock()
        snapshot = None if checkpoints is None else _latest(checkpoints, self.group)
        if snapshot is None:
            outlay = replace(outlay, seconds=self.group.of_first(outlay.seconds))
            self.ledger.train_flops, self.clock.before = outlay.flops, outlay.seconds
            self.share = _share_of(outlay, self.budget, self.origin)
            return ""
        self.window = restore(snapshot, self.weights, self.optimizer, self.generator, self.memory)
        self.ledger = Ledger(**snapshot.values["ledger"])
        self.fit = Fit(self.ledger.micro_batch_size, self.ledger.rows_at_once)
        self.share, self.warm_share = snapshot.values["share"], snapshot.values["warm_share"]
        self.order = islice(self.order, self.ledger.steps, None)
        self.clock = _Clock(snapshot.values["seconds"])
        return snapshot.log

    def step(self) -> None:
        """Take one step.

        Nothing of it is read where that would make the processor wait for the device, unless the budget is in
        operations.

        Raises:
            TrainingError: The loss or its gradient was not finite in too many steps.
        """
        settings, group, ledger = self.settings, self.group, self.ledger
        step = ledger.steps + 1
        if step <= settings.lr_warmup_steps + 1:
            self.warm_share = self.share
        learning_rate = self.learning_rate * rate(step - 1, self.share, self.warm_share, settings)
        for weights in self.optimizer.param_groups:
            weights["lr"] = learning_rate
        keys = next(self.order)
        tokens = sum(len(self.items[i].target) for i in keys)
        spent = self._gradient(step, keys, tokens)
        group.sum_gradients(self.weights.masters)
        spent = group.sum(spent)
        loss = spent[FIGURES.index("loss")]
        norm = update(self.optimizer, self.weights, loss, settings.max_grad_norm)
        self._unread.append(torch.cat([spent, norm.double().view(1), spent.new_full((1,), learning_rate)]))
        ledger.steps, ledger.target_tokens = step, ledger.target_tokens + tokens
        if self.budget.flops is not None or not waits(self.backbone.device):
            self.settle()
        self.seconds = self.clock.seconds()
        if self.budget.seconds is not None:
            self.seconds = group.of_first(self.seconds)
        self.share = self.budget.share(
            steps=step, flops=ledger.train_flops, seconds=self.seconds, tokens=ledger.target_tokens
        )
        if self.share >= 1:
            self.settle()
            self._require_steps(step, step)

    def settle(self) -> None:
        """Read what the device knows of the steps since the last time.

        Raises:
            TrainingError: As :meth:`step`.
        """
        unread = torch.stack(self._unread).tolist() if self._unread else []
        self._unread.clear()
        for place, values in enumerate(unread):
            figures = dict(zip(FIGURES, values, strict=True))
            self.ledger.train_flops += figures.pop("flops")
            self.ledger.warmup_tokens += int(figures.pop("warmup_tokens"))
            self.window.append(figures)
            if not (math.isfinite(figures["grad_norm"]) and math.isfinite(figures["loss"])):
                self._skip(self.ledger.steps - len(unread) + place + 1)

    def _gradient(self, step: int, keys: Sequence[int], tokens: int) -> Tensor:
        """Add the gradient of this rank's share of a batch, with less at once where memory runs out."""
        # Draws are made on the CPU for the whole batch: the same for every device and micro-batch size.
        width = self.objective.warmup.max_tokens + 1
        draws = torch.rand((len(keys), self.objective.samples, width), generator=self.generator)
        if self.group.size > 1:
            torch.manual_seed((self.seed * 1_000_003 + step) * self.group.size + self.group.rank)  # dropout's
        remembered = self.memory.of(keys)
        while True:
            try:
                return self._accumulate(keys, draws, tokens)
            except torch.OutOfMemoryError as error:
                self.weights.forget_gradients()
                self.backbone.graphs.clear()
                self.memory.put_back(keys, remembered)  # earlier micro-batches have written
                self._fit_in(halved(self.fit, error, self.origin))

    def _accumulate(self, keys: Sequence[int], draws: Tensor, tokens: int) -> Tensor:
        """Add the gradient micro-batch by micro-batch; the same gradient for every size of them.

        Args:
            keys: The inputs of the whole batch.
            draws: Theirs, [batch, samples, cap + 1].
            tokens: Their target tokens.

        Returns:
            This rank's part of :data:`FIGURES`, but for the last two.
        """
        backbone, fit = self.backbone, self.fit
        rows = fit.rows if fit.rows < self.objective.samples else None
        spent = torch.zeros(len(FIGURES) - 2, dtype=torch.float64, device=backbone.device)
        share = self.group.share(len(keys))
        for start in range(share.start, share.stop, fit.inputs):
            part = slice(start, min(start + fit.inputs, share.stop))
            batch = collate([self.items[i] for i in keys[part]], backbone.tokens.pad, backbone.device)
            loss = batch_loss(
                backbone,
                batch,
                self.objective,
                sent(draws[part], backbone.device),
                dropout=self.settings.dropout,
                turn=Turn(self.share, keys[part], self.memory, rows),
            )
            torch.autograd.backward(loss.value / tokens)
            self.weights.collect()
            spent += _figures(loss, len(keys), tokens)
        return spent

    def _fit_in(self, fit: Fit) -> None:
        self.fit = fit
        self.ledger.micro_batch_size, self.ledger.rows_at_once = fit.inputs, fit.rows

    def _skip(self, step: int) -> None:
        self.ledger.skipped_steps += 1
        self._require_steps(step, self.budget.steps)

    def _require_steps(self, step: int, steps: int | None) -> None:
        """See that not too many of the steps so far were skipped, for a training of ``steps`` steps.

        Raises:
            TrainingError: More than it may lose; than any may where its length is not known yet.
        """
        share = MAX_SKIPPED if steps is None else self.settings.max_skipped * steps
        most = min(MAX_SKIPPED, max(FORGIVEN, int(share)))
        if self.ledger.skipped_steps > most:
            last = {"learning_rate": self.window[-1]["learning_rate"], "last_steps": self.window[-5:]}
            raise TrainingError(
                f"the loss or its gradient was not finite in {self.ledger.skipped_steps} of {step} steps, "
                f"and {most} may be lost (train.max_skipped={self.settings.max_skipped:g})",
                origin=self.origin,
                hint="Lower train.learning_rate, or set train.dtype=float32.",
                diagnostics=last | self.ledger.to_dict(),
            )

    def line(self) -> dict[str, float | None]:
        """The next line of the log: means since the last one."""
        self.settle()
        means = {key: float(np.mean([figures[key] for figures in self.window])) for key in self.window[-1]}
        # JSON has no NaN: a window with a skipped step shows null.
        line = {key: mean if math.isfinite(mean) else None for key, mean in means.items()}
        line |= {"step": self.ledger.steps, "seconds": self.seconds, "flops": self.ledger.train_flops}
        self.window.clear()
        unsaid = OF_WARMUPS if self.objective.method.warmup == "none" else ()
        return {key: value for key, value in line.items() if key not in unsaid}

    def evaluated(self, evaluate: Evaluate) -> dict[str, float]:
        """Figures of the model as it is, with less at once where memory runs out.

        Raises:
            UserError: One warmup of one input is too much.
        """
        self.watched = self.fit.within(self.watched)
        while True:
            try:
                return evaluate(self.ledger.steps, self.watched)
            except torch.OutOfMemoryError as error:
                self.watched = halved(self.watched, error, f"evaluation, {self.origin}")

    def snapshot(self, log: str) -> Snapshot:
        """What a training needs that goes on from here; ``log`` is the log so far."""
        self.settle()
        self._note_peak()
        counted = {"share": self.share, "warm_share": self.warm_share, "seconds": self.seconds}
        values = {"ledger": self.ledger.to_dict(), **counted}
        return capture(self.weights, self.optimizer, self.generator, self.memory, self.window, values, log)

    def end(self) -> Ledger:
        """What all ranks have spent together; the model is in fp32 again."""
        self.settle()
        self.weights.give_back()
        ledger = self.ledger
        ledger.train_seconds = self.clock.seconds()
        ledger.not_captured = self.backbone.graphs.problem
        self._note_peak()
        peaks = self.group.gather([ledger.peak_memory, -self.fit.inputs, -self.fit.rows])
        ledger.peak_memory, inputs, rows = (max(column) for column in zip(*peaks, strict=True))
        ledger.micro_batch_size, ledger.rows_at_once = -inputs, -rows  # a rank may have halved them alone
        self.backbone.model.eval()
        return ledger

    def _note_peak(self) -> None:
        self.ledger.peak_memory = max(self.ledger.peak_memory, peak_memory(self.backbone.device.type))


def _figures(loss: Loss, inputs: int, tokens: int) -> Tensor:
    """What one micro-batch of a batch of ``inputs`` adds to :data:`FIGURES`, but for the last two."""
    value, ess, length, forced, samples = loss.flops.new_zeros(5)
    for rollout in loss.rollouts:
        weight = rollout.ly.shape[0] / inputs
        # Reported: the mean of -log p(y|x) a token, marginal over the samples (log mean exp).
        marginal = rollout.ly.logsumexp(dim=1) - math.log(rollout.samples)
        value = value + (-marginal.sum()).double() / tokens
        ess = ess + weight * rollout.effective_sample_size.mean().double()
        length = length + weight * rollout.lengths.float().mean().double()
        forced = forced + weight * rollout.forced.float().mean().double()
        samples = samples + weight * rollout.samples
    return torch.stack([value, ess, length, forced, samples, loss.flops, loss.warmup_tokens.double()])


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


def _latest(checkpoints: Path, group: RankGroup) -> Snapshot | None:
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
