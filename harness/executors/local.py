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
from harness.executors import Event, Kind, Listener, Step
from harness.stages import Job, Report, run_cell, run_training, run_warm_start

STAGES: dict[Kind, Callable[[Job, Report], None]] = {
    "warm start": run_warm_start,
    "training": run_training,
    "cell": run_cell,
}
MIN_INTERVAL = 0.2
"""Seconds between two progress events of one job."""
_channel: Any = None


def run_steps(steps: Sequence[Step], *, workers: int, threads: int, listener: Listener) -> dict[str, str]:
    """Run steps, each once the one that it needs is done.

    Args:
        steps: In the order in which they should start where several can.
        workers: Processes; 1 runs everything in this one.
        threads: CPU threads of each.
        listener: Called with every event, from one thread at a time.

    Returns:
        The reason of every failure, by key. A failure stops only what depends on it.
    """
    if workers == 1:
        return _run_here(steps, threads, listener)
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
                return _schedule(pool, steps)
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


def _schedule(pool: ProcessPoolExecutor, steps: Sequence[Step]) -> dict[str, str]:
    failures: dict[str, str] = {}
    waiting = list(steps)
    done: set[str] = set()
    running: dict[Future[str], Step] = {}
    while waiting or running:
        for step in list(waiting):
            if step.needs in failures:
                failures[step.key] = _inherited(failures[step.needs])
                waiting.remove(step)
            elif step.needs is None or step.needs in done:
                running[pool.submit(_run, step)] = step
                waiting.remove(step)
        finished, _ = wait(running, return_when=FIRST_COMPLETED)
        for future in finished:
            step = running.pop(future)
            try:
                reason = future.result()
            except BrokenProcessPool:
                reason = "its process was killed (out of memory?)"
            if reason:
                failures[step.key] = reason
            done.add(step.key)
    return failures


def _run_here(steps: Sequence[Step], threads: int, listener: Listener) -> dict[str, str]:
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    failures: dict[str, str] = {}
    try:
        for step in steps:  # what a step needs stands before it
            if step.needs in failures:
                failures[step.key] = _inherited(failures[step.needs])
            elif reason := _guarded(step, listener):
                failures[step.key] = reason
    finally:
        torch.set_num_threads(before)
    return failures


def _inherited(reason: str) -> str:
    start = "what it needs failed: "
    return reason if reason.startswith(start) else start + reason


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


def _run(step: Step) -> str:
    return _guarded(step, _channel.put)


def _guarded(step: Step, listener: Listener) -> str:
    """Run a step and return why it failed, or an empty string."""
    last = 0.0

    def report(stage: str, done: int, total: int, figures: dict[str, float]) -> None:
        nonlocal last
        now = time.monotonic()
        if done == total or now - last >= MIN_INTERVAL:
            last = now
            listener(Event(step.key, "progress", stage, done, total, figures))

    listener(Event(step.key, "started"))
    try:
        STAGES[step.kind](step.job, report)
    except UserError as error:
        reason = str(error)
    except Exception as error:
        reason = f"{type(error).__name__}: {error}\n{traceback.format_exc()}"
    else:
        listener(Event(step.key, "done"))
        return ""
    listener(Event(step.key, "failed", message=reason))
    return reason
