"""The paper's tables as studies: one spec a table and scale, beside the claims in ``results/published``."""

import difflib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from warmup_bench.comparison.claims import PUBLISHED, Claim, read_claims
from warmup_bench.contracts.errors import UserError
from warmup_bench.contracts.task import Scale
from warmup_bench.spec.spec import RunSpec, make_spec, read_spec

SCALES: tuple[Scale, ...] = ("mini", "small", "paper")


@dataclass(frozen=True)
class PaperTable:
    """One table of the paper at one scale.

    Attributes:
        name: The claim's.
        path: Its spec file.
        spec: What the file asks for.
        claims: The published gains, one a metric; they speak of scale ``paper`` alone.
    """

    name: str
    path: Path
    spec: RunSpec
    claims: tuple[Claim, ...]


@dataclass(frozen=True, slots=True)
class Lengths:
    """Mean tokens of an example, assumed, and why."""

    source: int
    target: int
    why: str


@lru_cache(maxsize=1)
def _claims() -> dict[str, tuple[Claim, ...]]:
    """The published gains of each table, in the order of the file, which is read once."""
    claims = read_claims()
    names = dict.fromkeys(claim.name for claim in claims)
    return {name: tuple(claim for claim in claims if claim.name == name) for name in names}


def paper_table_names() -> tuple[str, ...]:
    """Every table, in the order of the claims."""
    return tuple(_claims())


def read_paper_table(name: str, scale: str) -> PaperTable:
    """The study of a table at a scale.

    Raises:
        UserError: There is none.
    """
    if name not in (names := paper_table_names()):
        near = difflib.get_close_matches(name, names, n=1)
        meant = f"Did you mean {near[0]}?" if near else f"Tables: {', '.join(names)}."
        raise UserError(f"the paper has no table '{name}'", origin="warmup-bench reproduce", hint=meant)
    if scale not in SCALES:
        raise UserError(f"unknown scale '{scale}'", origin="--scale", hint=f"Scales: {', '.join(SCALES)}.")
    path = PUBLISHED / "specs" / f"{name}-{scale}.yaml"
    return PaperTable(name, path, make_spec(read_spec(path), str(path)), _claims()[name])


@lru_cache(maxsize=1)
def paper_tables() -> tuple[PaperTable, ...]:
    """The four tables at scale ``paper``."""
    return tuple(read_paper_table(name, "paper") for name in paper_table_names())


@lru_cache(maxsize=1)
def smaller_tables() -> tuple[PaperTable, ...]:
    """The same tables at the other scales."""
    return tuple(
        read_paper_table(name, scale) for name in paper_table_names() for scale in SCALES if scale != "paper"
    )


def read_lengths(name: str, path: Path = PUBLISHED / "lengths.yaml") -> Lengths:
    """The lengths that are assumed of a table's examples.

    Raises:
        UserError: The file is missing or says nothing of it.
    """
    try:
        content: Any = yaml.safe_load(path.read_text(encoding="utf-8"))
        return Lengths(**content[name])
    except (OSError, yaml.YAMLError, KeyError, TypeError) as error:
        raise UserError(
            f"{path} assumes no lengths for '{name}' ({error!r})", hint="Give source, target and why."
        ) from error
