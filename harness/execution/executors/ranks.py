"""One step by several processes, a rank each: started, watched, and ended together.

The process that runs the step holds its lock and computes nothing: it starts the ranks of this machine,
passes on what rank 0 reports, and when one fails or dies ends the others, which would wait for it for hours.
Under torchrun or accelerate launch every launched process does so for its own rank.
"""

import json
import signal
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from multiprocessing import connection, get_context
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from warmup_bench.execution.executors.rank import Part, Stage, Told, be_rank, children_threads
from warmup_bench.execution.executors.stopping import SIGNALS, Stop, deaf_children, listening
from warmup_bench.execution.stages import Report
from warmup_bench.plan.jobs import Step
from warmup_bench.store.failures import ElsewhereError, Failure
from warmup_bench.store.locks import Claim
from warmup_bench.train.launch import OVER, Launch, control, launched

POLL = 0.1
"""Seconds between two looks at what other machines say, and at a wish to stop."""
GRACE = 5.0
"""Seconds that ranks have to tell why they failed, after the first has, or to end after rank 0 is done."""


@dataclass(slots=True)
class _Member:
    """A rank of this machine: its process, the pipe on which it tells, and what came of it."""

    rank: int
    process: Any
    pipe: Any
    outcome: Told = None


@dataclass(slots=True)
class _Watch:
    """The failures of a step's ranks, in the order in which they became known.

    Attributes:
        size: How many ranks there are.
        failures: Rank and failure.
        since: When the first became known.
    """

    size: int
    failures: list[tuple[int, Failure]] = field(default_factory=list)
    since: float = float("inf")

    def note(self, rank: int, failure: Failure) -> None:
        self.failures.append((rank, failure))
        self.since = min(self.since, time.monotonic())

    def cause(self) -> Failure:
        """The failure that made the others, with the rank that it befell where that is not every one."""
        rank, failure = min(self.failures, key=lambda known: _patience(known[1]))
        same = any(other == 0 and known.message == failure.message for other, known in self.failures)
        if same or failure.error == "Killed":
            return failure
        return replace(failure, message=f"rank {rank} of {self.size}: {failure.message}")

    def decided(self) -> bool:
        """Whether nothing better explains the failures that others may tell."""
        return bool(self.failures) and time.monotonic() - self.since >= min(
            _patience(failure) for _, failure in self.failures
        )


def _patience(failure: Failure) -> float:
    """Seconds to wait for a better explanation: a death is the best, what a rank tells of itself the next."""
    if failure.error == "Killed":
        return 0.0
    lost = failure.error in ("Aborted", "DistBackendError", "DistNetworkError") or "gloo" in failure.message
    return GRACE if lost else GRACE / 5


def run_together(stage: Stage, step: Step, report: Report, ours: Claim | None = None) -> None:
    """Run a stage of a cell in as many processes as it has devices, this machine's or a launcher's.

    Args:
        stage: Run by every rank.
        step: The step that it makes.
        report: Called with what rank 0 reports; where it raises KeyboardInterrupt rank 0 is asked to stop.
        ours: The step's lock: once it is lost the ranks store nothing.

    Raises:
        KeyboardInterrupt: Rank 0 has stopped, its training checkpointed.
        ElsewhereError: A rank has failed or died; the others were ended.
    """
    import torch

    launch, threads = launched(), torch.get_num_threads()
    held = None if ours is None else Claim(ours.path, ours.token)
    if launch is None:
        with tempfile.TemporaryDirectory() as folder:
            part = Part(stage, step, f"file:{Path(folder) / 'store'}", "", threads, held)
            outcome = _supervise(part, range(step.job.devices), report, lambda: None)
    else:
        store = control(launch)
        number = store.add("steps", 1) - 1
        store.set(f"step/{number}", _to_json(step, threads))
        failed = f"failed/{number}"

        def elsewhere() -> Told:
            return Failure(**json.loads(store.get(failed))) if store.check([failed]) else None

        try:
            part = Part(stage, step, launch.address, f"exchange/{number}", threads, held)
            outcome = _supervise(part, [0], report, elsewhere, launch)
        finally:
            store.set(f"end/{number}", "")
    if isinstance(outcome, Failure):
        raise ElsewhereError(outcome)
    if outcome == "stopped":
        raise KeyboardInterrupt


def follow(launch: Launch, stages: "dict[Any, Stage]") -> int:
    """Be a rank that is not the first under a launcher: run its part of every step that rank 0 names.

    It is rank 0 who stops: this process goes on until told.

    Args:
        launch: This process's place.
        stages: By kind of step.

    Returns:
        The exit code, 0; whether cells have failed is for rank 0 to say.
    """
    store, number = control(launch), 0
    store.set(f"came/{launch.rank}", "")
    with listening(Stop()):
        while (text := _wait_for(store, f"step/{number}")) != OVER:
            (step, threads), end = _from_json(text), f"end/{number}"

            def ended(end: str = end) -> Told:
                return "done" if store.check([end]) else None

            part = Part(stages[step.kind], step, launch.address, f"exchange/{number}", threads)
            outcome = _supervise(part, [launch.rank], lambda *progress: None, ended, launch)
            if isinstance(outcome, Failure):
                store.set(f"failed/{number}", json.dumps(asdict(outcome)))
                _wait_for(store, end)
            number += 1
    store.set(f"left/{launch.rank}", "")
    return 0


def _wait_for(store: Any, key: str) -> str:
    while not store.check([key]):
        time.sleep(POLL)
    return str(store.get(key).decode())


def _to_json(step: Step, threads: int) -> str:
    """What a launched rank is told of a step; no pickle, which would run what anyone sends to the store."""
    return TypeAdapter(tuple[Step, int]).dump_json((step, threads)).decode()


def _from_json(text: str) -> tuple[Step, int]:
    return TypeAdapter(tuple[Step, int]).validate_json(text)


def _supervise(
    part: Part,
    ranks: Sequence[int],
    report: Report,
    elsewhere: Callable[[], Told],
    launch: Launch | None = None,
) -> Told:
    """Start ranks of a step here, and see them to their end.

    Args:
        part: What they run.
        ranks: Those that are started here.
        report: As :func:`run_together` has it.
        elsewhere: What is known of the ranks of other processes: a failure, or that all is over.
        launch: This process's place under a launcher.

    Returns:
        What came of rank 0, or of ``ranks`` where it is not among them; a failure if any has failed.
    """
    context = get_context("spawn")
    stop = context.Event()
    watch = _Watch(part.step.job.devices)
    members = []
    try:
        for rank in ranks:
            ours, theirs = context.Pipe(duplex=False)
            local = rank if launch is None else launch.local_rank
            process = context.Process(target=be_rank, args=(part, rank, local, theirs, stop), daemon=True)
            with children_threads(part.threads), deaf_children(SIGNALS):
                process.start()
            theirs.close()
            members.append(_Member(rank, process, ours))
        while True:
            open_ = [m for m in members if m.outcome is None]
            if open_:
                connection.wait([x for m in open_ for x in (m.pipe, m.process.sentinel)], timeout=POLL)
            else:
                time.sleep(POLL)
            for member in open_:
                dead = not member.process.is_alive()  # asked first: what it has told is then all in the pipe
                for message in _messages(member):
                    if isinstance(message, tuple):
                        try:
                            report(*message)
                        except KeyboardInterrupt:
                            stop.set()
                    else:
                        member.outcome = message
                if dead and member.outcome is None:
                    member.outcome = _death(member, part.step, watch.size)
                if isinstance(member.outcome, Failure):
                    watch.note(member.rank, member.outcome)
            first = members[0]
            if isinstance(first.outcome, str):
                return first.outcome
            if watch.decided() or len(watch.failures) == watch.size:
                return watch.cause()
            if (outcome := elsewhere()) is not None:
                return outcome
    finally:
        until = time.monotonic() + GRACE
        for member in members:
            if members[0].outcome == "done":
                member.process.join(max(0.0, until - time.monotonic()))
            member.process.kill()
            member.process.join()
            member.pipe.close()


def _messages(member: _Member) -> Iterator[Any]:
    try:
        while member.pipe.poll():
            yield member.pipe.recv()
    except (EOFError, OSError):
        return


def _death(member: _Member, step: Step, size: int) -> Failure:
    """The failure of a rank that has ended without a word."""
    member.process.join()
    code = member.process.exitcode
    how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
    # nccl ends its process so when another rank is gone: then it is not the cause.
    error = "Aborted" if code == -signal.SIGABRT else "Killed"
    return Failure(str(step.kind), error, f"rank {member.rank} of {size} {how} (out of memory?)")
