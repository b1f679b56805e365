"""How pictures look: colours that colour-blind people and a grey print tell apart, sizes, labels."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00")
"""Okabe and Ito (2008), without black, which is the baseline's, and yellow, which is too light on white."""
MARKERS = ("s", "^", "D", "v", "P", "X", "<", ">", "p", "h", "*")
DASHES: tuple[Any, ...] = ("-", (0, (5, 1.5)), (0, (1, 1)), (0, (5, 1, 1, 1)))
PANEL = (3.3, 2.5)
"""Width and height of one panel in inches: two beside each other fill a text column of A4 or Letter."""

LOOK: Any = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 8.5,
    "axes.titlesize": 9,
    "axes.labelsize": 8.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": False,
    "legend.frameon": False,
    "legend.fontsize": 8,
    "savefig.dpi": 200,
    "savefig.facecolor": "white",
    "text.parse_math": False,  # a dollar sign in a name is a dollar sign
    "svg.hashsalt": "warmup-bench",
}


@contextmanager
def look() -> Iterator[None]:
    """Draw and save with this module's settings; matplotlib's own are as before afterwards."""
    import matplotlib

    with matplotlib.rc_context(LOOK):
        yield


@dataclass(frozen=True, slots=True)
class Mark:
    """How one method is drawn, the same in every picture of a report."""

    colour: str
    marker: str
    dashes: Any


def marks(methods: Sequence[str], baseline: str = "") -> dict[str, Mark]:
    """A mark for every method, in their order; the baseline's is black.

    Colour, marker and dashes change together, so that none of them is needed to tell two methods apart.
    """
    given = {}
    others = [method for method in dict.fromkeys(methods) if method != baseline]
    for i, method in enumerate(others):
        dashes = DASHES[(i + i // len(COLOURS)) % len(DASHES)]
        given[method] = Mark(COLOURS[i % len(COLOURS)], MARKERS[i % len(MARKERS)], dashes)
    if baseline in methods:
        given[baseline] = Mark("black", "o", "-")
    return given


def panels(
    rows: int, columns: int, *, width: float = PANEL[0], height: float = PANEL[1], **kwargs: Any
) -> "tuple[Figure, list[list[Axes]]]":
    """A figure with a grid of panels; margins are found when it is saved."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width * columns, height * rows), layout="constrained")
    return figure, figure.subplots(rows, columns, squeeze=False, **kwargs).tolist()


def legend(figure: "Figure", axes: "Axes", columns: int = 4) -> None:
    """One legend for all panels, under them."""
    handles, labels = axes.get_legend_handles_labels()
    if labels:
        figure.legend(handles, labels, loc="outside lower center", ncols=min(columns, len(labels)))


def quiet_grid(axes: "Axes", axis: Any = "both") -> None:
    """Thin grid lines behind the data."""
    axes.grid(visible=True, axis=axis, color="0.88", linewidth=0.6)
    axes.set_axisbelow(True)
