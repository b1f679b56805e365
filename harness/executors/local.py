"""Run jobs on this machine: in this process, or in a pool of spawned ones.

Every worker computes with the same number of threads, so the numbers do not depend on how many workers
there are.
"""

import multiprocessing
import os
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from typing import Any

from harness.errors import UserError
from harness.executors import Event, Listener
from harness.stages import Job, run_cell, run_warm_start

Step = Callable[[Job, Any], None]
MIN_INTERVAL = 0.2
"""Seconds between two progress events of one job."""
_channel: Any = None


def run_jobs(
    warm_starts: Sequence[Job], cells: Sequence[Job], *, workers: int, threads: int, listener: Listener
) -> dict[str, str]:
    """Run warm starts and cells, each cell once its warm start is there.

    Args:
        warm_starts: Jobs whose warm start is to be made.
        cells: Jobs whose cell is to be run.
        workers: Processes; 1 runs everything in this one.
        threads: CPU threads of each.
        listener: Called with every event, from one thread at a time.

    Returns:
        The reason of every failure, by job id. A failure stops only what depends on it.
    """
    if workers == 1:
        return _run_here(warm_starts, cells, threads, listener)
    context = multiprocessing.get_context("spawn")
    channel = context.Queue()
    drain = threading.Thread(target=_drain, args=(channel, listener), daemon=True)
    drain.start()
    # Read by the children's OpenMP when it is loaded, before torch.set_num_threads can be called.
    before = os.environ.get("OMP_NUM_THREADS")
    os.environ["OMP_NUM_THREADS"] = str(threads)
    try:
        with ProcessPoolExecutor(workers, context, _set_up, (channel, threads)) as pool:
            try:
                return _schedule(pool, warm_starts, cells)
            except KeyboardInterrupt:
                pool.shutdown(wait=False, cancel_futures=True)
                for process in multiprocessing.active_children():
                    process.terminate()
                raise
    finally:
        if before is None:
            del os.environ["OMP_NUM_THREADS"]
        else:
            os.environ["OMP_NUM_THREADS"] = before
        channel.put(None)
        drain.join(timeout=5)


def _schedule(pool: ProcessPoolExecutor, warm_starts: Sequence[Job], cells: Sequence[Job]) -> dict[str, str]:
    failures: dict[str, str] = {}
    waiting = {
        job.cell.warm_start_id: [c for c in cells if c.cell.warm_start_id == job.cell.warm_start_id]
        for job in warm_starts
    }
    running: dict[Future[str], tuple[str, Job]] = {}

    def submit(kind: str, job: Job) -> None:
        running[pool.submit(_run, kind, job)] = (kind, job)

    for job in warm_starts:
        submit("warm start", job)
    for job in cells:
        if job.cell.warm_start_id not in waiting:
            submit("cell", job)
    while running:
        finished, _ = wait(running, return_when=FIRST_COMPLETED)
        for future in finished:
            kind, job = running.pop(future)
            try:
                reason = future.result()
            except BrokenProcessPool:
                reason = "its process was killed (out of memory?)"
            if kind == "cell":
                if reason:
                    failures[job.cell.id] = reason
                continue
            for dependent in waiting.pop(job.cell.warm_start_id):
                if reason:
                    failures[dependent.cell.id] = f"its warm start failed: {reason}"
                else:
                    submit("cell", dependent)
    return failures


def _run_here(
    warm_starts: Sequence[Job], cells: Sequence[Job], threads: int, listener: Listener
) -> dict[str, str]:
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    failures: dict[str, str] = {}
    failed_starts: dict[str, str] = {}
    try:
        for job in warm_starts:
            if reason := _guarded("warm start", job, listener):
                failed_starts[job.cell.warm_start_id] = reason
        for job in cells:
            reason = failed_starts.get(job.cell.warm_start_id, "")
            reason = f"its warm start failed: {reason}" if reason else _guarded("cell", job, listener)
            if reason:
                failures[job.cell.id] = reason
    finally:
        torch.set_num_threads(before)
    return failures


def _set_up(channel: Any, threads: int) -> None:
    global _channel  # noqa: PLW0603 - a pool's initialiser can leave its state nowhere else
    _channel = channel
    import torch

    from harness.backbones.load import quiet_transformers

    torch.set_num_threads(threads)
    quiet_transformers()


def _drain(channel: Any, listener: Listener) -> None:
    while (event := channel.get()) is not None:
        listener(event)


def _run(kind: str, job: Job) -> str:
    return _guarded(kind, job, _channel.put)


def _guarded(kind: str, job: Job, listener: Listener) -> str:
    """Run a job and return why it failed, or an empty string."""
    name = job.cell.warm_start_id if kind == "warm start" else job.cell.id
    step: Step = run_warm_start if kind == "warm start" else run_cell
    last = 0.0

    def report(stage: str, done: int, total: int, figures: dict[str, float]) -> None:
        nonlocal last
        now = time.monotonic()
        if done == total or now - last >= MIN_INTERVAL:
            last = now
            listener(Event(name, "progress", stage, done, total, figures))

    listener(Event(name, "started"))
    try:
        step(job, report)
    except UserError as error:
        reason = str(error)
    except Exception as error:
        reason = f"{type(error).__name__}: {error}\n{traceback.format_exc()}"
    else:
        listener(Event(name, "done"))
        return ""
    listener(Event(name, "failed", message=reason))
    return reason
