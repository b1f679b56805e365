"""Which step may run next, and what came of those that ran: the bookkeeping that every executor shares."""

import time
from collections.abc import Sequence
from typing import Literal

from harness.executors import Step
from harness.failures import Failure, write_failure

Outcome = Literal["done", "busy", "stopped"] | Failure
"""``busy``: another process holds the step's lock; ``stopped``: the user asked, it is checkpointed."""
POLL = 0.5
"""Seconds until a step that was busy is tried again."""


class Board:
    """The steps of a run. A failure stops only what depends on it."""

    def __init__(self, steps: Sequence[Step]) -> None:
        """``steps`` in the order in which they should start where several can."""
        self.waiting = {step.key: step for step in steps}
        self.running: dict[str, Step] = {}
        self.failures: dict[str, Failure] = {}
        self._not_before: dict[str, float] = {}

    @property
    def open(self) -> bool:
        """Whether anything is left to run or running."""
        return bool(self.waiting or self.running)

    def start(self) -> Step | None:
        """Take the first step that can run now; None where all wait for another one or another process."""
        now = time.monotonic()
        for step in list(self.waiting.values()):
            if step.needs in self.failures:
                self._fail(step, self.failures[step.needs].inherited())
                del self.waiting[step.key]
            elif (
                step.needs not in self.waiting
                and step.needs not in self.running
                and self._not_before.get(step.key, now) <= now
            ):
                self.running[step.key] = self.waiting.pop(step.key)
                return step
        return None

    def settle(self, step: Step, outcome: Outcome) -> None:
        """Note what came of a step that was running."""
        del self.running[step.key]
        if isinstance(outcome, Failure):
            self._fail(step, outcome)
        elif outcome == "busy":
            self._not_before[step.key] = time.monotonic() + POLL
            self.waiting[step.key] = step  # at the end: others go first
        elif outcome == "stopped":
            self.waiting[step.key] = step

    def _fail(self, step: Step, failure: Failure) -> None:
        self.failures[step.key] = failure
        if step.kind == "cell":
            write_failure(step.job.folder, failure)
