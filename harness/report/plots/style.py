"""How pictures look: colours that colour-blind people and a grey print tell apart, sizes, labels."""

import math
import os
import textwrap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from warmup_bench.report.numbers import SUPERSCRIPT

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
    """A mark for every method, by its place in the alphabet; the baseline's is black.

    Colour, marker and dashes change together, so that none of them is needed to tell two methods apart.
    """
    given = {baseline: Mark("black", "o", "-")} if baseline in methods else {}
    others = sorted(set(methods) - {baseline})
    for i, method in enumerate(others):
        dashes = DASHES[(i + i // len(COLOURS)) % len(DASHES)]
        given[method] = Mark(COLOURS[i % len(COLOURS)], MARKERS[i % len(MARKERS)], dashes)
    return given


def panels(
    rows: int, columns: int, *, width: float = PANEL[0], height: float = PANEL[1], **kwargs: Any
) -> "tuple[Figure, list[list[Axes]]]":
    """A figure with a grid of panels; margins are found when it is saved."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width * columns, height * rows), layout="constrained")
    return figure, figure.subplots(rows, columns, squeeze=False, **kwargs).tolist()


def title(figure: "Figure", text: str) -> None:
    """The title of a whole figure, broken into lines that fit its width; it takes no room from the panels."""
    size = 9.0
    letters = int(figure.get_figwidth() * 72 / (0.54 * size))
    lines = textwrap.wrap(text, letters)
    figure.suptitle("\n".join(lines), fontsize=size)
    figure.set_figheight(figure.get_figheight() + 0.19 * len(lines))


def cost_axis(axes: "Axes", label: str, largest: float, *, logarithmic: bool) -> None:
    """A horizontal axis of a cost from 0, large numbers as a power of ten in the label; or logarithmic."""
    from matplotlib.ticker import FuncFormatter, MaxNLocator, NullFormatter

    if logarithmic:
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: _power(x)))
        axes.xaxis.set_minor_formatter(NullFormatter())
    else:
        axes.set_xlim(left=0)
        axes.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=largest >= 6))
        exponent = math.floor(math.log10(largest)) if largest >= 1e5 else 0
        if exponent:
            axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x / 10**exponent:g}"))
            label = f"{label} (10{str(exponent).translate(SUPERSCRIPT)})"
    axes.set_xlabel(label)


def _power(value: float) -> str:
    return f"10{str(round(math.log10(value))).translate(SUPERSCRIPT)}"


def legend(figure: "Figure", axes: "Axes") -> None:
    """One legend for all panels, under them; it takes no room from them."""
    handles, labels = axes.get_legend_handles_labels()
    if labels:
        letters = figure.get_figwidth() * 72 / (0.56 * 8)
        fit = int(letters / (max(map(len, labels)) + 9))
        across = max(1, min(fit, len(labels)))
        figure.legend(handles, labels, loc="outside lower center", ncols=across)
        figure.set_figheight(figure.get_figheight() + 0.17 * -(-len(labels) // across) + 0.08)


def quiet_grid(axes: "Axes", axis: Any = "both") -> None:
    """Thin grid lines behind the data."""
    axes.grid(visible=True, axis=axis, color="0.88", linewidth=0.6)
    axes.set_axisbelow(True)


def save(figure: "Figure", path: Path) -> None:
    """Write a picture whole or not at all, in the format of its ending; equal figures give equal SVG bytes.

    Raises:
        OSError: The place can't be written.
    """
    half = path.with_name(f".{path.stem}.{os.getpid()}{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with look():
            figure.savefig(half, metadata={"Date": None} if path.suffix == ".svg" else {})
        half.replace(path)
    finally:
        half.unlink(missing_ok=True)
