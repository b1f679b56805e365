"""``warmup-bench power``: what a planned comparison can show, before a week of GPU time is spent on it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.cli.formats import check_format
from harness.errors import UserError
from harness.spec import MOST_SEEDS
from harness.stats.claims import Finding, assess, read_assumption, read_claims
from harness.stats.power import (
    MOST_EXAMPLES,
    Plan,
    Variances,
    accuracy_variance,
    pseudo_values,
    standard_error,
    variance_components,
)

FORMATS = ("text", "md", "csv", "json")

LARGEST = {
    **dict.fromkeys(("effect", "sd", "seed_sd", "comparisons"), 10**6),
    **dict.fromkeys(("accuracy", "disagree"), 100),
    "examples": MOST_EXAMPLES,
    "level": 1,
    "wanted": 1,
}
"""The largest absolute value of each number that can be asked for."""


@dataclass(frozen=True)
class Design:
    """What one number of seeds can show; "these models" holds the trained models fixed.

    Attributes:
        examples, seeds: Size of the study.
        standard_error, power, smallest, examples_needed: For these models.
        standard_error_seeds, power_seeds, smallest_seeds, examples_needed_seeds: For training again; None
            where it can't be said (unknown variance) or where nothing is enough (too few seeds for the test).
    """

    examples: int
    seeds: int
    standard_error: float
    power: float | None
    smallest: float | None
    examples_needed: int | None
    standard_error_seeds: float | None
    power_seeds: float | None
    smallest_seeds: float | None
    examples_needed_seeds: int | None


@dataclass(frozen=True)
class Study:
    """A planned study.

    Attributes:
        metric: Its name, or "score".
        effect: Gain that is to be found; None: only the smallest detectable one is asked for.
        level: Of each test, after the division by the number of comparisons.
        wanted: Power that counts as enough.
        variances: Of one paired difference.
        origin: Where they come from, in words.
        designs: One a number of seeds.
        seeds_needed, seeds_needed_again: For these models, and for training again; None: no number is enough.
    """

    metric: str
    effect: float | None
    level: float
    wanted: float
    variances: Variances
    origin: str
    designs: tuple[Design, ...]
    seeds_needed: int | None
    seeds_needed_again: int | None


def power_command(
    systems: Sequence[str], options: Mapping[str, Any], *, format_: str, plot: Path | None
) -> None:
    """Print a planned study, or what the paper's claims need where no study is described.

    Raises:
        UserError: A request that can't be met.
    """
    from harness.cli import power_plot, power_view

    check_format(format_, FORMATS)
    _check_numbers(options)
    if plot is not None and plot.suffix not in (".png", ".svg", ".pdf"):
        raise UserError(f"can't plot into {plot}", origin="--plot", hint="Name a .png, .svg or .pdf file.")
    level = options["level"] / options["comparisons"]
    if not systems and options["sd"] is None and options["accuracy"] is None:
        for key in ("effect", "examples", "seed_sd"):
            if options[key] is not None:
                raise UserError(
                    f"{_flag(key)} needs a variance",
                    hint="Give --sd, --accuracy or two pilot systems; without, the paper's claims are shown.",
                )
        seeds = None if options["seeds"] is None else max(_numbers(options["seeds"]))
        findings = assess_claims(seeds, level)
        power_view.print_findings(findings, level, format_)
        if plot is not None:
            power_plot.plot_findings(findings, level, plot)
        return
    study = plan_study(systems, options, level)
    power_view.print_study(study, format_)
    if plot is not None:
        power_plot.plot_study(study, plot)


def _check_numbers(options: Mapping[str, Any]) -> None:
    """See that every number is finite and of a size that a study can have.

    Raises:
        UserError: One is not, or ``disagree`` has no accuracy to go with.
    """
    for key, largest in LARGEST.items():
        value = options[key]
        if value is not None and not abs(value) <= largest:  # so written, it refuses NaN too
            raise UserError(
                f"{value:g} makes no sense here",
                origin=_flag(key),
                hint=f"Give a number of at most {largest:,}.",
            )
    if options["disagree"] is not None and options["accuracy"] is None:
        raise UserError("--disagree needs --accuracy", hint="Give both, or --sd instead.")


def _flag(key: str) -> str:
    return f"--{key.replace('_', '-')}"


def assess_claims(seeds: int | None, level: float) -> list[Finding]:
    """Every claim of the paper under the declared assumptions: in one cell, and averaged over its cells."""
    findings = []
    for claim in read_claims():
        assumption = read_assumption(claim, seeds=seeds)
        for averaged in (False, True)[: 1 + (assumption.cells > 1)]:
            findings.append(assess(claim, assumption, averaged=averaged, level=level))
    return findings


def plan_study(systems: Sequence[str], options: Mapping[str, Any], level: float) -> Study:
    """The planned study of a command line.

    Raises:
        UserError: No variance, several, or values that make no sense.
    """
    given = [name for name in ("sd", "accuracy") if options[name] is not None]
    if len(given) + bool(systems) != 1:
        raise UserError(
            "the variance is given twice", hint="Give --sd, or --accuracy, or two pilot systems, not several."
        )
    metric, origin, variances, examples = _variances(systems, options)
    examples = examples if options["examples"] is None else options["examples"]
    if examples is None:
        raise UserError("how many test examples?", hint="Give --examples.")
    effect, wanted = options["effect"], options["wanted"]
    plan = Plan(variances, 0.0 if effect is None else effect, level, wanted)
    designs = tuple(
        _design(plan, examples, seeds, effect) for seeds in _numbers(options["seeds"] or "1,3,5,10")
    )
    known = variances.seeds is not None and effect is not None
    return Study(
        metric=metric,
        effect=effect,
        level=level,
        wanted=wanted,
        variances=variances,
        origin=origin,
        designs=designs,
        seeds_needed=None if effect is None else plan.seeds_needed(examples, other_seeds=False),
        seeds_needed_again=plan.seeds_needed(examples, other_seeds=True) if known else None,
    )


def _variances(systems: Sequence[str], options: Mapping[str, Any]) -> tuple[str, str, Variances, int | None]:
    """Metric, origin in words, variances, and the examples of the pilot."""
    seed_variance = None if options["seed_sd"] is None else options["seed_sd"] ** 2
    if systems:
        return _pilot(systems, options, seed_variance)
    if options["sd"] is not None:
        return (
            "score",
            f"given: sd {options['sd']:g}",
            Variances(options["sd"] ** 2, seeds=seed_variance),
            None,
        )
    try:
        binary = accuracy_variance(options["accuracy"], options["disagree"])
    except ValueError as error:
        raise UserError(str(error), origin="--accuracy", hint="Both are percentages.") from error
    differing = binary.examples / 100  # percent of the examples
    if options["effect"] is not None and abs(options["effect"]) > differing * (1 + 1e-9):
        raise UserError(
            f"two systems that disagree on {differing:g}% of the examples differ by no more than "
            f"{differing:g} points of accuracy",
            origin="--effect",
            hint="Give a smaller --effect or a larger --disagree (default: independent errors, 2 p (1 - p)).",
        )
    how = "independent errors" if options["disagree"] is None else f"{options['disagree']:g}% disagreement"
    origin = f"accuracy near {options['accuracy']:g}%, {how}"
    return "accuracy", origin, Variances(binary.examples, seeds=seed_variance), None


def _pilot(
    systems: Sequence[str], options: Mapping[str, Any], seed_variance: float | None
) -> tuple[str, str, Variances, int]:
    from harness.cli.compare import read_systems
    from harness.cli.systems import matched
    from harness.stats.units import unit_numbers, unit_sums

    if len(systems) != 2:
        raise UserError("a pilot is two systems", hint="Name the baseline and the other one.")
    a, b, _ = matched(*read_systems(systems, options), intersect=options["intersect"])
    key = next(iter(a.metrics))
    metric = a.metrics[key]
    units = unit_numbers(a.ids, a.groups)
    base, other = (unit_sums(system.statistics[key], units) for system in (a, b))
    count = base.shape[1]
    if count < 2:
        raise UserError("a pilot of one example has no variance", hint="Give a larger pilot.")
    parts = variance_components(pseudo_values(base, other, metric.aggregate))
    scale = len(a.ids) / count  # of groups: as if their examples were independent ones of this variance
    seeds = parts.seeds if seed_variance is None else seed_variance
    runs = "one run" if len(a.runs) == 1 else f"{len(a.runs)} matched seeds"
    by = f" in {count} groups" if count < len(a.ids) else ""
    origin = f"pilot {a.name} against {b.name}: {len(a.ids):,} examples{by}, {runs}"
    return metric.name, origin, Variances(parts.examples * scale, parts.residual * scale, seeds), len(a.ids)


def _design(plan: Plan, examples: int, seeds: int, effect: float | None) -> Design:
    size = examples, seeds
    again = plan.variances.seeds is not None
    return Design(
        examples=examples,
        seeds=seeds,
        standard_error=standard_error(plan.variances, *size, other_seeds=False),
        power=None if effect is None else plan.power(*size, other_seeds=False),
        smallest=plan.smallest_effect(*size, other_seeds=False),
        examples_needed=plan.examples_needed(seeds, other_seeds=False) if effect else None,
        standard_error_seeds=standard_error(plan.variances, *size, other_seeds=True) if again else None,
        power_seeds=None if effect is None else plan.power(*size, other_seeds=True),
        smallest_seeds=plan.smallest_effect(*size, other_seeds=True),
        examples_needed_seeds=plan.examples_needed(seeds, other_seeds=True) if again and effect else None,
    )


def _numbers(text: str) -> list[int]:
    try:
        numbers = sorted({int(part) for part in text.split(",") if part.strip()})
    except ValueError:
        numbers = []
    if not numbers or numbers[0] < 1 or numbers[-1] > MOST_SEEDS:
        raise UserError(
            f"'{text}' are no numbers of seeds",
            origin="--seeds",
            hint=f"Give 3, or 1,3,5; at most {MOST_SEEDS:,}.",
        )
    return numbers
