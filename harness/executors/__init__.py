"""Ways to run the jobs of a plan. Each takes the same jobs and reports the same events."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from harness.stages import Job

Kind = Literal["warm start", "training", "cell"]


@dataclass(frozen=True, slots=True)
class Step:
    """One folder to make.

    Attributes:
        key: The folder's id.
        kind: What it is.
        job: The cell that it is made for.
        needs: Key of the step that must be done before; None: what it needs is stored.
    """

    key: str
    kind: Kind
    job: Job
    needs: str | None = None

    @property
    def lock(self) -> Path:
        """The file that its process holds while it makes the folder."""
        return self.job.out / "locks" / f"{self.key.replace(' ', '-')}.lock"


@dataclass(frozen=True, slots=True)
class Event:
    """What happens to a step.

    Attributes:
        job: The step's key.
        kind: "started", "progress", "done" or "failed".
        stage: "warm start", "training", "decode" or "score".
        done, total: Progress within the stage.
        figures: Latest figures, e.g. loss and effective sample size.
        message: Reason of a failure.
    """

    job: str
    kind: Literal["started", "progress", "done", "failed"]
    stage: str = ""
    done: int = 0
    total: int = 0
    figures: dict[str, float] = field(default_factory=dict)
    message: str = ""


Listener = Callable[[Event], None]
