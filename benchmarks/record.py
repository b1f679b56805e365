"""One line of the benchmark table, what a benchmark is asked for, and how it says that it can't be run."""

import operator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

COMPARISONS = {"<=": operator.le, ">=": operator.ge}


class UnavailableError(Exception):
    """A benchmark lacks something that it needs; the message says what."""


@dataclass(frozen=True, slots=True)
class Options:
    """What every benchmark is asked for.

    Attributes:
        sizes: Names in :data:`benchmarks.models.SIZES`.
        rounds: Timed rounds, after one that warms up.
        device: "cpu" or "cuda".
        dtype: "float32", or "bfloat16"; by hand that is autocast.
        profile: Whether a missed aim is profiled (``detail["profile"]``).
        trl_python: Interpreter of an environment with TRL, for :mod:`benchmarks.grpo`.
        data: Texts, a segment a line, for :mod:`benchmarks.paired_tests` beside its own.
    """

    sizes: tuple[str, ...] = ("mini", "t5-small")
    rounds: int = 5
    device: str = "cpu"
    dtype: str = "float32"
    profile: bool = False
    trl_python: Path | None = None
    data: tuple[Path, ...] = ()


@dataclass(frozen=True, slots=True)
class Record:
    """A comparison.

    Attributes:
        name: What was measured.
        ours: Figure of the harness.
        other: Figure that it is compared with.
        unit: Of both, e.g. "CPU s" or "MiB".
        ratio: The figure that the aim is about; ``detail`` or ``name`` says which way round.
        aim: A comparison and a bound, e.g. ">= 2"; empty: a figure without an aim.
        met: Whether ``ratio`` meets the aim; None without one.
        detail: All timings and what else explains the figures; goes into the JSON file.
    """

    name: str
    ours: float
    other: float
    unit: str
    ratio: float
    aim: str = ""
    met: bool | None = None
    detail: dict[str, Any] = field(default_factory=dict)


def judge(
    name: str, ours: float, other: float, unit: str, *, ratio: float, aim: str, detail: dict[str, Any]
) -> Record:
    """A record whose ratio is held against its aim."""
    met = None
    if aim:
        comparison, bound = aim.split()
        met = bool(COMPARISONS[comparison](ratio, float(bound)))
    return Record(name, float(ours), float(other), unit, float(ratio), aim, met, detail)
