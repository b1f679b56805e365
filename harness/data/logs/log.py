"""What another harness has logged of one system: numbers of each example, and what the example was."""

import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ValidationError

from warmup_bench.contracts.errors import UserError

Model = TypeVar("Model", bound=BaseModel)
Aggregation = Literal["mean", "perplexity", "bits"]
"""How numbers ``(x, weight)`` become a score: sum x / sum weight, exp of minus that, minus that in bits."""
Numbers = tuple[float, float]
"""A number and its weight, 1 where a score is a plain mean."""


@dataclass(frozen=True, slots=True)
class Log:
    """One run of one system on one task.

    Attributes:
        harness: That has written it.
        path: Of its file.
        system: Its name there; "" where the file holds one system only.
        task: Name of the task; "" where the file does not tell.
        run: The epoch; "" where there is one only.
        ids: Of the examples.
        documents: Digest of each example and its target: the same in two logs of one test set.
        prompts: Digest of what the model was shown; () where that is not logged.
        numbers: By metric, an example each; None where it has no number.
        aggregations: By metric; a mean where it is not told.
        higher_is_better: By metric, where the file tells it.
        sources, references, outputs: To be shown; None where they are not logged.
        notes: What a reader must know, one plain sentence each.
    """

    harness: str
    path: Path
    ids: tuple[str, ...]
    documents: tuple[str, ...]
    numbers: dict[str, list[Numbers | None]]
    system: str = ""
    task: str = ""
    run: str = ""
    prompts: tuple[str, ...] = ()
    aggregations: dict[str, Aggregation] = field(default_factory=dict)
    higher_is_better: dict[str, bool] = field(default_factory=dict)
    sources: tuple[str, ...] | None = None
    references: tuple[tuple[str, ...], ...] | None = None
    outputs: tuple[str, ...] | None = None
    notes: tuple[str, ...] = ()


def digest(*parts: Any) -> str:
    """A short name of JSON values, the same for equal ones."""
    text = json.dumps(parts, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def number(value: Any) -> Numbers | None:
    """A logged value as a number; None where it is none, or not finite."""
    if not isinstance(value, int | float):
        return None
    try:
        plain = float(value)
    except OverflowError:
        return None
    return (plain, 1.0) if math.isfinite(plain) else None


def shaped(part: Any, model: type[Model], place: str, path: Path) -> Model:
    """A part of a log as a model.

    Raises:
        UserError: It has another shape.
    """
    try:
        return model.model_validate(part)
    except (ValidationError, RecursionError) as error:
        first = error.errors()[0] if isinstance(error, ValidationError) else {"loc": (), "msg": str(error)}
        where = ".".join(map(str, first["loc"])) or "all of it"
        raise UserError(
            f"{path}: {place}: {where}: {first['msg']}", hint="The log is cut off, or of another version."
        ) from error


def require_unique(ids: Sequence[str], path: Path) -> None:
    """See that every example stands in a log once.

    Raises:
        UserError: One stands there twice.
    """
    seen: set[str] = set()
    for name in ids:
        if name in seen:
            raise UserError(
                f"{path} holds example {name!r} twice",
                hint="Runs of one system are files of their own, separated by commas.",
            )
        seen.add(name)
