"""Cells that failed, for whoever reads a report: which they are, where each stopped, and why."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from warmup_bench.spec.cell import Cell
from warmup_bench.store.failures import Failure, read_failures


@dataclass(frozen=True, slots=True)
class Failed:
    """One line of a report.

    Attributes:
        name: Name of the cell's folder.
        what: Method, backbone, subset and seed; the name where nobody noted them.
        stage: Where it stopped.
        reason: Why, in one line.
        cell: The cell itself; None where nobody noted it.
    """

    name: str
    what: str
    stage: str
    reason: str
    cell: Cell | None = None

    @property
    def sentence(self) -> str:
        """All of it, in one line."""
        return " ".join(f"{self.what}: {self.stage} failed: {self.reason}".split())


def failed_cells(out: Path) -> list[Failed]:
    """The cells of a results folder that failed when they were last tried, by name."""
    return [_failed(name, failure) for name, failure in read_failures(out).items()]


def _failed(name: str, failure: Failure) -> Failed:
    try:
        cell = Cell.model_validate(failure.cell) if failure.cell else None
    except (ValidationError, RecursionError):  # of another version; its folder still has a name
        cell = None
    what = name if cell is None else f"{cell.label}, {cell.backbone}, {cell.subset}, seed {cell.seed}"
    return Failed(name, what, failure.stage, failure.line, cell)


def heading(failed: Sequence[Failed]) -> str:
    """What stands over the lines."""
    count = "1 cell has failed" if len(failed) == 1 else f"{len(failed)} cells have failed"
    return f"{count}; the command that made this folder tries again"
