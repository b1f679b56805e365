"""What a rank's process does, and what any process that computes for another one needs.

It joins the other ranks of its cell, runs a stage with them, and tells its parent what came of it.
"""

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from multiprocessing import parent_process
from typing import Any

from warmup_bench.execution.stages import Report
from warmup_bench.models.parallel import RankGroup, joined, rendezvous
from warmup_bench.plan.jobs import Job, Step
from warmup_bench.store.failures import Failure, failure_of
from warmup_bench.store.locks import Claim, guarding
from warmup_bench.train.launch import VARIABLES

Stage = Callable[[Job, Report, RankGroup], None]
Told = Failure | str | None
"""What came of a step: its failure, "done" or "stopped"; None: nothing yet."""


@dataclass(frozen=True, slots=True)
class Part:
    """What the ranks of a step are told.

    Attributes:
        stage, step: What they run.
        address, prefix: Where they meet (:func:`warmup_bench.models.parallel.rendezvous`).
        threads: CPU threads of each.
        held: The step's lock, which the process that has started them holds; None where that is elsewhere.
    """

    stage: Stage
    step: Step
    address: str
    prefix: str
    threads: int
    held: Claim | None = None


@contextmanager
def environment(**variables: str) -> Iterator[None]:
    """In here, and in processes that are started in here, these variables have these values."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def children_threads(threads: int) -> AbstractContextManager[None]:
    """Processes started in here have this number of OpenMP threads.

    It is read when OpenMP is loaded, before torch.set_num_threads can be called.
    """
    return environment(OMP_NUM_THREADS=str(threads))


def end_with_parent() -> None:
    """End this process with its parent: it would go on, hold its lock, and then wait for work for ever."""

    def watch() -> None:
        parent = parent_process()
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def be_rank(part: Part, rank: int, local_rank: int, pipe: Any, stop: Any) -> None:
    """A rank's process: join the others, run the stage, tell what came of it.

    Args:
        part: What it runs.
        rank, local_rank: Its number among all, and among those of this machine.
        pipe: Rank 0 tells its progress on it, and every rank its outcome, last.
        stop: An event by which rank 0 is asked to stop.
    """
    end_with_parent()
    if part.address.startswith("file:") or part.address.split(":")[1] in ("localhost", "127.0.0.1"):
        _stay_on_loopback()
    for variable in VARIABLES:  # accelerate would make a group of its own of them
        os.environ.pop(variable, None)
    import torch
    from torch import distributed

    from warmup_bench.models.load import quiet_transformers

    torch.set_num_threads(part.threads)
    quiet_transformers()
    job, at = part.step.job, str(part.step.kind)

    def report(stage: str, done: int, total: int, figures: dict[str, float]) -> None:
        nonlocal at
        at = stage
        if rank == 0:
            pipe.send((stage, done, total, figures))
            if stop.is_set():
                raise KeyboardInterrupt

    outcome: Told = "done"
    try:
        store = rendezvous(part.address)
        if part.prefix:
            store = distributed.PrefixStore(part.prefix, store)  # type: ignore[attr-defined]
        with (
            nullcontext() if part.held is None else guarding(part.held),
            joined(rank, job.devices, store, device=job.device, local_rank=local_rank) as group,
        ):
            part.stage(job, report, group)
    except BaseException as error:  # a plugin may raise anything, and call sys.exit
        stopped = isinstance(error, KeyboardInterrupt) and stop.is_set()
        outcome = "stopped" if stopped else failure_of(error, at)
    pipe.send(outcome)
    if outcome != "done":
        os._exit(0)  # gloo and nccl do not let go in an orderly way of exchanges that were cut off


def _stay_on_loopback() -> None:
    """Ranks of one machine talk over its loopback interface, which no other machine reaches."""
    import socket

    names = [name for _, name in socket.if_nameindex() if name.startswith("lo")]
    if names:
        os.environ.setdefault("GLOO_SOCKET_IFNAME", names[0])
