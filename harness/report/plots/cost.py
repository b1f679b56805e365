"""Quality against what it cost: the score of every method over its training FLOPs and seconds."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from warmup_bench.report.plots.style import Mark, cost_axis, legend, panels, quiet_grid, title
from warmup_bench.report.table import Cost, MeanScore, Table

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

AXES: tuple[tuple[str, Callable[[Cost], float]], ...] = (
    ("training FLOPs", lambda cost: cost.train_flops),
    ("training time (s)", lambda cost: cost.train_seconds),
)
WIDE = 20.0
"""Ratio of the largest to the smallest cost from which the axis is logarithmic."""


def cost_figure(table: Table, mark: Mapping[str, Mark]) -> "Figure | None":
    """One row of two panels a group and metric (the average over directions where there is one); None
    without scores.

    A marker is a method's mean, its bar the standard deviation over seeds, a dot one seed.
    """
    columns = [column for column in table.columns if column.subset is None] or list(table.columns)
    places = [
        (group, column, rows)
        for group in table.groups
        for column in columns
        if (rows := [row for row in group.rows if isinstance(row.cells[column.key], MeanScore) and row.cost])
    ]
    if not places:
        return None
    figure, grid = panels(len(places), len(AXES))
    for line, (group, column, rows) in zip(grid, places, strict=True):
        for axes, (label, read) in zip(line, AXES, strict=True):
            costs = [read(row.cost) for row in rows if row.cost is not None]
            for row, x in zip(rows, costs, strict=True):
                cell = row.cells[column.key]
                if isinstance(cell, MeanScore):
                    _point(axes, x, cell, mark[row.method], row.method)
            wide = min(costs) > 0 and max(costs) / min(costs) > WIDE
            cost_axis(axes, label, max(costs), logarithmic=wide)
            axes.set_ylabel(f"{'average ' if column.subset is None else ''}{column.metric_name}")
            if len(table.groups) > 1:
                axes.set_title(group.name)
            axes.margins(y=0.1)
            quiet_grid(axes)
    title(
        figure,
        f"{table.title} (scale {table.scale}): score against cost; bar: standard deviation, dots: seeds",
    )
    fullest = max((line[0] for line in grid), key=lambda axes: len(axes.containers))
    legend(figure, fullest)
    return figure


def _point(axes: "Axes", x: float, cell: MeanScore, mark: Mark, name: str) -> None:
    axes.errorbar(
        [x],
        [cell.mean],
        yerr=None if cell.spread is None else [cell.spread],
        marker=mark.marker,
        markersize=6.5,
        color=mark.colour,
        linestyle="none",
        capsize=2.5,
        label=name,
    )
    if len(cell.values) > 1:
        axes.plot([x] * len(cell.values), cell.values, ".", color=mark.colour, markersize=3.5, alpha=0.7)
