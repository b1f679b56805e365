"""Forest plot: every difference of a table with its interval."""

from typing import TYPE_CHECKING

from warmup_bench.report.plots.style import PANEL, panels, quiet_grid, title
from warmup_bench.report.table import MeanScore, Missing, Table, gain_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Entry = tuple[str, MeanScore | Missing]
BETTER, NEUTRAL, WORSE = "#0072B2", "#595959", "#D55E00"
MOST_ACROSS = 3


def forest_figure(table: Table) -> "Figure | None":
    """Differences against the baseline with their intervals; None where none was tested.

    Filled: shown for other seeds too; coloured: for these models; a vertical line stands at no difference.
    Directions share an axis, and methods have a panel each, unless there are more methods than directions;
    metrics never share one.
    """
    contents = _panels(table)
    if not contents:
        return None
    across = min(MOST_ACROSS, len(contents))
    down = -(-len(contents) // across)
    longest = max(len(label) for _, _, entries in contents for label, _ in entries)
    lines = max(len(entries) for _, _, entries in contents)
    figure, grid = panels(
        down,
        across,
        width=PANEL[0] * 0.75 + 0.06 * longest,
        height=max(1.2, 0.24 * lines + 0.75),
        sharex=len({unit for _, unit, _ in contents}) == 1,
    )
    flat = [axes for row in grid for axes in row]
    for number, (axes, (name, unit, entries)) in enumerate(zip(flat, contents, strict=False)):
        _draw(axes, entries)
        if number % across:  # the panels of a row have the same lines
            axes.set_yticklabels([])
        axes.set_title(name)
        axes.tick_params(axis="x", labelbottom=True)
        axes.set_xlabel(f"Δ {unit} against {table.baseline}")
    for axes in flat[len(contents) :]:
        axes.set_visible(False)
    title(
        figure,
        f"{table.title} (scale {table.scale}): difference and {table.confidence:.0%} interval; "
        "colour: shown for these models, filled: for other seeds too",
    )
    return figure


def _panels(table: Table) -> list[tuple[str, str, list[Entry]]]:
    """(title, unit, entries from top to bottom) of every panel."""
    rows = [(name, row) for name, row in table.others if any(map(gain_of, row.cells.values()))]
    if not rows:
        return []
    by_subset = table.columns[0].key != table.columns[0].metric
    if by_subset and len(rows) <= len(table.columns):
        unit = table.columns[0].metric_name
        return [(name, unit, [(c.name, row.cells[c.key]) for c in table.columns]) for name, row in rows]
    return [
        (column.name, column.metric_name, [(name, row.cells[column.key]) for name, row in rows])
        for column in table.columns
    ]


def _draw(axes: "Axes", entries: list[Entry]) -> None:
    axes.axvline(0, color="black", linewidth=0.8)
    for i, (label, cell) in enumerate(entries):
        y = len(entries) - 1 - i
        if (gain := gain_of(cell)) is None:
            reason = "missing" if isinstance(cell, Missing) else "not compared"
            axes.annotate(reason, (0, y), xytext=(4, 0), textcoords="offset points", va="center", color="0.4")
            continue
        colour = NEUTRAL if gain.finding.reach == "nobody" else BETTER if gain.better else WORSE
        c = gain.comparison
        ends = [c.difference if end is None else end for end in (c.low, c.high)]
        axes.plot(ends, [y, y], color=colour, linewidth=1.6, solid_capstyle="butt")
        axes.plot(
            [c.difference],
            [y],
            marker="D" if label == "average" else "o",
            markersize=5.5,
            color=colour,
            markerfacecolor=colour if gain.finding.reach == "other seeds" else "white",
            linestyle="none",
        )
    axes.set_yticks(range(len(entries)), [label for label, _ in reversed(entries)])
    axes.set_ylim(-0.6, len(entries) - 0.4)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    quiet_grid(axes, "x")
