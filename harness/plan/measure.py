"""What a device reaches on steps of the model itself: operations a second, by kind of work.

On a GPU a small model's step takes as long as it takes to start its kernels, which no rate of a matrix
product tells. So a few steps of :func:`warmup_bench.train.loop.train` and some greedy decoding are timed on
real examples, at the plan's batch size and dtype.
"""

import os
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import median

import numpy as np
import torch

from warmup_bench.contracts.errors import UserError
from warmup_bench.contracts.method import Method, likelihood
from warmup_bench.contracts.settings import Budget, Settings
from warmup_bench.decode import decode_all
from warmup_bench.models.base import Backbone
from warmup_bench.models.batching import Encoded
from warmup_bench.models.costs import IntArray
from warmup_bench.models.limits import check_lengths
from warmup_bench.plan.costs import A100_TFLOPS, UTILISATION, per_example
from warmup_bench.train.loop import train
from warmup_bench.train.objective import Objective

FEW = 4
"""Inputs of the first steps, which tell for how many there is time."""
REPEATS = 5
"""Most timings, of which the median counts; one before them, that starts what is to be started, does not."""
DIRECT = Method("direct", "", "", "none", likelihood)
clock = time.perf_counter

Work = Callable[[int, Callable[[], None]], None]
"""Does steps on so many inputs and calls back after each, which ends it by an exception."""


@dataclass(frozen=True, slots=True)
class Rates:
    """Operations a second, counted as estimates count them.

    Attributes:
        plain: Of training on the direct path, or on given warmups.
        sampled: Of training that draws warmups.
        written: Of decoding.
        source: Where they are from, in words.
    """

    plain: float
    sampled: float
    written: float
    source: str

    def training(self, method: Method) -> float:
        """Of training as a method does."""
        return self.sampled if method.warmup == "sampled" else self.plain


@dataclass(frozen=True, slots=True)
class Timing:
    """How many seconds a step on some inputs takes, by the median of a few."""

    inputs: int
    seconds: float

    def __str__(self) -> str:
        return f"{self.inputs} inputs {1000 * self.seconds:,.3g} ms"


def measure(
    backbone: Backbone,
    items: Sequence[Encoded],
    settings: Settings,
    sampled: tuple[Settings, Method] | None,
    device: str,
    *,
    threads: int,
    devices: int,
    within: float,
) -> Rates:
    """Time a model's steps, or where they are too long for that, take a share of what matrices reach.

    Args:
        backbone: A fresh model, which is moved to the device.
        items: Examples.
        settings: Of plain training and of decoding.
        sampled: Settings and method of a training that draws warmups; None where none is planned.
        device: "cpu" or "cuda".
        threads: CPU threads of a worker.
        devices: Processes that share a batch.
        within: Seconds that the timing may take, about.
    """
    if device == "cuda" and not torch.cuda.is_available():
        return _everywhere(UTILISATION * A100_TFLOPS * 1e12, f"assumed: {UTILISATION:.0%} of an A100's peak")
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        matrices = UTILISATION * _matrix_rate(device)
        check_lengths(backbone.model.config, settings)
        reason = "its steps are too long to be timed"
        if _operations(backbone, items[:FEW], settings, DIRECT) / matrices <= within / 10:
            return _measured(backbone, _alike(items), settings, sampled, device, devices, within)
    except (torch.OutOfMemoryError, UserError) as error:
        reason = error.problem if isinstance(error, UserError) else "memory ran out"
    finally:
        torch.set_num_threads(before)
    return _everywhere(matrices, f"assumed: {UTILISATION:.0%} of what matrices reach here ({reason})")


def lengths_of(items: Sequence[Encoded]) -> tuple[IntArray, IntArray]:
    """Tokens of sources and targets, both [items]."""
    return np.array([len(item.source) for item in items]), np.array([len(item.target) for item in items])


def timed(work: Work, most: int, within: float) -> Timing:
    """Time ``work`` on as many inputs as there is time for.

    Args:
        work: What is timed.
        most: Inputs of the plan's batch.
        within: Seconds; it takes about twice as long at most, and never less than two steps on a few inputs.
    """
    inputs = min(FEW, most)
    few = Timing(inputs, _seconds(work, inputs, 0.0))
    # Twice the inputs take less than twice the time.
    larger = min(most, int(inputs * within / few.seconds))
    if larger <= inputs:
        return few
    try:
        return Timing(larger, _seconds(work, larger, within))
    except torch.OutOfMemoryError:
        return few


def _seconds(work: Work, inputs: int, within: float) -> float:
    """Median seconds of a step after the first: of one at least, of more while there is time."""
    begun = clock()
    ends: list[float] = []

    def note() -> None:
        ends.append(clock())
        if len(ends) > REPEATS or (len(ends) > 1 and 2 * ends[-1] - ends[-2] > begun + within):
            raise _EnoughError

    with suppress(_EnoughError):
        work(inputs, note)
    return median(after - before for before, after in pairwise(ends))


def _everywhere(rate: float, source: str) -> Rates:
    return Rates(rate, rate, rate, source)


def _alike(items: Sequence[Encoded]) -> list[Encoded]:
    """Items, those of middle length first: batches of them are as little padded as those of a training."""
    by_length = sorted(items, key=lambda item: len(item.source) + len(item.target))
    middle = len(items) // 2
    return [by_length[place] for place in sorted(range(len(items)), key=lambda place: abs(place - middle))]


def _operations(backbone: Backbone, items: Sequence[Encoded], settings: Settings, method: Method) -> float:
    """Of a training step on these."""
    return per_example(backbone.costs, settings, method, *lengths_of(items)).training.total * len(items)


def _measured(
    backbone: Backbone,
    items: Sequence[Encoded],
    settings: Settings,
    sampled: tuple[Settings, Method] | None,
    device: str,
    devices: int,
    within: float,
) -> Rates:
    backbone.model.to(device)
    share = within / (2 if sampled is None else 3)

    def trained(settings: Settings, method: Method) -> tuple[float, Timing]:
        batch = settings.train.micro_batch_size or -(-settings.train.batch_size // devices)
        timing = timed(_training(backbone, items, settings, method), min(batch, len(items)), share)
        return _operations(backbone, items[: timing.inputs], settings, method) / timing.seconds, timing

    plain, step = trained(settings, DIRECT)
    said = f"measured: a step on {step}"
    drawn = plain
    if sampled is not None:
        drawn, step = trained(*sampled)
        said += f", one that draws warmups on {step}"
    greedy = timed(_decoding(backbone, items, settings), min(settings.decode.batch_size, len(items)), share)
    part = items[: greedy.inputs]
    # As an estimate counts it: an output is as long as its target.
    each = per_example(backbone.costs, Settings(), DIRECT, *lengths_of(part))
    return Rates(
        plain, drawn, each.decoding.total * len(part) / greedy.seconds, f"{said}, to decode {greedy}"
    )


def _training(backbone: Backbone, items: Sequence[Encoded], settings: Settings, method: Method) -> Work:
    """Steps of the training loop at learning rate 0, always on the first of the items."""
    objective = Objective(method, settings.warmup, backbone if method.reference else None)

    def steps(inputs: int, note: Callable[[], None]) -> None:
        train(
            backbone,
            items[:inputs],
            objective,
            # A line a step: a GPU's figures are read there, and only then has it done the step.
            settings.train.model_copy(update={"batch_size": inputs, "log_every": 1}),
            budget=Budget(steps=1000),
            learning_rate=0.0,
            seed=0,
            log=Path(os.devnull),
            report=lambda done, total, figures: note(),
        )

    return steps


def _decoding(backbone: Backbone, items: Sequence[Encoded], settings: Settings) -> Work:
    """Greedy decoding of the first of the items, up to the mean length of their targets."""

    def steps(inputs: int, note: Callable[[], None]) -> None:
        part = items[:inputs]
        backbone.compute_in(settings.train.dtype)
        while True:
            decode_all(
                backbone,
                [item.source for item in part],
                warmup_cap=0,
                output_cap=max(1, round(float(lengths_of(part)[1].mean()))),
                batch_size=inputs,
                report=lambda done, total: None,
            )
            note()

    return steps


def _matrix_rate(device: str) -> float:
    """Operations a second of a product of fp32 matrices, the median of some that follow one not counted."""
    size = 4096 if device == "cuda" else 512
    a = torch.ones(size, size, device=device)

    def products(count: int, note: Callable[[], None]) -> None:
        while True:
            float((a @ a)[0, 0])  # waits for a GPU
            note()

    return 2.0 * size**3 / _seconds(products, 1, 0.1)


class _EnoughError(Exception):
    """There are timings enough."""
