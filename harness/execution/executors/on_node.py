"""What runs on a node of a Ray cluster: a step, and the wire between it and the driver."""

import contextlib
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from warmup_bench.contracts.errors import UserError
from warmup_bench.execution.executors import Event, Listener
from warmup_bench.execution.executors.board import POLL, Outcome
from warmup_bench.execution.executors.local import prepare, run_step
from warmup_bench.execution.executors.nodes import host, require_same_versions, versions
from warmup_bench.plan.jobs import Step
from warmup_bench.store.failures import failure_of
from warmup_bench.store.locks import Claim, token_of

SILENCE = 60.0
"""Seconds without an answer after which a worker takes its driver for dead, and stops."""


@dataclass(frozen=True, slots=True)
class Order:
    """A step for a worker.

    Attributes:
        step: With absolute paths.
        token: Of the lock that the driver holds for the step: a worker that reads another one was replaced.
        threads: CPU threads.
        versions: The driver's.
        folder: The driver's working folder, from which it has resolved relative paths.
        wire: Handle of the actor :class:`Wire`.
    """

    step: Step
    token: str
    threads: int
    versions: Mapping[str, str]
    folder: Path
    wire: Any


class Wire:
    """An actor between the driver and its workers: events one way, the wish to stop the other."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.stopping = False

    def tell(self, events: list[Event]) -> bool:
        """Leave events for the driver; returns whether to stop."""
        self.events += events
        return self.stopping

    def listen(self, stopping: bool) -> list[Event]:
        """Take the events, and leave the driver's wish."""
        self.stopping = stopping
        events, self.events = self.events, []
        return events


def tell_versions(probe: Path) -> tuple[dict[str, str], bool]:
    """What this node has, for the driver to compare, and whether it sees a file of the results folder."""
    return versions(), probe.is_file()


def work(order: Order) -> Outcome:
    """Run a step on this node."""
    step = order.step
    try:
        require_same_versions(order.versions, versions(), host())
        if order.folder.is_dir():
            os.chdir(order.folder)
        if token_of(step.lock) != order.token:  # a node that has joined later, and does not share the folder
            raise UserError(
                f"node {host()} does not see the results folder {step.job.out}",
                origin="--out",
                hint="Give a folder that every node shares at the same path.",
            )
        _require_same_code(step)
        prepare(order.threads)
        with _talking(order) as (listener, stopping):
            if stopping():
                return "stopped"
            # The driver holds the lock: a node that dies leaves none behind.
            held = Claim(step.lock, order.token)
            return run_step(step, listener, stopping, lambda path: nullcontext(held))
    except BaseException as error:  # a plugin may raise anything
        return failure_of(error, "decode" if step.kind == "cell" else step.kind)


def _require_same_code(step: Step) -> None:
    """See that this node has the plugins that the cell was planned with.

    Raises:
        UserError: It has others, or lacks one.
    """
    from warmup_bench.contracts.resolve import resolve_method
    from warmup_bench.data.registry import tasks
    from warmup_bench.models.load import resolve_preset

    job = step.job
    for kind, reference, load in (
        ("task", job.task, tasks().load),
        ("backbone", job.backbone, resolve_preset),
        ("method", job.method, resolve_method),
    ):
        try:
            code = load(reference).code
        except UserError as error:
            raise UserError(
                f"node {host()}: {error.problem}", origin=error.origin, hint=error.hint
            ) from error
        if code != job.cell.code[kind]:
            raise UserError(
                f"{kind} '{reference}' is {code} on node {host()}, not {job.cell.code[kind]} as here",
                origin="--executor ray",
                hint="Put the same plugins on every node, at the same path.",
            )


def _replaced(order: Order) -> bool:
    """Whether the step's lock was given to another worker: the driver has taken this node for lost."""
    return token_of(order.step.lock) not in (None, order.token)


@contextmanager
def _talking(order: Order) -> Iterator[tuple[Listener, Callable[[], bool]]]:
    """Pass events on twice a second, and learn whether to stop.

    How a step ended is the driver's to tell, once it has the result: those events go no further. A worker
    that was replaced ends its process, since two must not write one checkpoint.
    """
    import ray

    unsent: list[Event] = []
    lock, over, stop, answered = threading.Lock(), threading.Event(), threading.Event(), threading.Event()

    def listener(event: Event) -> None:
        if event.kind in ("started", "progress"):
            with lock:
                unsent.append(event)

    def talk() -> None:
        heard = time.monotonic()
        while True:
            last = over.is_set()
            with lock:
                events = unsent[:]
                unsent.clear()
            with contextlib.suppress(ray.exceptions.RayError):
                if ray.get(order.wire.tell.remote(events), timeout=SILENCE / 4):
                    stop.set()
                heard = time.monotonic()
            if time.monotonic() - heard > SILENCE:
                stop.set()
            answered.set()
            if _replaced(order):
                os._exit(1)
            if last:
                return
            over.wait(POLL)

    thread = threading.Thread(target=talk, daemon=True)
    thread.start()
    answered.wait(SILENCE)
    try:
        yield listener, stop.is_set
    finally:
        over.set()
        thread.join()
