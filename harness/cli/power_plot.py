"""Curves of a power analysis."""

import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.cli.power_view import seed_count
from harness.errors import UserError
from harness.stats.power import Plan

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from harness.cli.power import Study
    from harness.stats.claims import Finding

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
"""Okabe and Ito's palette, which colour-blind readers can tell apart."""

DASHES = ("solid", (0, (5, 2)), (0, (1, 1)), (0, (5, 1, 1, 1)))


def plot_study(study: "Study", path: Path) -> None:
    """Draw power against test examples, a line a number of seeds; dashed for other seeds.

    Without an effect, the smallest detectable gain is drawn instead.
    """
    figure, axes = _figure(1, 1, (8.0, 4.2))
    axis = axes[0]
    planned = study.designs[0].examples
    plan = Plan(study.variances, study.effect or 0.0, study.level, study.wanted)
    needed = max((d.examples_needed_seeds or d.examples_needed or 0 for d in study.designs), default=0)
    xs = _sizes(planned, max(30 * planned, min(3 * needed, 1000 * planned)))
    for number, design in enumerate(study.designs):
        for other, dash in ((False, "solid"), (True, (0, (4, 2)))):
            if not other and not study.variances.residual and number:
                continue  # the same line as the first
            draw = plan.smallest_effect if study.effect is None else plan.power
            drawn = [draw(n, design.seeds, other_seeds=other) for n in xs]
            ys = [math.nan if value is None else value for value in drawn]  # a gap in the line
            if all(map(math.isnan, ys)):
                continue
            runs = seed_count(design.seeds) if other or study.variances.residual else "any number of seeds"
            label = f"{runs}, {'other seeds' if other else 'these models'}"
            axis.plot(xs, ys, color=COLOURS[number % len(COLOURS)], linestyle=dash, label=label)
    if study.effect is None:
        axis.set_yscale("log")
        axis.set_ylabel(f"smallest gain found with {study.wanted:.0%} ({study.metric} points)")
    else:
        _power_axis(axis, study.wanted)
        axis.set_title(f"Chance to find a gain of {study.effect:g} {study.metric} (level {study.level:.3g})")
    _size_axis(axis, planned)
    axis.legend(fontsize=8, frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))
    _save(figure, path)


def plot_findings(findings: "Sequence[Finding]", level: float, path: Path) -> None:
    """Draw a panel a claim: power against test examples, a band a metric between both guesses."""
    names = list(dict.fromkeys(f.claim.name for f in findings))
    figure, axes = _figure((len(names) + 1) // 2, 2, (12, 7))
    for axis, name in zip(axes, names, strict=False):
        ours = [f for f in findings if f.claim.name == name and f.cells == 1]
        planned = ours[0].assumption.examples
        xs = _sizes(planned, 30 * planned)
        for number, f in enumerate(ours):
            bounds = [
                [Plan(v, f.claim.gain, level).power(n, 1, other_seeds=False) or 0.0 for n in xs]
                for v in (f.assumption.high, f.assumption.low)
            ]
            colour = COLOURS[number % len(COLOURS)]
            axis.fill_between(xs, bounds[0], bounds[1], color=colour, alpha=0.25, linewidth=0)
            label = f"{f.claim.metric} +{f.claim.gain:g}"
            for ys, text in zip(bounds, (None, label), strict=True):
                axis.plot(xs, ys, color=colour, linestyle=DASHES[number % len(DASHES)], label=text)
        _power_axis(axis, 0.8)
        _size_axis(axis, planned)
        axis.set_title(f"{name} ({ours[0].claim.backbone})")
        axis.legend(fontsize=8, frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))
    for axis in axes[len(names) :]:
        axis.set_visible(False)
    figure.suptitle(
        f"Chance to find the paper's gains in one run of one test set, level {level:.3g}\n"
        "bands: between our low and our high guess of the spread of paired differences",
        fontsize=11,
    )
    _save(figure, path)


def _figure(rows: int, columns: int, size: tuple[float, float]) -> "tuple[Any, list[Axes]]":
    from matplotlib.figure import Figure

    figure = Figure(figsize=size, layout="constrained")
    return figure, list(figure.subplots(rows, columns, squeeze=False).ravel())


def _sizes(planned: int, most: float) -> list[int]:
    """Test sizes around the planned one, even on a logarithmic axis."""
    low = max(20.0, planned / 30)
    return [round(low * (most / low) ** (i / 60)) for i in range(61)]


def _power_axis(axis: "Axes", wanted: float) -> None:
    axis.axhline(wanted, color="0.5", linewidth=0.8, linestyle=":")
    axis.set_ylim(0, 1.02)
    axis.set_ylabel("power (chance to find the gain)")


def _size_axis(axis: "Axes", planned: int) -> None:
    axis.set_xscale("log")
    axis.axvline(planned, color="0.3", linewidth=0.8)
    axis.annotate(
        f"{planned:,} examples",
        (planned, 0.02),
        xycoords=("data", "axes fraction"),
        fontsize=8,
        xytext=(3, 0),
        textcoords="offset points",
    )
    axis.set_xlabel("test examples")


def _save(figure: Any, path: Path) -> None:
    """Write the picture whole or not at all."""
    temporary = path.with_name(f".{path.stem}.{os.getpid()}{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(temporary, dpi=150)
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise UserError(f"can't write {path}: {error.strerror or error}", origin="--plot") from error
