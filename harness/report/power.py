"""How a power analysis is shown: sentences first, then a table, then a curve."""

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

from warmup_bench.comparison.claims import Assessment
from warmup_bench.comparison.design import Design, PowerAnalysis
from warmup_bench.comparison.seeds import least_seeds
from warmup_bench.report.comparison import print_rows, write, write_csv
from warmup_bench.report.markdown import pipes


def print_analysis(analysis: PowerAnalysis, format_: str) -> None:
    """Print a planned analysis."""
    if format_ == "json":
        write(json.dumps(asdict(analysis), indent=2) + "\n")
        return
    if format_ == "csv":
        fixed = {
            key: getattr(analysis, key)
            for key in ("metric", "effect", "level", "comparisons", "wanted", "margin")
        }
        write_csv([fixed | asdict(design) for design in analysis.designs])
        return
    named, again = analysis.effect is not None, analysis.variances.seeds is not None
    columns: list[tuple[bool, str, Callable[[Design], str]]] = [
        (True, "seeds", lambda d: str(d.seeds)),
        (True, "examples", lambda d: f"{d.examples:,}"),
        (True, "standard\nerror", lambda d: _number(d.standard_error)),
        (named, "power", lambda d: _share(d.power)),
        (True, f"smallest\nat {analysis.wanted:.0%}", lambda d: _number(d.smallest)),
        (named, "examples\nneeded", lambda d: _count(d.examples_needed)),
        (again, "other seeds:\nstandard error", lambda d: _number(d.standard_error_seeds)),
        (again and named, "other seeds:\npower", lambda d: _share(d.power_seeds)),
        (again, f"other seeds:\nsmallest at {analysis.wanted:.0%}", lambda d: _number(d.smallest_seeds)),
        (
            analysis.margin is not None,
            f"no difference\nabove {analysis.margin or 0:g}",
            lambda d: _share(d.equivalence),
        ),
    ]
    included = [(header, cell) for include, header, cell in columns if include]
    headers = [header for header, _ in included]
    rows = [[cell(design) for _, cell in included] for design in analysis.designs]
    title = f"Power for {analysis.metric}" + (f", gain {analysis.effect:g}" if named else "")
    _show(title, headers, rows, analysis_notes(analysis), format_)


def analysis_notes(analysis: PowerAnalysis) -> list[str]:
    """What a study's numbers mean, in sentences."""
    notes = []
    first = analysis.designs[0]
    if analysis.effect is not None:
        notes.append(
            f"With {first.examples:,} examples and {seed_count(first.seeds)}, a gain of {analysis.effect:g} "
            f"is found with a chance of {_share(first.power)}; the smallest gain found with "
            f"{analysis.wanted:.0%} is {_number(first.smallest)}."
        )
        if analysis.seeds_needed is None:
            notes.append(
                f"No number of seeds up to 200 is enough on {first.examples:,} examples: this test set is "
                "too small for the gain."
                if analysis.variances.residual
                else "More seeds don't help: all spread between examples is taken as the same under every "
                "seed, the cautious reading. A pilot with several seeds would tell how much of it is."
            )
        if analysis.variances.seeds is not None:
            needed = analysis.seeds_needed_again
            enough = (
                f"{needed} matched seeds are needed" if needed else "no number of seeds up to 200 is enough"
            )
            notes.append(f"To claim it for other seeds: {enough}.")
    v = analysis.variances
    parts = [f"between examples {math.sqrt(v.examples):.2f}"]
    parts += [f"example and seed {math.sqrt(v.residual):.2f}"] if v.residual else []
    parts += [] if v.seeds is None else [f"between seeds {math.sqrt(v.seeds):.2f}"]
    notes.append(f"Standard deviations of one paired difference: {', '.join(parts)} ({analysis.origin}).")
    if v.seeds is None:
        notes.append(
            "Nothing is said of other seeds: the spread between seeds is not known (--seed-sd, or a pilot)."
        )
    else:
        notes.append(
            "Other seeds: found where the paired test over examples, the t test over seeds and examples and "
            f"the sign flips over seeds all find it; {_seeds_note(analysis.level)}"
        )
    if analysis.margin is not None:
        notes.append(
            f"No difference above {analysis.margin:g}: the chance that two one-sided tests show it where "
            "there is none at all, for other seeds and examples (with one seed: for these models)."
        )
    steps = "; accuracy's exact test by its steps" if analysis.step else ""
    notes.append(
        f"Two-sided tests, {level_text(analysis.level, analysis.comparisons)}. Power for these models: "
        f"normal approximation of the paired test, for models whose own difference is the gain{steps}."
    )
    return notes


def level_text(level: float, comparisons: int) -> str:
    """The level of a family's tests, and what Holm's correction makes of it."""
    if comparisons == 1:
        return f"level {level:.3g}"
    first = f"its first step: {level / comparisons:.3g}"
    return f"level {level:.3g} over {comparisons:,} comparisons by Holm ({first})"


def _seeds_note(level: float) -> str:
    """How many seeds the test over seeds takes."""
    return (
        "the last, over k matched seeds, can't give less than p = 2/2^k: at this level it takes at least "
        f"{seed_count(least_seeds(level))}."
    )


def print_claims(
    assessments: Sequence[Assessment], format_: str, level: float = 0.05, comparisons: int = 1
) -> None:
    """Print what the paper's claims need."""
    if format_ in ("json", "csv"):
        rows = [_flat(finding) for finding in assessments]
        if format_ == "csv":
            write_csv(rows)
        else:
            write(json.dumps({"level": level, "comparisons": comparisons, "findings": rows}, indent=2) + "\n")
        return
    headers = ["claim", "gain", "examples", "sd assumed", "power", "smallest at 80%", "examples for 80%"]
    table = []
    for f in assessments:
        where = f"{f.claim.name}, mean of {f.cells}" if f.cells > 1 else f.claim.name
        low, high = f.assumption.low.deviation, f.assumption.high.deviation
        row = [f"{where}: {f.claim.metric}", f"+{f.claim.gain:.2f}", f"{f.cells * f.assumption.examples:,}"]
        row += [f"{low:.3g} – {high:.3g}", _range(_share(f.power[1]), _share(f.power[0]))]
        row += [_range(*map(_number, f.smallest))]
        row += [_range(*(_count(n and n * f.cells) for n in f.examples_needed))]
        table.append([*row, f.verdict])
    _show(
        "Can the paper's gains be seen?",
        [*headers, "verdict"],
        table,
        _claim_notes(assessments, level, comparisons),
        format_,
    )


def _claim_notes(assessments: Sequence[Assessment], level: float, comparisons: int) -> list[str]:
    notes = []
    for f in assessments:
        if f.cells == 1 and f.verdict != "detectable":
            notes.append(
                f"{f.claim.name}, +{f.claim.gain:g} {f.claim.metric}: found with a chance of "
                f"{_share(f.power[1])} to {_share(f.power[0])}; 80% in one run needs an example's difference "
                f"to spread by no more than {f.largest_deviation:.1f} points."
            )
    notes.append(f"Two-sided tests, {level_text(level, comparisons)}, trained models held fixed.")
    seeds = seed_count(assessments[0].assumption.seeds)
    smallest = [
        f"{f.claim.name} {f.claim.metric} {' – '.join(map(_number, f.smallest_other_seeds))}"
        for f in assessments
        if f.cells == 1 and f.smallest_other_seeds != (None, None)
    ]
    notes.append(
        f"For a claim about other seeds, with {seeds}, the smallest gains at 80% are larger: "
        + "; ".join(smallest)
        + "."
        if smallest
        else f"With {seeds} nothing can be claimed for other seeds: {_seeds_note(level)}"
    )
    notes.append("More seeds are taken not to shrink the spread between examples (the cautious reading).")
    notes += [
        f"Our assumption, {name}: {why}."
        for name, why in dict.fromkeys((f.claim.name, f.assumption.why) for f in assessments)
    ]
    notes.append(f"Gains: {assessments[0].claim.source}")
    return notes


def _flat(f: Assessment) -> dict[str, Any]:
    """A finding as one row, every number at full precision."""
    return {
        "claim": f.claim.name,
        "backbone": f.claim.backbone,
        "metric": f.claim.metric,
        "gain": f.claim.gain,
        "cells": f.cells,
        "examples": f.assumption.examples,
        "seeds": f.assumption.seeds,
        **{
            f"{name}_{end}": value
            for name, pair in (
                ("sd", (f.assumption.low.deviation, f.assumption.high.deviation)),
                ("power", f.power),
                ("smallest", f.smallest),
                ("power_other_seeds", f.power_other_seeds),
                ("smallest_other_seeds", f.smallest_other_seeds),
                ("examples_needed", f.examples_needed),
            )
            for end, value in zip(("low_sd", "high_sd"), pair, strict=True)
        },
        "largest_sd": f.largest_deviation,
        "verdict": f.verdict,
        "why": f.assumption.why,
    }


def _show(
    title: str, headers: Sequence[str], rows: Sequence[Sequence[str]], notes: Sequence[str], format_: str
) -> None:
    if format_ == "md":
        flat = [header.replace("\n", " ").strip() for header in headers]
        lines = [f"**{title}**", "", *pipes(flat, rows), "", *(f"- {note}" for note in notes)]
        write("\n".join(lines) + "\n")
    else:
        print_rows(title, headers, rows, notes)


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"


def _share(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:.0%}" if value < 0.995 else "> 99%"


def _range(low: str, high: str) -> str:
    return low if low == high else f"{low} – {high}"


def _count(value: int | None) -> str:
    return "none is enough" if value is None else f"{value:,}"


def seed_count(count: int) -> str:
    """1 seed, 2 seeds."""
    return "1 seed" if count == 1 else f"{count} seeds"
