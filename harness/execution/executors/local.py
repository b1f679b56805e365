"""Run jobs on this machine: in this process, or in a pool of spawned ones.

Every worker computes with the same number of threads, so the numbers do not depend on how many workers
there are.
"""

import multiprocessing
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from warmup_bench.contracts.undone import undone
from warmup_bench.execution.executors import Event, Listener, journal
from warmup_bench.execution.executors.board import POLL, Board, Outcome
from warmup_bench.execution.executors.rank import Stage, children_threads, end_with_parent
from warmup_bench.execution.executors.ranks import follow, run_together
from warmup_bench.execution.executors.stopping import Stop, deaf_children, listening
from warmup_bench.execution.garbage import staying
from warmup_bench.execution.stages import run_cell, run_training, run_warm_start
from warmup_bench.execution.upkeep import tidy_after
from warmup_bench.models.parallel import ALONE
from warmup_bench.plan.jobs import Kind, Step
from warmup_bench.store.failures import Failure, failure_of
from warmup_bench.store.locks import Claim, LostError, claim, guarding, holder
from warmup_bench.train.launch import launched, leading

STAGES: dict[Kind, Stage] = {
    "warm start": run_warm_start,
    "training": run_training,
    "cell": run_cell,
}
MIN_INTERVAL = 0.2
"""Seconds between two progress events of one job."""
TICK = 10.0
"""Seconds between two signs of life to whoever watches this process."""
_channel: Any = None
_stop_event: Any = None


def run_steps(steps: Sequence[Step], *, workers: int, threads: int, listener: Listener) -> dict[str, Failure]:
    """Run steps, each once the one that it needs is done.

    A step that another process is making is waited for and not made twice.

    Args:
        steps: In the order in which they should start where several can.
        workers: Processes; 1 runs everything in this one.
        threads: CPU threads of each.
        listener: Called with every event, from one thread at a time.

    Returns:
        Every failure, by key. A failure stops only what depends on it.

    Raises:
        KeyboardInterrupt: The user asked to stop, and every running step has (its argument: the signal).
    """
    board = Board([_from_anywhere(step) for step in steps])
    if workers == 1:
        _run_here(board, threads, listener)
    else:
        with children_threads(threads):
            _run_pool(board, workers, threads, listener)
    return board.failures


def _from_anywhere(step: Step) -> Step:
    """A step with absolute paths: a plugin may change the working folder."""
    job = step.job
    return replace(step, job=replace(job, out=job.out.absolute(), data=job.data.absolute()))


def led(command: Callable[[], int]) -> int:
    """The exit code of a command, which under a launcher rank 0 alone runs, and the others help it.

    Raises:
        UserError: Fewer ranks have come than were asked for, or the command's own.
    """
    launch = launched()
    if launch is not None and launch.rank > 0:
        return follow(launch, STAGES)
    with leading():
        return command()


def _run_here(board: Board, threads: int, listener: Listener) -> None:
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    stop = Stop()
    try:
        with listening(stop):
            while board.open and not stop():
                step = board.start()
                if step is None:
                    time.sleep(POLL)
                elif (outcome := _journaled(step, listener, stop)) == "stopped":
                    raise stop.error()
                else:
                    board.settle(step, outcome)
    finally:
        torch.set_num_threads(before)
    if stop():
        raise stop.error()


def _journaled(step: Step, listener: Listener, stop: Stop) -> Outcome:
    """Run a step and tell whoever watches this process, unless it has ended processes before this one."""
    if why := journal.given_up(step.key):
        listener(Event(step.key, "failed", message=why))
        return Failure(step.kind, "Killed", why)
    last = time.monotonic()

    def heard(event: Event) -> None:
        nonlocal last
        if time.monotonic() - last > TICK:
            last = time.monotonic()
            journal.tell("going", step.key)
        listener(event)

    journal.tell("start", step.key)
    outcome = run_step(step, heard, stop)
    journal.tell("end")
    return outcome


class _Pool:
    """A process pool with a channel for its events; a killed worker costs both, so both are made anew."""

    def __init__(self, workers: int, threads: int, listener: Listener) -> None:
        context = multiprocessing.get_context("spawn")
        self.channel, self.stop_event = context.Queue(), context.Event()
        self.drain = threading.Thread(target=_drain, args=(self.channel, listener), daemon=True)
        self.drain.start()
        self.executor = ProcessPoolExecutor(
            workers, context, _set_up, (self.channel, self.stop_event, threads)
        )

    def submit(self, step: Step) -> "Future[Outcome]":
        with deaf_children():
            return self.executor.submit(_run, step)

    def close(self, *, kill: bool = False) -> None:
        if kill:
            for process in list((self.executor._processes or {}).values()):
                process.kill()
        self.executor.shutdown(wait=True, cancel_futures=True)
        self.channel.put(None)
        self.drain.join(timeout=5)
        self.channel.cancel_join_thread()


def _run_pool(board: Board, workers: int, threads: int, listener: Listener) -> None:
    heard: dict[str, float] = {}

    def hear(event: Event) -> None:
        heard[event.job] = time.monotonic()
        listener(event)

    pool = _Pool(workers, threads, hear)

    def tell() -> None:
        pool.stop_event.set()  # of the pool that there is by then

    stop = Stop(tell)
    suspects: deque[Step] = deque()
    running: dict[Future[Outcome], Step] = {}
    finished_well = False
    try:
        with listening(stop):
            while board.open and not (stop() and not running):
                if not stop():
                    before = {step.key for step in running.values()}
                    _fill(pool, board, running, suspects, workers)
                    heard |= {s.key: time.monotonic() for s in running.values() if s.key not in before}
                if not running:
                    time.sleep(POLL)
                    continue
                killed: list[Step] = []
                finished, _ = wait(running, timeout=POLL, return_when=FIRST_COMPLETED)
                for future in finished:
                    step = running.pop(future)
                    try:
                        board.settle(step, future.result())
                    except BrokenProcessPool:
                        killed.append(step)
                silent = any(
                    time.monotonic() - heard[step.key] > journal.SILENCE for step in running.values()
                )
                if killed or silent:
                    killed += running.values()
                    running.clear()
                    pool.close(kill=True)
                    pool = _Pool(workers, threads, hear)
                    if stop():
                        continue
                    if suspects and killed == [suspects[0]]:
                        suspects.popleft()
                        how = journal.in_words(journal.SILENCE) if silent else "was killed"
                        message = f"its process {how}, twice{'' if silent else ' (out of memory?)'}"
                        failure = Failure(killed[0].kind, "Killed", message)
                        listener(Event(killed[0].key, "failed", message=message))
                        board.settle(killed[0], failure)
                    else:
                        # Any of them may have done it: each is tried again alone.
                        suspects.extend(killed)
                elif suspects and suspects[0].key not in board.running:
                    suspects.popleft()
        finished_well = True
    finally:
        pool.close(kill=not finished_well)
    if stop():
        raise stop.error()


def _fill(
    pool: _Pool,
    board: Board,
    running: "dict[Future[Outcome], Step]",
    suspects: "deque[Step]",
    workers: int,
) -> None:
    """Give the workers what they can take; a step that may have killed its process runs alone."""
    if suspects:
        if not running:
            running[pool.submit(suspects[0])] = suspects[0]
        return
    while len(running) < workers and (step := board.start()) is not None:
        running[pool.submit(step)] = step


def _set_up(channel: Any, stop_event: Any, threads: int) -> None:
    global _channel, _stop_event  # a pool's initialiser can leave its state nowhere else
    _channel, _stop_event = channel, stop_event
    end_with_parent()
    prepare(threads)


def prepare(threads: int) -> None:
    """Make a fresh worker process compute with so many threads, quietly."""
    with staying():
        import torch
        from transformers import PreTrainedModel  # noqa: F401 - what stages would import otherwise

        from warmup_bench.models.load import quiet_transformers

        quiet_transformers()
    torch.set_num_threads(threads)


def _drain(channel: Any, listener: Listener) -> None:
    while (event := channel.get()) is not None:
        listener(event)


def _run(step: Step) -> Outcome:
    return run_step(step, _channel.put, _stop_event.is_set)


def waits_for(step: Step) -> Event:
    """Tells that another process is making a step."""
    return Event(step.key, "progress", f"waits for {holder(step.lock)}", 0, 1)


@contextmanager
def _given_up_if_lost(ours: Claim) -> Iterator[None]:
    """In here nothing is stored once the lock is lost, and whatever goes wrong then is for that reason."""
    try:
        with guarding(ours), undone():
            yield
    except Exception:
        ours.require()  # files may be gone because the new holder has cleared them away
        raise


def run_step(
    step: Step,
    listener: Listener,
    stopping: Callable[[], bool],
    lock: Callable[[Path], AbstractContextManager[Claim]] = claim,
) -> Outcome:
    """Make a step's folder in this process, or in one a device, unless another process is making it.

    Where the lock is lost meanwhile nothing is stored any more, and the step counts as another process's.

    Args:
        step: The step; what it needs is stored.
        listener: Called with its events.
        stopping: Asked after every training step and batch whether to stop.
        lock: Tries to hold the step's lock; another one where somebody holds it for this process.
    """
    last = 0.0
    at = "decode" if step.kind == "cell" else str(step.kind)
    ours: Claim | None = None

    def report(stage: str, done: int, total: int, figures: dict[str, float]) -> None:
        nonlocal last, at
        at = stage
        if ours is not None and ours.noticed():
            raise LostError(step.key)
        now = time.monotonic()
        if done == total or now - last >= MIN_INTERVAL:
            last = now
            listener(Event(step.key, "progress", stage, done, total, figures))
        if stopping():
            raise KeyboardInterrupt

    try:
        with lock(step.lock) as ours:
            if not ours:
                listener(waits_for(step))
                return "busy"
            listener(Event(step.key, "started"))
            with _given_up_if_lost(ours):
                if step.job.devices == 1:
                    STAGES[step.kind](step.job, report, ALONE)
                else:
                    run_together(STAGES[step.kind], step, report, ours)
                tidy_after(step.job)
    except LostError:
        return "busy"
    except BaseException as error:  # a plugin may raise anything, and call sys.exit
        if isinstance(error, KeyboardInterrupt) and stopping():
            return "stopped"
        failure = failure_of(error, at)
        listener(Event(step.key, "failed", message=failure.message))
        return failure
    listener(Event(step.key, "done"))
    return "done"
