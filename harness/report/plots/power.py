"""Curves of a power analysis."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from warmup_bench.comparison.claims import Assessment, claim_model
from warmup_bench.comparison.design import PowerAnalysis
from warmup_bench.contracts.errors import UserError
from warmup_bench.report.plots.style import COLOURS, DASHES, panels, save
from warmup_bench.report.power import level_text, seed_count

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def plot_analysis(analysis: PowerAnalysis, path: Path) -> None:
    """Draw power against test examples, a line a number of seeds; dashed for other seeds.

    Without an effect, the smallest detectable gain is drawn instead.
    """
    figure, [[axis]] = panels(1, 1, width=8.0, height=4.2)
    planned = analysis.designs[0].examples
    plan = analysis.model
    needed = max((d.examples_needed_seeds or d.examples_needed or 0 for d in analysis.designs), default=0)
    xs = _sizes(planned, max(30 * planned, min(3 * needed, 1000 * planned)))
    for number, design in enumerate(analysis.designs):
        for other, dash in ((False, "solid"), (True, (0, (4, 2)))):
            if not other and not analysis.variances.residual and number:
                continue  # the same line as the first
            draw = plan.smallest_effect if analysis.effect is None else plan.power
            drawn = [draw(n, design.seeds, other_seeds=other) for n in xs]
            ys = [math.nan if value is None else value for value in drawn]  # a gap in the line
            if all(map(math.isnan, ys)):
                continue
            runs = seed_count(design.seeds) if other or analysis.variances.residual else "any number of seeds"
            label = f"{runs}, {'other seeds' if other else 'these models'}"
            axis.plot(xs, ys, color=COLOURS[number % len(COLOURS)], linestyle=dash, label=label)
    if analysis.effect is None:
        axis.set_yscale("log")
        axis.set_ylabel(f"smallest gain found with {analysis.wanted:.0%} ({analysis.metric} points)")
    else:
        _power_axis(axis, analysis.wanted)
        level = level_text(analysis.level, analysis.comparisons)
        axis.set_title(f"Chance to find a gain of {analysis.effect:g} {analysis.metric} ({level})")
    _size_axis(axis, planned)
    _save(figure, path)


def plot_claims(
    assessments: Sequence[Assessment], path: Path, level: float = 0.05, comparisons: int = 1
) -> None:
    """Draw a panel a claim: power against test examples, a band a metric between both guesses."""
    names = list(dict.fromkeys(f.claim.name for f in assessments))
    rows = (len(names) + 1) // 2
    figure, grid = panels(rows, 2, width=6.0, height=7.0 / rows)
    axes = [axis for line in grid for axis in line]
    for axis, name in zip(axes, names, strict=False):
        ours = [f for f in assessments if f.claim.name == name and f.cells == 1]
        planned = ours[0].assumption.examples
        xs = _sizes(planned, 30 * planned)
        for number, f in enumerate(ours):
            bounds = [
                [
                    claim_model(f.claim, v, level, comparisons).power(n, 1, other_seeds=False) or 0.0
                    for n in xs
                ]
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
    for axis in axes[len(names) :]:
        axis.set_visible(False)
    figure.suptitle(
        f"Chance to find the paper's gains in one run of one test set, {level_text(level, comparisons)}\n"
        "bands: between our low and our high guess of the spread of paired differences",
        fontsize=11,
    )
    _save(figure, path)


def _sizes(planned: int, most: float) -> list[int]:
    """Test sizes around the planned one, even on a logarithmic axis."""
    low = max(20.0, planned / 30)
    return [round(low * (most / low) ** (i / 60)) for i in range(61)]


def _power_axis(axis: "Axes", wanted: float) -> None:
    axis.axhline(wanted, color="0.5", linewidth=0.8, linestyle=":")
    axis.set_ylim(0, 1.02)
    axis.set_ylabel("power (chance to find the gain)")


def _size_axis(axis: "Axes", planned: int) -> None:
    """Test examples below, the planned number marked, the legend beside."""
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
    axis.legend(fontsize=8, frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))


def _save(figure: Any, path: Path) -> None:
    try:
        save(figure, path)
    except OSError as error:
        raise UserError(f"can't write {path}: {error.strerror or error}", origin="--plot") from error
