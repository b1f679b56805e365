"""What a planned comparison can show, before a week of GPU time is spent on it."""

from collections.abc import Sequence
from dataclasses import dataclass

from warmup_bench.comparison.claims import Assessment, assess, read_assumption, read_claims
from warmup_bench.comparison.power import (
    STEPS,
    PowerModel,
    Variances,
    accuracy_variance,
    pseudo_values,
    standard_error,
    variance_components,
)
from warmup_bench.comparison.systems import System, matched
from warmup_bench.comparison.units import unit_numbers, unit_sums
from warmup_bench.contracts.errors import UserError

SEEDS = (1, 3, 5, 10)
"""Numbers of matched seeds that are looked at where none are named."""


@dataclass(frozen=True)
class Variance:
    """The spread of one paired difference that a study is planned with.

    Attributes:
        metric: Its name, or "score".
        variances: In squared score points.
        origin: Where they come from, in words.
        examples: Of the pilot that they were estimated on; None without one.
        step: Of a metric that counts examples, see :class:`PowerModel`; 0 for others.
    """

    metric: str
    variances: Variances
    origin: str
    examples: int | None = None
    step: float = 0.0


@dataclass(frozen=True)
class Design:
    """What one number of seeds can show; "these models" holds the trained models and their gain fixed.

    Attributes:
        examples, seeds: Size of the study.
        standard_error, power, smallest, examples_needed: For these models.
        standard_error_seeds, power_seeds, smallest_seeds, examples_needed_seeds: For training again; None
            where it can't be said (unknown variance) or where nothing is enough (too few seeds for the test).
        equivalence: Chance to show that the difference is within the margin, by the interval over seeds and
            examples (with one seed: for these models); None without a margin or with an unknown variance.
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
    equivalence: float | None = None


@dataclass(frozen=True)
class PowerAnalysis:
    """A planned comparison.

    Attributes:
        metric: Its name, or "score".
        effect: Gain that is to be found; None: only the smallest detectable one is asked for.
        level: Of the family's tests.
        comparisons: Size of the family, for Holm's correction.
        wanted: Power that counts as enough.
        variances: Of one paired difference.
        origin: Where they come from, in words.
        designs: One a number of seeds.
        seeds_needed, seeds_needed_again: For these models, and for training again; None: no number is enough.
        step: Of the metric.
        margin: Smallest difference that matters; None: none was declared.
    """

    metric: str
    effect: float | None
    level: float
    comparisons: int
    wanted: float
    variances: Variances
    origin: str
    designs: tuple[Design, ...]
    seeds_needed: int | None
    seeds_needed_again: int | None
    step: float = 0.0
    margin: float | None = None

    @property
    def model(self) -> PowerModel:
        """What the designs follow."""
        family = self.level, self.wanted, self.comparisons
        return PowerModel(self.variances, self.effect or 0.0, *family, self.step)


def given_deviation(deviation: float, seed_deviation: float | None = None) -> Variance:
    """The variance of a declared standard deviation of one example's difference, and of one between seeds."""
    variances = Variances(deviation**2, seeds=_squared(seed_deviation))
    return Variance("score", variances, f"given: sd {deviation:g}")


def given_accuracy(
    accuracy: float,
    disagree: float | None = None,
    effect: float | None = None,
    seed_deviation: float | None = None,
) -> Variance:
    """The variance of two systems of one accuracy, in percent, that disagree on a share of the examples.

    Raises:
        UserError: No percentages, or an ``effect`` that so much disagreement does not allow.
    """
    try:
        binary = accuracy_variance(accuracy, disagree)
    except ValueError as error:
        raise UserError(str(error), origin="--accuracy", hint="Both are percentages.") from error
    differing = binary.examples / 100  # percent of the examples
    if effect is not None and abs(effect) > differing * (1 + 1e-9):
        raise UserError(
            f"two systems that disagree on {differing:g}% of the examples differ by no more than "
            f"{differing:g} points of accuracy",
            origin="--effect",
            hint="Give a smaller --effect or a larger --disagree (default: independent errors, 2 p (1 - p)).",
        )
    how = "independent errors" if disagree is None else f"{disagree:g}% disagreement"
    variances = Variances(binary.examples, seeds=_squared(seed_deviation))
    return Variance("accuracy", variances, f"accuracy near {accuracy:g}%, {how}", step=STEPS["accuracy"])


def require_pilot(systems: Sequence[object]) -> None:
    """See that a pilot is two systems.

    Raises:
        UserError: It is not.
    """
    if len(systems) != 2:
        raise UserError("a pilot is two systems", hint="Name the baseline and the other one.")


def pilot(
    systems: Sequence[System], *, intersect: bool = False, seed_deviation: float | None = None
) -> Variance:
    """The variance between two systems that were run already, on their first metric.

    Raises:
        UserError: Not two systems, some that can't be paired, or a single example.
    """
    require_pilot(systems)
    a, b, _ = matched(*systems, intersect=intersect)
    key = next(iter(a.metrics))
    metric = a.metrics[key]
    units = unit_numbers(a.ids, a.groups)
    base, other = (unit_sums(system.statistics[key], units) for system in (a, b))
    count = base.shape[1]
    if count < 2:
        raise UserError("a pilot of one example has no variance", hint="Give a larger pilot.")
    parts = variance_components(pseudo_values(base, other, metric.aggregate))
    scale = len(a.ids) / count  # of groups: as if their examples were independent ones of this variance
    seeds = parts.seeds if seed_deviation is None else seed_deviation**2
    runs = "one run" if len(a.runs) == 1 else f"{len(a.runs)} matched seeds"
    by = f" in {count} groups" if count < len(a.ids) else ""
    origin = f"pilot {a.name} against {b.name}: {len(a.ids):,} examples{by}, {runs}"
    variances = Variances(parts.examples * scale, parts.residual * scale, seeds)
    return Variance(metric.name, variances, origin, len(a.ids), STEPS.get(metric.name, 0.0))


def analyse_power(
    variance: Variance,
    *,
    effect: float | None = None,
    examples: int | None = None,
    seeds: Sequence[int] = SEEDS,
    level: float = 0.05,
    comparisons: int = 1,
    wanted: float = 0.8,
    margin: float | None = None,
) -> PowerAnalysis:
    """What comparisons of some numbers of seeds can show.

    Args:
        variance: Of one paired difference.
        effect: Gain to be found, in score points; None: only the smallest detectable one is asked for.
        examples: Of the test set; None: the pilot's.
        seeds: Numbers of matched seeds.
        level: Of the two-sided tests of a family.
        comparisons: Size of the family.
        wanted: Power that counts as enough.
        margin: Smallest difference that matters, to plan for showing that there is none.

    Raises:
        UserError: Nobody says how many examples there are.
    """
    examples = variance.examples if examples is None else examples
    if examples is None:
        raise UserError("how many test examples?", hint="Give --examples.")
    variances = variance.variances
    model = PowerModel(variances, effect or 0.0, level, wanted, comparisons, variance.step)
    known = variances.seeds is not None and effect is not None
    return PowerAnalysis(
        metric=variance.metric,
        effect=effect,
        level=level,
        comparisons=comparisons,
        wanted=wanted,
        variances=variances,
        origin=variance.origin,
        designs=tuple(_design(model, examples, count, effect, margin) for count in seeds),
        seeds_needed=None if effect is None else model.seeds_needed(examples, other_seeds=False),
        seeds_needed_again=model.seeds_needed(examples, other_seeds=True) if known else None,
        step=variance.step,
        margin=margin,
    )


def assess_claims(seeds: int | None = None, level: float = 0.05, comparisons: int = 1) -> list[Assessment]:
    """Every claim of the paper under the declared assumptions: in one cell, and averaged over its cells."""
    assumed = [(claim, read_assumption(claim, seeds=seeds)) for claim in read_claims()]
    return [
        assess(claim, assumption, averaged=averaged, level=level, comparisons=comparisons)
        for claim, assumption in assumed
        for averaged in (False, True)[: 1 + (assumption.cells > 1)]
    ]


def _squared(deviation: float | None) -> float | None:
    return None if deviation is None else deviation**2


def _design(
    model: PowerModel, examples: int, seeds: int, effect: float | None, margin: float | None
) -> Design:
    size = examples, seeds
    again = model.variances.seeds is not None
    return Design(
        examples=examples,
        seeds=seeds,
        standard_error=standard_error(model.variances, *size, other_seeds=False),
        power=None if effect is None else model.power(*size, other_seeds=False),
        smallest=model.smallest_effect(*size, other_seeds=False),
        examples_needed=model.examples_needed(seeds, other_seeds=False) if effect else None,
        standard_error_seeds=standard_error(model.variances, *size, other_seeds=True) if again else None,
        power_seeds=None if effect is None else model.power(*size, other_seeds=True),
        smallest_seeds=model.smallest_effect(*size, other_seeds=True),
        examples_needed_seeds=model.examples_needed(seeds, other_seeds=True) if again and effect else None,
        equivalence=None if margin is None else model.equivalence(examples, seeds, margin),
    )
