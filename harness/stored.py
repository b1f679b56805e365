"""The shapes of stored files, checked as they are read: a report trusts no file that it did not write.

Results folders are copied, mended by hand, shared. What does not have its shape is named and not used.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from harness.errors import UserError
from harness.metrics.base import FloatArray
from harness.names import file_name
from harness.store import CorruptError, read_json

COUNTED = (
    *("steps", "train_flops", "train_seconds", "warmup_tokens", "decode_flops", "decode_seconds"),
    *("peak_memory", "trainable", "parameters", "truncated"),
)
"""What every ledger counts."""
_LARGEST = 1e40
Amount = Annotated[float, Field(ge=-_LARGEST, le=_LARGEST)]
Model = TypeVar("Model", bound=BaseModel)
Kind = Literal["text", "text or none", "texts", "truth", "number"]


class _Shape(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True, allow_inf_nan=False)


class Facts(_Shape):
    """``task.json``: what scoring needs to know of a task."""

    target_language: str
    labels: list[str]
    references: int
    metrics: list[str]


class ScoreFile(_Shape):
    """``score.json``."""

    model_config = ConfigDict(extra="allow")
    key: str
    metric: str
    name: str
    score: Amount
    signature: str
    higher_is_better: bool
    notes: list[str] = []


class LogLine(_Shape):
    """A line of a training's log."""

    model_config = ConfigDict(extra="allow", allow_inf_nan=True)  # a loss may be NaN
    step: Annotated[int, Field(ge=0, le=2**53)]
    flops: Amount | None = None
    validation: dict[str, float | None] = {}


def shaped(content: Any, model: type[Model], path: Path) -> Model:
    """What a file holds, as a model.

    Raises:
        CorruptError: It has another shape.
    """
    try:
        return model.model_validate(content)
    except (ValidationError, RecursionError) as error:
        first = error.errors()[0] if isinstance(error, ValidationError) else {"loc": (), "msg": str(error)}
        where = ".".join(str(part) for part in first["loc"])
        raise misshapen(path, f"{where}: {first['msg']}" if where else str(first["msg"])) from error


def read_score(folder: Path) -> dict[str, Any]:
    """The score in a metric's folder.

    Raises:
        CorruptError: It is no score, or that of another metric than its folder is named for.
    """
    path = folder / "score.json"
    content = read_json(path)
    if shaped(content, ScoreFile, path).key != folder.name:
        raise misshapen(path, f"it is the score of '{content['key']}'")
    named(content["key"], path)
    return content


def named(key: str, path: Path) -> str:
    """The key of a metric, which names files.

    Raises:
        CorruptError: It can't be a file's name.
    """
    try:
        return file_name(key, "metric")
    except UserError as error:
        raise misshapen(path, error.problem) from error


def counted(ledger: Mapping[str, Any], path: Path) -> dict[str, Any]:
    """A ledger, in which all of :data:`COUNTED` are numbers.

    Raises:
        CorruptError: One is not.
    """
    for key in COUNTED:
        value = ledger.get(key)
        if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value <= _LARGEST:
            raise misshapen(path, f"{key} is no number: {str(value)[:80]}")
    return dict(ledger)


def column(table: Any, name: str, kind: Kind, path: Path) -> list[Any]:
    """One column of a stored table as a list.

    Args:
        table: What :func:`harness.store.read_table` gives.
        name: Of the column.
        kind: What each of its cells must be.
        path: Of the file, for the message.

    Raises:
        CorruptError: There is no such column, or it holds something else.
    """
    if table.column_names.count(name) != 1:
        raise misshapen(path, f"it has {table.column_names.count(name)} columns '{name}'")
    try:
        values: list[Any] = table.column(name).to_pylist()
    except ValueError as error:  # bytes that are no UTF-8, dates out of range
        raise misshapen(path, f"column '{name}' can't be read: {error}") from error
    if not _all_text(table.column(name), kind) and not all(_is(value, kind) for value in values):
        raise misshapen(path, f"column '{name}' holds something else than {kind}")
    return values


def _all_text(held: Any, kind: Kind) -> bool:
    """Whether the type of an arrow column alone says that all its cells are text: no need to look at each."""
    import pyarrow as pa

    return bool(pa.types.is_string(held.type)) and (
        kind == "text or none" or (kind == "text" and held.null_count == 0)
    )


def statistics(table: Any, path: Path) -> tuple[list[str], FloatArray]:
    """Ids and per-example statistics [examples, k] of a table with the columns ``id``, ``s0``, ``s1``, …

    Raises:
        CorruptError: It has no row, no such columns, or a value that is no finite number.
    """
    ids = column(table, "id", "text", path)
    names = [name for name in table.column_names if name != "id"]
    if not ids or not names:
        raise misshapen(path, "it holds no statistics")
    return ids, _finite(table, names, path)


def _finite(table: Any, names: Sequence[str], path: Path) -> FloatArray:
    """Columns of finite numbers, [rows, columns]; quickly where they are floats, as we write them."""
    import pyarrow as pa

    held = [table.column(i) for i, name in enumerate(table.column_names) if name != "id"]
    if len(set(names)) == len(names) and all(pa.types.is_float64(c.type) and not c.null_count for c in held):
        values: FloatArray = np.stack([c.to_numpy() for c in held], axis=1)
        if bool((np.abs(values) <= _LARGEST).all()):
            return values
    return np.array([column(table, name, "number", path) for name in names], dtype=np.float64).T


def _is(value: Any, kind: Kind) -> bool:
    if kind == "number":
        return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= _LARGEST
    if kind == "texts":
        return isinstance(value, list) and bool(value) and all(isinstance(text, str) for text in value)
    if kind == "truth":
        return isinstance(value, bool)
    return isinstance(value, str) or (value is None and kind == "text or none")


def misshapen(path: Path, what: str) -> CorruptError:
    """The error for a stored file that is not what it should be."""
    return CorruptError(
        f"stored file {path} can't be read ({what})",
        hint=f"Restore it, or move {path.parent} away to have it made again.",
    )
