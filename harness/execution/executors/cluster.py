"""Run jobs on a Ray cluster: each step is a task of it, with the resources that it is declared to need.

The nodes share the results folder, and workers work in place. The driver holds the lock of every step that is
under way, so a node that dies leaves none behind.
"""

import logging
import os
import signal
import socket
import sys
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

from warmup_bench.contracts.errors import UserError
from warmup_bench.execution.executors import Event, Listener
from warmup_bench.execution.executors.board import POLL, Board, Outcome
from warmup_bench.execution.executors.local import waits_for
from warmup_bench.execution.executors.nodes import (
    Node,
    needed_resources,
    require_room,
    require_same_versions,
    room,
    versions,
)
from warmup_bench.execution.executors.on_node import Order, Wire, tell_versions, work
from warmup_bench.execution.executors.rank import environment
from warmup_bench.execution.executors.stopping import Stop, listening
from warmup_bench.plan.jobs import Step
from warmup_bench.spec.spec import RunSpec
from warmup_bench.store.failures import Failure, failure_of
from warmup_bench.store.folders import check, make_folder, write_file
from warmup_bench.store.locks import claim, token_of

PATIENCE = 120.0
"""Seconds in which a cluster, and each of its nodes, must answer."""
LOOK = 5.0
"""Seconds between two looks at the cluster's nodes: more may have joined."""
STORE = 100_000_000
"""Bytes of the object store of a Ray that is started here for one run."""
TRIES = "RAY_gcs_server_port_wait_time_s"
"""How often Ray tries to connect, half a minute each time where something else listens; 20 by itself."""
INSTALL = 'pip install "warmup-bench[ray]"'
_log = logging.getLogger(__name__)


@contextmanager
def cluster_executor(
    spec: RunSpec, device: str
) -> Iterator[Callable[[Sequence[Step], Listener], dict[str, Failure]]]:
    """Connect to a cluster and see that it can run this; yields what runs steps on it.

    A Ray that this process is connected to already is used, and left as it is.

    Args:
        spec: Its ``address``, ``resources``, ``retries``, ``threads``, ``devices``, ``workers``.
        device: "cpu" or "cuda".

    Raises:
        UserError: Ray is not installed, the address can't be reached, no node has what a step needs, or one
            has other versions.
    """
    ray = _import_ray()
    need = needed_resources(spec.resources, spec.threads, device, spec.devices or 1)
    variables = {"OMP_NUM_THREADS": str(spec.threads)}  # read when a worker loads torch
    if spec.offline:
        variables["HF_HUB_OFFLINE"] = "1"
    ours = not ray.is_initialized()
    if ours:
        _connect(ray, spec.address)
    try:
        nodes = _nodes(ray)
        require_room(nodes, need)
        with _probe(spec.out) as probe:
            _require_same(ray, [node for node in nodes if room([node], need)], variables, probe)
        try:
            crew = _Crew(ray, spec, need, variables)
        except ray.exceptions.RayError as error:
            raise UserError(f"the cluster starts no process: {error}", origin="--executor ray") from error
        try:
            yield partial(_run_steps, crew)
        finally:
            crew.close()
    finally:
        if ours:
            ray.shutdown()


def _run_steps(crew: "_Crew", steps: Sequence[Step], listener: Listener) -> dict[str, Failure]:
    """Run steps, each once the one that it needs is done, as the local executor does."""
    board, stop = Board(steps), Stop()
    with listening(stop):
        while board.open and not (stop() and not crew.running):
            if stop():
                crew.withdraw()
            else:
                crew.fill(board, listener)
            if not crew.running:
                time.sleep(POLL)
                continue
            for step, outcome in crew.wait(stop(), listener):
                _settle(board, step, outcome, listener)
    if stop():
        raise stop.error()
    return board.failures


def _settle(board: Board, step: Step, outcome: Outcome, listener: Listener) -> None:
    """Note what came of a step, and tell the listener where that is its end."""
    if outcome == "done":
        listener(Event(step.key, "done"))
    elif isinstance(outcome, Failure):
        listener(Event(step.key, "failed", message=outcome.message))
    board.settle(step, outcome)


class _Crew:
    """The tasks under way: their steps, locks and losses."""

    def __init__(self, ray: ModuleType, spec: RunSpec, need: dict[str, float], variables: dict[str, str]):
        self.ray, self.spec, self.need = ray, spec, need
        self.running: dict[Any, Step] = {}
        self.started: set[str] = set()
        self.losses: Counter[str] = Counter()
        self.locks: dict[str, ExitStack] = {}
        self.task = ray.remote(
            num_cpus=need.get("CPU", 0),
            num_gpus=need.get("GPU", 0),
            memory=need.get("memory"),
            max_retries=0,  # counted here, where it is told
            runtime_env={"env_vars": variables},
        )(work)
        # On the driver's node, which the run can't outlive anyway.
        here = _on(ray, ray.get_runtime_context().get_node_id(), soft=True)
        actor = ray.remote(num_cpus=0, max_restarts=-1, max_task_retries=0, scheduling_strategy=here)(Wire)
        self.wire = actor.remote()
        ray.get(self.wire.listen.remote(False), timeout=PATIENCE)  # it is there before the first step
        self._looked, self._room = 0.0, 1

    def close(self) -> None:
        """Let go of what is still under way, and of its locks."""
        with suppress(self.ray.exceptions.RayError):
            for reference in self.running:
                self.ray.cancel(reference, force=True)
            self.ray.kill(self.wire)
        for lock in self.locks.values():
            lock.close()

    @property
    def limit(self) -> int:
        """Steps at once: as many as the user allows, else as fit on the nodes that are there now."""
        if time.monotonic() - self._looked > LOOK:
            self._looked, now = time.monotonic(), room(_nodes(self.ray), self.need)
            if not now and self._room:
                _log.warning("no node of the cluster has room for a step any more; waiting for one")
            self._room = now
        return self.spec.workers or max(1, self._room)

    def fill(self, board: Board, listener: Listener) -> None:
        """Hand out what can start now and is in nobody else's hands."""
        while len(self.running) < self.limit and (step := board.start()) is not None:
            if (outcome := self._hand_out(step, listener)) is not None:
                _settle(board, step, outcome, listener)

    def _hand_out(self, step: Step, listener: Listener) -> Outcome | None:
        """Hand a step out; what came of it, where it has come to that at once."""
        with ExitStack() as lock:
            try:
                if not lock.enter_context(claim(step.lock)):
                    listener(waits_for(step))
                    return "busy"
                if step.kind != "cell" and step.is_stored():  # somebody else has made it by now
                    check(step.target)
                    return "done"
            except UserError as error:
                return failure_of(error, step.kind)
            away = replace(step.job, out=step.job.out.absolute(), data=step.job.data.absolute())
            token, threads = str(token_of(step.lock)), self.spec.threads
            order = Order(replace(step, job=away), token, threads, versions(), Path.cwd(), self.wire)
            self.running[self.task.remote(order)] = step
            self.locks[step.key] = lock.pop_all()
        return None

    def wait(self, stopping: bool, listener: Listener) -> Iterator[tuple[Step, Outcome]]:
        """Pass events on, and yield what has ended, after half a second at most."""
        ready, _ = self.ray.wait(list(self.running), num_returns=1, timeout=POLL)
        if ready:
            ready, _ = self.ray.wait(list(self.running), num_returns=len(self.running), timeout=0)
        with suppress(self.ray.exceptions.RayError):
            for event in self.ray.get(self.wire.listen.remote(stopping), timeout=PATIENCE):
                if event.job in self.locks:
                    self.started.add(event.job)
                    listener(event)
        for reference in ready:
            step = self.running.pop(reference)
            self.started.discard(step.key)
            outcome = self._outcome(step, reference, stopping)
            self.locks.pop(step.key).close()
            yield step, outcome

    def withdraw(self) -> None:
        """Take back the steps that still wait for a place on the cluster."""
        for reference, step in self.running.items():
            if step.key not in self.started:
                self.ray.cancel(reference)

    def _outcome(self, step: Step, reference: Any, stopping: bool) -> Outcome:
        """What came of a task."""
        errors = self.ray.exceptions
        try:
            outcome: Outcome = self.ray.get(reference)
        except errors.TaskCancelledError:
            return "stopped"
        except errors.RayTaskError as error:
            return failure_of(error.cause if isinstance(error.cause, Exception) else error, step.kind)
        except errors.RayError as error:
            return self._lost(step, error, stopping)
        except Exception as error:  # what came back can't be read
            return failure_of(error, step.kind)
        if stopping and isinstance(outcome, Failure) and outcome.error == KeyboardInterrupt.__name__:
            return "stopped"  # Ray has taken it back as it began
        return outcome

    def _lost(self, step: Step, error: Exception, stopping: bool) -> Outcome:
        """A node or a worker is gone: the step is tried again, as often as is declared.

        As one that is busy: a moment later, and with a new lock. A worker that is alive after all, on a node
        that was only cut off, finds that out and ends (:mod:`warmup_bench.execution.executors.on_node`).
        """
        reason = type(error).__name__
        if stopping:
            return "stopped"
        self.losses[step.key] += 1
        count, most = self.losses[step.key], self.spec.retries
        if count > most:
            message = f"its node or worker was lost {count} times ({reason}; out of memory?)"
            return Failure(step.kind, "Lost", message)
        _log.warning("%s: its node or worker was lost (%s); retry %d of %d", step.key, reason, count, most)
        return "busy"


def _import_ray() -> Any:
    """The package.

    Raises:
        UserError: It is not installed.
    """
    if find_spec("ray") is None:
        raise UserError("package ray is not installed", origin="--executor ray", hint=INSTALL)
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "error")  # its warnings would stand in the display
    import ray
    import ray.util.scheduling_strategies

    return ray


def _connect(ray: Any, address: str | None) -> None:
    """Connect to a cluster, or start one on this machine where none was named and none runs.

    Raises:
        UserError: It can't be reached, or is one of another version.
    """
    named = address or os.environ.get("RAY_ADDRESS")
    if named:
        _reach(named)
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    main = threading.current_thread() is threading.main_thread()
    before = signal.getsignal(signal.SIGTERM) if main else None
    try:
        try:
            with environment(**{TRIES: os.environ.get(TRIES, "2")}):
                ray.init(address=named or "auto", **quiet)
        except ConnectionError:
            if named:
                raise
            ray.init(include_dashboard=False, object_store_memory=STORE, **quiet)
        _quiet()
    except Exception as error:  # Ray raises errors of many kinds, e.g. RuntimeError for another version
        reason = " ".join(str(error).split())[:400] or type(error).__name__
        raise UserError(
            f"can't connect to the Ray cluster{f' at {named}' if named else ''}: {reason}",
            origin="--address" if address else "--executor ray",
            hint="Start one with 'ray start --head', and give the address that it prints.",
        ) from error
    finally:
        if before is not None:
            signal.signal(signal.SIGTERM, before)  # Ray has put its own in place


def _quiet() -> None:
    """Keep the last lines of a lost node's log off the screen: Ray prints them whatever it is told.

    That a node was lost is told by this module.
    """
    worker = sys.modules.get("ray._private.worker")
    if hasattr(worker, "print_to_stdstream"):
        worker.print_to_stdstream = lambda data, ignore_prefix: None  # type: ignore[union-attr]


def _reach(address: str) -> None:
    """See that somebody listens there: Ray itself tries for minutes.

    Raises:
        UserError: Nobody does.
    """
    if address == "auto":
        return
    name, _, port = address.rpartition("://")[2].rpartition(":")
    try:
        with socket.create_connection((name.strip("[]"), int(port)), timeout=10):
            pass
    except (OSError, ValueError, OverflowError) as error:
        raise UserError(
            f"nothing answers at {address}: {error}",
            origin="--address",
            hint="Give HOST:PORT as 'ray start --head' prints it (the port is 6379 by default).",
        ) from error


def _on(ray: Any, node: str, *, soft: bool) -> Any:
    """What makes Ray run something on a node, or (``soft``) on another one where that can't."""
    return ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy(node, soft=soft)


def _nodes(ray: Any) -> list[Node]:
    return [
        Node(node["NodeID"], node["NodeManagerHostname"], node["Resources"])
        for node in ray.nodes()
        if node["Alive"]
    ]


@contextmanager
def _probe(out: Path | None) -> Iterator[Path]:
    """A file in the results folder, by which a node tells that it shares the folder."""
    path = (out or Path()).absolute() / "locks" / f"{uuid.uuid4().hex}.probe"
    make_folder(path.parent)
    write_file(path, "")
    try:
        yield path
    finally:
        path.unlink(missing_ok=True)
        with suppress(OSError):
            path.parent.rmdir()


def _require_same(ray: Any, nodes: Sequence[Node], variables: dict[str, str], probe: Path) -> None:
    """See that nodes share the results folder and have this machine's versions.

    Raises:
        UserError: One does not see ``probe``, has other versions, lacks this package, or does not answer.
    """
    here = versions()
    ask = ray.remote(num_cpus=0, max_retries=0, runtime_env={"env_vars": variables})(tell_versions)
    answers = [ask.options(scheduling_strategy=_on(ray, node.id, soft=False)).remote(probe) for node in nodes]
    deadline = time.monotonic() + PATIENCE
    for node, reference in zip(nodes, answers, strict=True):
        try:
            there, shares = ray.get(reference, timeout=max(0.0, deadline - time.monotonic()))
        except ray.exceptions.RayError as error:
            cause = getattr(error, "cause", None) or error
            *_, last = "", *str(cause).strip().splitlines()
            raise UserError(
                f"node {node.host} can't run warmup-bench: {type(cause).__name__}: {last[:300]}",
                origin="--executor ray",
                hint="Install the same versions on every node.",
            ) from error
        require_same_versions(here, there, node.host)
        if not shares:
            raise UserError(
                f"node {node.host} does not see the results folder {probe.parents[1]}",
                origin="--out",
                hint="Give a folder that every node shares at the same path, or run a shard on each machine "
                "(--cells i/N) and merge their folders.",
            )
