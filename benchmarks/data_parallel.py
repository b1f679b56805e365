"""Training steps shared by two processes against the same steps in one, with one thread each.

Both sides train the same T5 by the same batches with the harness's own loop and end with the same weights, up
to the order of a sum, which is checked. Sources and targets are random and of one length, so that the two
halves of a batch cost the same. The clock is the wall's: what counts is how much sooner a cell is done. It
starts after a first step and stops with the last, so that starting the processes, which a cell pays once a
stage, is kept apart (``start`` in the detail).
"""

import statistics
import tempfile
import time
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch

from benchmarks.inputs import CAP, SAMPLES, SOURCE, TARGET
from benchmarks.models import EOS, FIRST, SIZES, make_t5, parameters
from benchmarks.record import Options, Record, UnavailableError, judge
from warmup_bench.baselines import sft, warmup
from warmup_bench.contracts.settings import Budget, Train, Warmup
from warmup_bench.models.batching import Encoded
from warmup_bench.models.parallel import ALONE, RankGroup, joined, rendezvous
from warmup_bench.train.loop import train
from warmup_bench.train.objective import Objective

METHODS = {"sft": sft.METHOD, "warmup": warmup.METHOD}
STEPS = {"tiny": 3}
"""Steps of a run at a size, the first of which is not timed; 10 at the others."""
BOUND = 1e-3
"""Largest difference of two weights, relative to the largest weight: what rounding makes of ten steps."""
AIM = ">= 1.6"
"""Our choice: two devices that reach 80% of twice the speed of one."""


def measure(options: Options) -> list[Record]:
    """A record of every size and method: steps a second.

    Raises:
        UnavailableError: Two GPUs were needed, and are not there.
    """
    if options.device == "cuda" and torch.cuda.device_count() < 2:
        raise UnavailableError("two GPUs are needed for two processes")
    return [_compare(size, name, options) for size in options.sizes for name in METHODS]


def _compare(size: str, name: str, options: Options) -> Record:
    rates: dict[int, list[float]] = {1: [], 2: []}
    starts, sums = [], {}
    for turn in range(options.rounds):
        for processes in (1, 2) if turn % 2 else (2, 1):
            began = time.perf_counter()
            seconds, steps, weights = _run(processes, size, name, options)
            starts.append({"processes": processes, "start": time.perf_counter() - began - seconds})
            rates[processes].append(steps / seconds)
            sums[processes] = torch.tensor(weights)
    difference = float((sums[2] - sums[1]).abs().max() / sums[1].abs().max())
    if not difference <= BOUND:
        raise AssertionError(f"weights of two processes and of one differ by {difference:.2g} of the largest")
    backbone = make_t5(SIZES[size])
    return judge(
        f"{name} steps on two processes against one, T5 {size}",
        statistics.median(rates[2]),
        statistics.median(rates[1]),
        "steps/s",
        ratio=statistics.median(two / one for two, one in zip(rates[2], rates[1], strict=True)),
        aim="" if size == "tiny" else AIM,
        detail={
            "parameters": parameters(backbone.model),
            "batch": SIZES[size].batch,
            "samples": SAMPLES,
            "cap": CAP,
            "rates": {str(processes): found for processes, found in rates.items()},
            "starts": starts,
            "difference": difference,
        },
    )


def _run(processes: int, size: str, name: str, options: Options) -> tuple[float, int, list[float]]:
    """Seconds and number of the timed steps, and the norm of every weight matrix at the end."""
    context = get_context("spawn")
    with tempfile.TemporaryDirectory() as folder:
        address = f"file:{Path(folder) / 'store'}"
        reading, writing = context.Pipe(duplex=False)
        members = [
            context.Process(
                target=_be_rank, args=(rank, processes, address, size, name, options, folder, writing)
            )
            for rank in range(processes)
        ]
        for member in members:
            member.start()
        writing.close()
        try:
            found: tuple[float, int, list[float]] = reading.recv()
        finally:
            for member in members:
                member.join(60)
                member.kill()
    return found


def _be_rank(
    rank: int,
    processes: int,
    address: str,
    size: str,
    name: str,
    options: Options,
    folder: str,
    pipe: Any,
) -> None:
    torch.set_num_threads(1)
    if processes == 1:
        pipe.send(steps_of(ALONE, size, name, options, Path(folder)))
        return
    store = rendezvous(address)
    with joined(rank, processes, store, device=options.device, local_rank=rank) as group:
        told = steps_of(group, size, name, options, Path(folder))
    if group.first:
        pipe.send(told)


def steps_of(
    group: RankGroup, size: str, name: str, options: Options, folder: Path
) -> tuple[float, int, list[float]]:
    """Train for some steps as one rank; what :func:`_run` returns."""
    chosen, steps = SIZES[size], STEPS.get(size, 10)
    backbone = make_t5(chosen, device=options.device)
    generator = torch.Generator().manual_seed(3)

    def ids(length: int) -> list[int]:
        drawn = torch.randint(FIRST, chosen.vocabulary, (length - 1,), generator=generator)
        return [*(int(i) for i in drawn), EOS]

    items = [Encoded(ids(SOURCE), ids(TARGET)) for _ in range(4 * chosen.batch)]
    stamps: list[float] = []

    def report(*told: object) -> None:
        if options.device == "cuda":
            torch.cuda.synchronize()
        stamps.append(time.perf_counter())

    train(
        backbone,
        items,
        Objective(METHODS[name], Warmup(samples=SAMPLES, max_tokens=CAP)),
        Train(batch_size=chosen.batch, lr_warmup_steps=0, dtype=options.dtype),  # type: ignore[arg-type]
        budget=Budget(steps=steps),
        learning_rate=1e-4,
        seed=0,
        log=folder / "log.jsonl",
        report=report,
        group=group,
    )
    norms = [float(weight.detach().norm()) for weight in backbone.model.parameters()]
    return stamps[-1] - stamps[0], steps - 1, norms
