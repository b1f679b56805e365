"""Quality against what it cost: the score of every method over its training FLOPs and seconds."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from harness.report.plots.style import legend, marks, panels, quiet_grid
from harness.report.table import Cost, Score, Table

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

AXES: tuple[tuple[str, Callable[[Cost], float]], ...] = (
    ("training FLOPs", lambda cost: cost.train_flops),
    ("training time (s)", lambda cost: cost.train_seconds),
)
WIDE = 20.0
"""Ratio of the largest to the smallest cost from which the axis is logarithmic."""


def cost_figure(table: Table) -> "Figure | None":
    """One row of two panels a metric (the average over directions where there is one); None without scores.

    A marker is a method's mean, its bar the standard deviation over seeds, a dot one seed.
    """
    shown = [column for column in table.columns if column.subset is None] or list(table.columns)
    points = [(group, row) for group in table.groups for row in group.rows if row.cost is not None]
    if not any(isinstance(row.cells[column.key], Score) for _, row in points for column in shown):
        return None
    several = len(table.groups) > 1
    names = [f"{group.name} {row.method}" if several else row.method for group, row in points]
    mark = marks(names, table.baseline)
    figure, grid = panels(len(shown), len(AXES))
    for line, column in zip(grid, shown, strict=True):
        for axes, (label, read) in zip(line, AXES, strict=True):
            costs = [read(row.cost) for _, row in points if row.cost is not None]
            for name, (_, row) in zip(names, points, strict=True):
                cell = row.cells[column.key]
                if isinstance(cell, Score) and row.cost is not None:
                    _point(axes, read(row.cost), cell, mark[name], name)
            if min(costs) > 0 and max(costs) / min(costs) > WIDE:
                axes.set_xscale("log")
            else:
                axes.set_xlim(left=0)
            axes.set_xlabel(label)
            what = "average " if column.subset is None else ""
            axes.set_ylabel(f"{what}{column.metric_name}")
            quiet_grid(axes)
    figure.suptitle(
        f"{table.title} (scale {table.scale}): score ± standard deviation over seeds, against cost",
        fontsize=9,
    )
    legend(figure, grid[0][0])
    return figure


def _point(axes: "Axes", x: float, cell: Score, mark: Any, name: str) -> None:
    axes.errorbar(
        [x],
        [cell.mean],
        yerr=[cell.spread or 0.0],
        marker=mark.marker,
        markersize=6.5,
        color=mark.colour,
        linestyle="none",
        capsize=2.5,
        label=name,
    )
    if len(cell.values) > 1:
        axes.plot([x] * len(cell.values), cell.values, ".", color=mark.colour, markersize=3.5, alpha=0.7)
