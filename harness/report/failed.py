"""Cells that failed, for whoever reads a report: which they are, where each stopped, and why."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from warmup_bench.report.numbers import counted
from warmup_bench.spec.cell import Cell
from warmup_bench.store.failures import Failure, read_failures
from warmup_bench.store.folders import CorruptError
from warmup_bench.store.results import read_cell

READING = "reading"
"""The stage of a cell that is damaged."""


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


def damaged_cells(out: Path, damaged: Mapping[str, CorruptError]) -> list[Failed]:
    """The cells of a results folder that are damaged, by name."""
    return [_damaged(out / "cells" / name, error) for name, error in damaged.items()]


def _damaged(folder: Path, error: CorruptError) -> Failed:
    try:
        cell = read_cell(folder)
    except CorruptError:
        cell = None
    return _known(folder.name, READING, " ".join(str(error).split()), cell)


def _failed(name: str, failure: Failure) -> Failed:
    try:
        cell = Cell.model_validate(failure.cell) if failure.cell else None
    except (ValidationError, RecursionError):  # of another version; its folder still has a name
        cell = None
    return _known(name, failure.stage, failure.line, cell)


def _known(name: str, stage: str, reason: str, cell: Cell | None) -> Failed:
    what = name if cell is None else f"{cell.label}, {cell.backbone}, {cell.subset}, seed {cell.seed}"
    return Failed(name, what, stage, reason, cell)


def heading(failed: Sequence[Failed]) -> str:
    """What stands over the lines."""
    damaged = sum(one.stage == READING for one in failed)
    tried, parts = len(failed) - damaged, []
    if tried:
        have = "has" if tried == 1 else "have"
        parts.append(f"{counted(tried, 'cell')} {have} failed; the command that made this folder tries again")
    if damaged:
        parts.append(f"{counted(damaged, 'cell')} {'is' if damaged == 1 else 'are'} damaged and left out")
    return "; ".join(parts)
