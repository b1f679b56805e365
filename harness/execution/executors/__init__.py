"""Ways to run the jobs of a plan. Each takes the same jobs and reports the same events."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal


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
