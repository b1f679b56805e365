"""Progress of a run: one line a running job on a terminal, or a plain line now and then in a log."""

import re
import time
from collections.abc import Mapping
from types import TracebackType

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from warmup_bench.execution.executors import Event

LOG_INTERVAL = 10.0
"""Seconds between two lines of one job where the output is not a terminal."""


class ProgressDisplay:
    """Listens to events and shows them; use it as a context manager."""

    def __init__(self, console: Console, jobs: int, notes: Mapping[str, str] | None = None) -> None:
        """``jobs`` is the number of steps to come; ``notes`` are what to say behind the keys of some."""
        self.console, self.jobs, self.finished, self.notes = console, jobs, 0, notes or {}
        self.last_line: dict[str, float] = {}
        self.bars: dict[str, TaskID] = {}
        self.progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=20),
            MofNCompleteColumn(),
            TextColumn("{task.fields[figures]}"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=console,
        )
        self.overall = self.progress.add_task("all steps", total=jobs, figures="")

    def __enter__(self) -> "ProgressDisplay":
        if self.console.is_terminal:
            self.progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.console.is_terminal:
            self.progress.stop()

    def __call__(self, event: Event) -> None:
        """Show one event."""
        if event.kind == "progress":
            self._show(event)
        elif event.kind in ("done", "failed"):
            self.finished += 1
            self.progress.update(self.overall, completed=self.finished)
            if event.job in self.bars:
                self.progress.remove_task(self.bars.pop(event.job))
            reason = f": {event.message.splitlines()[0]}" if event.message else ""
            name = f"{event.job}{self._note(event)}"
            self._print(f"{event.kind:6} {self.finished}/{self.jobs} {name}{reason}")

    def _show(self, event: Event) -> None:
        figures = _figures(event.figures)
        if self.console.is_terminal:
            label = f"{_short(event.job)}{self._note(event)} [cyan]{event.stage}[/]"
            if event.job not in self.bars:
                self.bars[event.job] = self.progress.add_task(label, total=event.total, figures=figures)
            bar = self.bars[event.job]
            if self.progress.tasks[self.progress.task_ids.index(bar)].description != label:
                self.progress.reset(bar, total=event.total)  # a new stage has its own clock
            self.progress.update(
                bar, description=label, completed=event.done, total=event.total, figures=figures
            )
            return
        now = time.monotonic()
        if now - self.last_line.get(event.job, 0.0) >= LOG_INTERVAL:
            self.last_line[event.job] = now
            name = f"{_short(event.job)}{self._note(event)}"
            self._print(f"{name} {event.stage} {event.done}/{event.total} {figures}")

    def _note(self, event: Event) -> str:
        return self.notes.get(event.job, "")

    def _print(self, line: str) -> None:
        self.console.print(line, highlight=False, markup=False)


def _short(key: str) -> str:
    """A step's key without its kind (the stage tells it) and its hash."""
    return re.sub("-[0-9a-f]{8}$", "", key.removeprefix("warm start ").removeprefix("training "))


def _figures(figures: dict[str, float]) -> str:
    parts = []
    if "loss" in figures:
        parts.append(f"loss {figures['loss']:.3f}")
    if figures.get("warmup_length"):
        parts.append(f"ESS {figures['ess']:.2f}")
    return " ".join(parts)
