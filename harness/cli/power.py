"""``warmup-bench power``: what a planned comparison can show."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from warmup_bench.cli.formats import FORMATS
from warmup_bench.comparison.design import (
    SEEDS,
    Variance,
    analyse_power,
    assess_claims,
    given_accuracy,
    given_deviation,
    pilot,
    require_pilot,
)
from warmup_bench.comparison.power import MOST_EXAMPLES
from warmup_bench.contracts.errors import UserError
from warmup_bench.report.render import check_format
from warmup_bench.spec.spec import MOST_SEEDS

LARGEST = {
    **dict.fromkeys(("effect", "sd", "seed_sd", "comparisons", "margin"), 10**6),
    **dict.fromkeys(("accuracy", "disagree"), 100),
    "examples": MOST_EXAMPLES,
    "level": 1,
    "wanted": 1,
}
"""The largest absolute value of each number that can be asked for."""


def power_command(
    systems: Sequence[str],
    numbers: Mapping[str, Any],
    seeds: str | None,
    texts: Mapping[str, Any],
    *,
    intersect: bool,
    format_: str,
    plot: Path | None,
) -> None:
    """Print a planned comparison, or what the paper's claims need where none is described.

    Args:
        systems: Two pilot systems, or none.
        numbers: By the names of their options, those of :data:`LARGEST`; None: not given.
        seeds: Numbers of matched seeds, with commas between them.
        texts: What :func:`warmup_bench.comparison.reading.read_systems` reads beside the names of a pilot.
        intersect: Use the pilot's common examples.
        format_: One of :data:`FORMATS`.
        plot: Picture to draw.

    Raises:
        UserError: A request that can't be met.
    """
    from warmup_bench.report import power as view
    from warmup_bench.report.plots.power import plot_analysis, plot_claims

    check_format(format_, FORMATS)
    _check_numbers(numbers)
    if plot is not None and plot.suffix not in (".png", ".svg", ".pdf"):
        raise UserError(f"can't plot into {plot}", origin="--plot", hint="Name a .png, .svg or .pdf file.")
    family = {"level": numbers["level"], "comparisons": numbers["comparisons"]}
    counts = None if seeds is None else _numbers(seeds)
    if not systems and numbers["sd"] is None and numbers["accuracy"] is None:
        _refuse_without_variance(numbers)
        assessments = assess_claims(None if counts is None else max(counts), **family)
        view.print_claims(assessments, format_, **family)
        if plot is not None:
            plot_claims(assessments, plot, **family)
        return
    analysis = analyse_power(
        _variance(systems, numbers, texts, intersect=intersect),
        effect=numbers["effect"],
        examples=numbers["examples"],
        seeds=counts or SEEDS,
        **family,
        wanted=numbers["wanted"],
        margin=numbers["margin"],
    )
    view.print_analysis(analysis, format_)
    if plot is not None:
        plot_analysis(analysis, plot)


def _variance(
    systems: Sequence[str], numbers: Mapping[str, Any], texts: Mapping[str, Any], *, intersect: bool
) -> Variance:
    """The variance that is given, in one of three ways.

    Raises:
        UserError: In several, or in one that makes no sense.
    """
    given = [name for name in ("sd", "accuracy") if numbers[name] is not None]
    if len(given) + bool(systems) != 1:
        raise UserError(
            "the variance is given twice", hint="Give --sd, or --accuracy, or two pilot systems, not several."
        )
    between_seeds = numbers["seed_sd"]
    if numbers["sd"] is not None:
        return given_deviation(numbers["sd"], between_seeds)
    if numbers["accuracy"] is not None:
        return given_accuracy(numbers["accuracy"], numbers["disagree"], numbers["effect"], between_seeds)
    from warmup_bench.comparison.reading import read_systems

    require_pilot(systems)
    return pilot(read_systems(systems, **texts), intersect=intersect, seed_deviation=between_seeds)


def _refuse_without_variance(numbers: Mapping[str, Any]) -> None:
    for key in ("effect", "examples", "seed_sd", "margin"):
        if numbers[key] is not None:
            raise UserError(
                f"{_flag(key)} needs a variance",
                hint="Give --sd, --accuracy or two pilot systems; without, the paper's claims are shown.",
            )


def _check_numbers(numbers: Mapping[str, Any]) -> None:
    """See that every number is finite and of a size that a study can have.

    Raises:
        UserError: One is not, or ``disagree`` has no accuracy to go with.
    """
    for key, largest in LARGEST.items():
        value = numbers[key]
        if value is not None and not abs(value) <= largest:  # so written, it refuses NaN too
            raise UserError(
                f"{value:g} makes no sense here",
                origin=_flag(key),
                hint=f"Give a number of at most {largest:,}.",
            )
    if numbers["disagree"] is not None and numbers["accuracy"] is None:
        raise UserError("--disagree needs --accuracy", hint="Give both, or --sd instead.")


def _flag(key: str) -> str:
    return f"--{key.replace('_', '-')}"


def _numbers(text: str) -> list[int]:
    try:
        numbers = sorted({int(part) for part in text.split(",") if part.strip()})
    except ValueError:
        numbers = []
    if not numbers or numbers[0] < 1 or numbers[-1] > MOST_SEEDS:
        raise UserError(
            f"'{text}' are not numbers of seeds",
            origin="--seeds",
            hint=f"Give 3, or 1,3,5; at most {MOST_SEEDS:,}.",
        )
    return numbers
