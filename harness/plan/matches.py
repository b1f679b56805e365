"""Baselines that are given the operations of another method: whose, and under which name they are kept."""

from collections.abc import Iterable, Mapping

from warmup_bench.spec.cell import Cell

Coordinates = tuple[str, str, int, str]
"""Subset, backbone, seed and method."""


def matchable(cells: Iterable[Cell]) -> dict[Coordinates, Cell]:
    """The cells of a method's own budget; of several ways of decoding the first, which is the usual one."""
    first: dict[Coordinates, Cell] = {}
    for cell in cells:
        if not cell.matched:
            first.setdefault((cell.subset, cell.backbone, cell.seed, cell.method), cell)
    return first


def with_matches(cells: Iterable[Cell]) -> tuple[Cell, ...]:
    """The cells, each matched one with the training whose operations it is given."""
    laid_out = tuple(cells)
    candidates = matchable(laid_out)
    return tuple(
        cell.model_copy(update={"matched_training": spent_by(cell, candidates).training_id})
        if cell.matched
        else cell
        for cell in laid_out
    )


def spent_by(cell: Cell, candidates: Mapping[Coordinates, Cell]) -> Cell:
    """The cell whose training tells what this one's spends: a matched one spends what the other does.

    Args:
        cell: The cell.
        candidates: :func:`matchable` of its plan.
    """
    return candidates[cell.subset, cell.backbone, cell.seed, cell.matched] if cell.matched else cell
