"""Which step may run next, and what came of those that ran: the bookkeeping that every executor shares."""

import time
from collections import defaultdict, deque
from collections.abc import Sequence
from heapq import heappop, heappush
from typing import Literal

from warmup_bench.plan.jobs import Step
from warmup_bench.store.failures import Failure, write_failure
from warmup_bench.store.folders import CorruptError

Outcome = Literal["done", "busy", "stopped"] | Failure
"""``busy``: another process holds the step's lock; ``stopped``: the user asked, it is checkpointed."""
POLL = 0.5
"""Seconds until a step that was busy is tried again."""


class Board:
    """The steps of a run. A failure stops only what depends on it.

    Every operation costs about the logarithm of the number of steps: a plan may have tens of thousands.
    """

    def __init__(self, steps: Sequence[Step]) -> None:
        """``steps`` in the order in which they should start where several can."""
        self.waiting = {step.key: step for step in steps}
        self.running: dict[str, Step] = {}
        self.failures: dict[str, Failure] = {}
        self._places = {key: place for place, key in enumerate(self.waiting)}
        self._last = len(self._places)
        self._dependents: dict[str, list[str]] = defaultdict(list)
        self._ready: list[tuple[int, str]] = []
        self._later: deque[tuple[float, str]] = deque()  # not before a time; the earliest first
        for step in self.waiting.values():
            if step.needs in self.waiting:
                self._dependents[step.needs].append(step.key)
            else:
                self._make_ready(step.key)

    @property
    def open(self) -> bool:
        """Whether anything is left to run or running."""
        return bool(self.waiting or self.running)

    def start(self) -> Step | None:
        """Take the first step that can run now; None where all wait for another one or another process."""
        now = time.monotonic()
        while self._later and self._later[0][0] <= now:
            self._make_ready(self._later.popleft()[1])
        if not self._ready:
            return None
        _, key = heappop(self._ready)
        self.running[key] = self.waiting.pop(key)
        return self.running[key]

    def settle(self, step: Step, outcome: Outcome) -> None:
        """Note what came of a step that was running."""
        del self.running[step.key]
        if outcome in ("busy", "stopped"):
            self.waiting[step.key] = step
            self._last += 1
            self._places[step.key] = self._last  # others go first
            if outcome == "busy":
                self._later.append((time.monotonic() + POLL, step.key))
            else:
                self._make_ready(step.key)
        elif isinstance(outcome, Failure):
            self._fail(step, outcome)
        else:
            for key in self._dependents.pop(step.key, ()):
                self._make_ready(key)

    def _make_ready(self, key: str) -> None:
        heappush(self._ready, (self._places[key], key))

    def _fail(self, step: Step, failure: Failure) -> None:
        """A step, and all that depends on it."""
        failed = [(step, failure)]
        while failed:
            step, failure = failed.pop()
            self.failures[step.key] = failure
            if step.kind == "cell" and not _is_finished(step):
                write_failure(step.job.folder, failure, step.job.cell)
            for key in self._dependents.pop(step.key, ()):
                failed.append((self.waiting.pop(key), failure.inherited()))


def _is_finished(step: Step) -> bool:
    """Whether another process has finished a cell in the meantime."""
    try:
        return step.job.is_finished()
    except CorruptError:
        return False
