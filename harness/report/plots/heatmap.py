"""Heat map of the differences over directions."""

from typing import TYPE_CHECKING

import numpy as np

from warmup_bench.report.plots.style import panels, title
from warmup_bench.report.table import Gain, MeanScore, Missing, Table

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLOUR_MAP = "PuOr"
"""Diverging, told apart with every kind of colour blindness (ColorBrewer); orange is worse."""
DARK = 0.62
"""Share of the scale from which the text on a cell is white."""


def heatmap_figure(table: Table) -> "Figure | None":
    """Methods in rows, directions in columns, the difference as colour and number; bold survives Holm's
    correction. None without two directions or without a difference.
    """
    if table.columns[-1].subset is not None:
        return None
    rows = [
        (f"{group.name} {row.method}" if len(table.groups) > 1 else row.method, row)
        for group in table.groups
        for row in group.rows
        if not row.baseline
    ]
    values = np.full((len(rows), len(table.columns)), np.nan)
    for i, (_, row) in enumerate(rows):
        for j, column in enumerate(table.columns):
            cell = row.cells[column.key]
            if isinstance(cell, MeanScore) and isinstance(cell.gain, Gain):
                values[i, j] = cell.gain.comparison.difference
    if np.isnan(values).all():
        return None
    sign = 1.0 if table.columns[0].higher_is_better else -1.0
    largest = float(np.nanmax(np.abs(values))) or 1.0
    longest = max(len(name) for name, _ in rows)
    figure, [[axes]] = panels(
        1, 1, width=1.6 + 0.065 * longest + 0.72 * len(table.columns), height=1.25 + 0.36 * len(rows)
    )
    axes.set_facecolor("0.93")
    image = axes.imshow(
        np.ma.masked_invalid(sign * values), cmap=COLOUR_MAP, vmin=-largest, vmax=largest, aspect="auto"
    )
    for i, (_, row) in enumerate(rows):
        for j, column in enumerate(table.columns):
            cell = row.cells[column.key]
            if isinstance(cell, MeanScore) and isinstance(cell.gain, Gain):
                difference = cell.gain.comparison.difference
                axes.text(
                    j,
                    i,
                    f"{difference:+.2f}",
                    ha="center",
                    va="center",
                    weight="bold" if cell.gain.significant else "normal",
                    color="white" if abs(difference) > DARK * largest else "black",
                )
            else:
                said = "missing" if isinstance(cell, Missing) else "not\ncompared"
                axes.text(j, i, said, ha="center", va="center", fontsize=7, color="0.35")
    axes.set_xticks(range(len(table.columns)), [column.name for column in table.columns])
    axes.set_yticks(range(len(rows)), [name for name, _ in rows])
    axes.tick_params(length=0)
    axes.axvline(len(table.columns) - 1.5, color="black", linewidth=1.2)
    for spine in axes.spines.values():
        spine.set_visible(False)
    unit = table.columns[0].metric_name
    bar = figure.colorbar(image, ax=axes, pad=0.02)
    bar.set_label(f"Δ {unit} against {table.baseline}" + ("" if sign > 0 else ", sign turned"))
    title(figure, f"{table.title} (scale {table.scale}): difference; bold survives Holm's correction")
    return figure
