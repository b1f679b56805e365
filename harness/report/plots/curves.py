"""Curves over training: validation loss, effective sample size and entropy of the warmups."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from warmup_bench.contracts.metric import FloatArray
from warmup_bench.report.plots.style import Mark, cost_axis, legend, panels, quiet_grid, title
from warmup_bench.report.sheets import Block, Sheet
from warmup_bench.store.results import Result

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

STEPS, FLOPS = "step", "flops"
MOST_BELOW = 4
"""Subsets whose panels stand below one another; with more, two stand side by side."""
LABELS = {STEPS: "optimiser steps", FLOPS: "training FLOPs"}


@dataclass(frozen=True, slots=True)
class Curve:
    """One figure of one training over its evaluations: steps, FLOPs spent by then, values."""

    step: FloatArray
    flops: FloatArray
    value: FloatArray


def curve(result: Result, figure: str) -> Curve | None:
    """What the evaluations of a training found of one figure; None where they do not have it.

    FLOPs are logged at other steps than the evaluations: those between are interpolated, from 0 at step 0.
    """
    lines = result.training_log()
    evaluations = [
        (line["step"], line["validation"][figure])
        for line in lines
        if line.get("validation", {}).get(figure) is not None
    ]
    spent = [(0, 0.0), *((line["step"], line["flops"]) for line in lines if "flops" in line)]
    if not evaluations:
        return None
    steps = np.array([step for step, _ in evaluations], dtype=np.float64)
    at, flops = np.array(spent, dtype=np.float64).T
    return Curve(steps, np.interp(steps, at, flops), np.array([value for _, value in evaluations]))


def learning_figure(sheet: Sheet, block: Block, mark: Mapping[str, Mark]) -> "Figure | None":
    """Validation loss over steps and over FLOPs, a pair of panels for each subset; None without a log."""
    return _figure(
        sheet,
        block,
        mark,
        [("loss", STEPS, "validation loss\n(nats a target token)"), ("loss", FLOPS, "")],
        "validation loss, marginal over the warmups",
    )


def sampler_figure(sheet: Sheet, block: Block, mark: Mapping[str, Mark]) -> "Figure | None":
    """Effective sample size and entropy of p(c|x) over training, of the methods that sample warmups; None
    without one.
    """
    return _figure(
        sheet,
        block,
        mark,
        [
            ("ess", STEPS, "effective sample size\n(warmups)"),
            ("entropy", STEPS, "entropy of p(c|x)\n(nats)"),
        ],
        "the sampled warmups on validation inputs",
        sampled=True,
    )


def _figure(
    sheet: Sheet,
    block: Block,
    mark: Mapping[str, Mark],
    kinds: Sequence[tuple[str, str, str]],
    what: str,
    *,
    sampled: bool = False,
) -> "Figure | None":
    places = []
    for subset in sheet.subsets:
        runs = {
            line.method: list(line.results[subset].values())
            for line in block.lines.values()
            if line.results.get(subset)
        }
        # One training that is decoded in several ways has one curve.
        kept = _once({m: r for m, r in runs.items() if not sampled or r[0].cell.warmup == "sampled"})
        if any(curve(result, kinds[0][0]) for results in kept.values() for result in results):
            places.append((subset, kept))
    if not places:
        return None
    drawn = {method for _, runs in places for method in runs}
    methods = [method for method in mark if method in drawn]
    beside = 2 if len(places) > MOST_BELOW else 1
    figure, grid = panels(-(-len(places) // beside), beside * len(kinds), height=2.25)
    flat = [axes for row in grid for axes in row]
    for number, (subset, runs) in enumerate(places):
        for axes, (name, over, label) in zip(flat[number * len(kinds) :], kinds, strict=False):
            for method in methods:
                curves = [c for r in runs.get(method, []) if (c := curve(r, name)) is not None]
                _line(axes, curves, over, mark[method], method)
            axes.set_title(f"{block.name} · {subset}")
            costs = [x for line in axes.get_lines() for x in np.asarray(line.get_xdata()).tolist()]
            cost_axis(axes, LABELS[over], max(costs, default=0.0), logarithmic=False)
            axes.set_ylabel(label)
            if name == "ess":
                axes.set_ylim(bottom=0)
            quiet_grid(axes)
    for axes in flat[len(places) * len(kinds) :]:
        axes.set_visible(False)
    title(figure, f"{sheet.task} (scale {sheet.scale}): {what}; line: mean, band: range of seeds")
    legend(figure, max(flat[:: len(kinds)], key=lambda axes: len(axes.get_lines())))
    return figure


def _once(runs: Mapping[str, Sequence[Result]]) -> dict[str, list[Result]]:
    seen: set[str] = set()
    kept: dict[str, list[Result]] = defaultdict(list)
    for method in sorted(runs, key=len):
        for result in runs[method]:
            if result.cell.training_id not in seen:
                seen.add(result.cell.training_id)
                kept[method].append(result)
    return dict(kept)


def _line(axes: "Axes", curves: Sequence[Curve], over: str, mark: Mark, name: str) -> None:
    """Mean and range over seeds at the evaluations that all seeds have."""
    if not curves:
        return
    common = sorted(set.intersection(*(set(c.step.tolist()) for c in curves)))
    values = np.array([[c.value[c.step.tolist().index(step)] for step in common] for c in curves])
    places = np.array([[getattr(c, over)[c.step.tolist().index(step)] for step in common] for c in curves])
    x = places.mean(axis=0)
    axes.plot(
        x,
        values.mean(axis=0),
        color=mark.colour,
        linestyle=mark.dashes,
        marker=mark.marker,
        markersize=3.5,
        linewidth=1.3,
        label=name,
    )
    if len(curves) > 1:
        axes.fill_between(
            x, values.min(axis=0), values.max(axis=0), color=mark.colour, alpha=0.15, linewidth=0
        )
