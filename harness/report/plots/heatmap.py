"""Heat map of the differences over directions."""

from typing import TYPE_CHECKING, Any

import numpy as np

from warmup_bench.report.plots.style import panels, title
from warmup_bench.report.table import Missing, Table, gain_of

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
    rows = table.others
    gains = [[gain_of(row.cells[column.key]) for column in table.columns] for _, row in rows]
    values = np.array(
        [[np.nan if gain is None else gain.comparison.difference for gain in line] for line in gains]
    )
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
            if gain := gains[i][j]:
                text = f"{gain.comparison.difference:+.2f}"
                colour = "white" if abs(values[i, j]) > DARK * largest else "black"
                look: dict[str, Any] = {
                    "weight": "bold" if gain.finding.reach == "other seeds" else "normal",
                    "color": colour,
                }
            else:
                text = "missing" if isinstance(row.cells[column.key], Missing) else "not\ncompared"
                look = {"fontsize": 7, "color": "0.35"}
            axes.text(j, i, text, ha="center", va="center", **look)
    axes.set_xticks(range(len(table.columns)), [column.name for column in table.columns])
    axes.set_yticks(range(len(rows)), [name for name, _ in rows])
    axes.tick_params(length=0)
    axes.axvline(len(table.columns) - 1.5, color="black", linewidth=1.2)
    for spine in axes.spines.values():
        spine.set_visible(False)
    unit = table.columns[0].metric_name
    bar = figure.colorbar(image, ax=axes, pad=0.02)
    bar.set_label(f"Δ {unit} against {table.baseline}" + ("" if sign > 0 else ", sign turned"))
    title(figure, f"{table.title} (scale {table.scale}): difference; bold: shown for other seeds too")
    return figure
