"""What a rank's process does, and what any process that computes for another one needs.

It joins the other ranks of its cell, runs a stage with them, and tells its parent what came of it.
"""

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing import parent_process
from typing import Any

from warmup_bench.execution.stages import Report
from warmup_bench.models.parallel import RankGroup, joined, rendezvous
from warmup_bench.plan.jobs import Job, Step
from warmup_bench.store.failures import Failure, failure_of
from warmup_bench.train.launch import VARIABLES

Stage = Callable[[Job, Report, RankGroup], None]
Told = Failure | str | None
"""What came of a step: its failure, "done" or "stopped"; None: nothing yet."""


@contextmanager
def children_threads(threads: int) -> Iterator[None]:
    """Processes started in here have this number of OpenMP threads.

    It is read when OpenMP is loaded, before torch.set_num_threads can be called.
    """
    before = os.environ.get("OMP_NUM_THREADS")
    os.environ["OMP_NUM_THREADS"] = str(threads)
    try:
        yield
    finally:
        if before is None:
            del os.environ["OMP_NUM_THREADS"]
        else:
            os.environ["OMP_NUM_THREADS"] = before


def end_with_parent() -> None:
    """End this process with its parent: it would go on, hold its lock, and then wait for work for ever."""

    def watch() -> None:
        parent = parent_process()
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def be_rank(
    stage: Stage,
    step: Step,
    rank: int,
    local_rank: int,
    address: str,
    prefix: str,
    pipe: Any,
    stop: Any,
    threads: int,
) -> None:
    """A rank's process: join the others, run the stage, tell what came of it.

    Args:
        stage, step: What it runs.
        rank, local_rank: Its number among all, and among those of this machine.
        address, prefix: Where the ranks meet (:func:`warmup_bench.models.parallel.rendezvous`).
        pipe: Rank 0 tells its progress on it, and every rank its outcome, last.
        stop: An event by which rank 0 is asked to stop.
        threads: CPU threads.
    """
    end_with_parent()
    host = address.split(":")[1]
    if address.startswith("file:") or host in ("localhost", "127.0.0.1"):
        _stay_on_loopback()
    for variable in VARIABLES:  # accelerate would make a group of its own of them
        os.environ.pop(variable, None)
    import torch
    from torch import distributed

    from warmup_bench.models.load import quiet_transformers

    torch.set_num_threads(threads)
    quiet_transformers()
    at = str(step.kind)

    def report(at_stage: str, done: int, total: int, figures: dict[str, float]) -> None:
        nonlocal at
        at = at_stage
        if rank == 0:
            pipe.send((at_stage, done, total, figures))
            if stop.is_set():
                raise KeyboardInterrupt

    outcome: Told = "done"
    try:
        store = rendezvous(address)
        if prefix:
            store = distributed.PrefixStore(prefix, store)  # type: ignore[attr-defined]
        job = step.job
        with joined(rank, job.devices, store, device=job.device, local_rank=local_rank) as group:
            stage(job, report, group)
    except KeyboardInterrupt:
        outcome = "stopped"
    except (Exception, SystemExit) as error:  # a plugin may raise anything, and call sys.exit
        outcome = failure_of(error, at)
    pipe.send(outcome)
    if outcome != "done":
        os._exit(0)  # gloo and nccl do not let go in an orderly way of exchanges that were cut off


def _stay_on_loopback() -> None:
    """Ranks of one machine talk over its loopback interface, which no other machine reaches."""
    import socket

    names = [name for _, name in socket.if_nameindex() if name.startswith("lo")]
    if names:
        os.environ.setdefault("GLOO_SOCKET_IFNAME", names[0])
