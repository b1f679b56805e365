"""The paper's claims as data, what we assume of their test sets, and whether such gains can be seen."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from warmup_bench.comparison.power import STEPS, PowerModel, Variances
from warmup_bench.contracts.errors import UserError
from warmup_bench.data.plain_yaml import read_yaml

T = TypeVar("T")

PUBLISHED = Path(__file__).parents[1] / "published"


class _Strict(BaseModel):
    model_config = ConfigDict(strict=True, allow_inf_nan=False)


class _Gains(_Strict):
    claim: str
    backbone: str
    task: str
    gains: dict[str, float]


class _ClaimsFile(_Strict):
    source: str
    claims: list[_Gains]


class _Assumed(_Strict):
    examples: int = Field(ge=2, le=10**8)
    cells: int = Field(ge=1, le=10**4)
    seed_sd: float = Field(ge=0, le=1e6)
    sd: dict[str, list[Annotated[float, Field(ge=0, le=1e6)]]]
    why: str


class _AssumptionsFile(_Strict):
    seeds: int = Field(ge=1, le=10**4)
    claims: dict[str, _Assumed]


@dataclass(frozen=True, slots=True)
class Claim:
    """One published gain of a method over SFT.

    Attributes:
        name: ``translation``, ``logic``, …
        backbone, task: As the source names them.
        metric: Its name.
        gain: In score points.
        source: Where it was read.
    """

    name: str
    backbone: str
    task: str
    metric: str
    gain: float
    source: str


@dataclass(frozen=True, slots=True)
class Assumption:
    """What is assumed of a claim's test set; all of it ours.

    Attributes:
        examples: Test examples of a cell.
        cells: Test sets that the claim averages over.
        seeds: Matched seeds.
        low, high: Variances of one paired difference, by the low and the high guess.
        why: Where the numbers come from.
    """

    examples: int
    cells: int
    seeds: int
    low: Variances
    high: Variances
    why: str


@dataclass(frozen=True, slots=True)
class Assessment:
    """Can this gain be seen? Pairs are for the low and the high guess of the variance.

    Attributes:
        claim, assumption: What was asked.
        cells: Test sets averaged over in this line.
        power: Chance to find the gain with the assumed seeds, the trained models held fixed.
        smallest: Smallest gain that is found with a chance of 80%.
        power_other_seeds, smallest_other_seeds: The same for a claim about training again; no gain is found
            (None) where the seeds are too few for the test at this level.
        examples_needed: For 80%, with the assumed seeds; None where no number is enough.
        largest_deviation: Largest standard deviation of an example's difference with which one run has 80%.
    """

    claim: Claim
    assumption: Assumption
    cells: int
    power: tuple[float, float]
    smallest: tuple[float, float]
    power_other_seeds: tuple[float | None, float | None]
    smallest_other_seeds: tuple[float | None, float | None]
    examples_needed: tuple[int | None, int | None]
    largest_deviation: float

    @property
    def verdict(self) -> str:
        """``detectable`` or ``underpowered`` by both guesses of the spread, else ``depends on sd``."""
        enough = [power >= 0.8 for power in self.power]
        return "detectable" if all(enough) else "depends on sd" if any(enough) else "underpowered"


def read_claims(path: Path = PUBLISHED / "claims.yaml") -> list[Claim]:
    """Every published gain, in the order of the file.

    Raises:
        UserError: The file is missing or is not a list of claims.
    """
    content = _read(path, _ClaimsFile)
    return [
        Claim(item.claim, item.backbone, item.task, metric, gain, content.source)
        for item in content.claims
        for metric, gain in item.gains.items()
    ]


def read_assumption(
    claim: Claim, path: Path = PUBLISHED / "assumptions.yaml", seeds: int | None = None
) -> Assumption:
    """What is assumed for one claim; ``seeds`` takes the place of the file's number.

    Raises:
        UserError: The file is missing or says nothing of the claim.
    """
    content = _read(path, _AssumptionsFile)
    given = content.claims.get(claim.name)
    deviations = [] if given is None else given.sd.get(claim.metric, [])
    if given is None or len(deviations) != 2:
        raise UserError(
            f"{path} assumes nothing for {claim.metric} of '{claim.name}'",
            hint="Give examples, cells, seed_sd and sd: [low, high] of the metric.",
        )
    low, high = (Variances(examples=sd**2, seeds=given.seed_sd**2) for sd in deviations)
    count = content.seeds if seeds is None else seeds
    return Assumption(given.examples, given.cells, count, low, high, given.why)


def assess(
    claim: Claim, assumption: Assumption, *, averaged: bool, level: float = 0.05, comparisons: int = 1
) -> Assessment:
    """Whether a claim's gain can be seen, in one of its cells or in their average.

    An average over c independent cells has 1/c of each part of the variance.
    """
    cells = assumption.cells if averaged else 1
    plans = [
        claim_model(claim, _averaged(v, cells), level, comparisons, cells)
        for v in (assumption.low, assumption.high)
    ]
    size = assumption.examples, assumption.seeds

    def both(figure: Callable[[PowerModel], T]) -> tuple[T, T]:
        return figure(plans[0]), figure(plans[1])

    return Assessment(
        claim=claim,
        assumption=assumption,
        cells=cells,
        power=both(lambda plan: plan.power(*size, other_seeds=False) or 0.0),
        smallest=both(lambda plan: plan.smallest_effect(*size, other_seeds=False) or 0.0),
        power_other_seeds=both(lambda plan: plan.power(*size, other_seeds=True)),
        smallest_other_seeds=both(lambda plan: plan.smallest_effect(*size, other_seeds=True)),
        examples_needed=both(lambda plan: plan.examples_needed(assumption.seeds, other_seeds=False)),
        largest_deviation=claim_model(claim, assumption.low, level, comparisons).largest_deviation(
            assumption.examples * cells
        ),
    )


def claim_model(
    claim: Claim, variances: Variances, level: float, comparisons: int, cells: int = 1
) -> PowerModel:
    """A comparison that is to find a claim's gain, in one cell or in the mean of several."""
    step = STEPS.get(claim.metric, 0.0) / cells
    return PowerModel(variances, claim.gain, level, comparisons=comparisons, step=step)


def _averaged(variances: Variances, cells: int) -> Variances:
    seeds = None if variances.seeds is None else variances.seeds / cells
    return Variances(variances.examples / cells, variances.residual / cells, seeds)


File = TypeVar("File", bound=BaseModel)


def _read(path: Path, kind: type[File]) -> File:
    """A file in the layout of a model.

    Raises:
        UserError: It can't be read, or is laid out otherwise.
    """
    try:
        return kind.model_validate(read_yaml(path.read_text(encoding="utf-8")))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        raise UserError(f"{path} is not laid out as expected: {where}: {first['msg']}") from error
    except (OSError, ValueError) as error:
        raise UserError(f"can't read {path}: {' '.join(str(error).split())}") from error
