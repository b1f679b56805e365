"""The shapes of stored files, checked as they are read: a report trusts no file that it did not write.

Results folders are copied, mended by hand, shared. What does not have its shape is named and not used.
"""

import json
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from harness.errors import UserError
from harness.metrics.base import FloatArray
from harness.names import file_name
from harness.storage.store import CorruptError, read_json

COUNTED = (
    *("steps", "train_flops", "train_seconds", "warmup_tokens", "decode_flops", "decode_seconds"),
    *("peak_memory", "trainable", "parameters", "truncated"),
)
"""What every ledger counts."""
_LARGEST = 1e40
Amount = Annotated[float, Field(ge=-_LARGEST, le=_LARGEST)]
Model = TypeVar("Model", bound=BaseModel)
Kind = Literal["text", "text or none", "texts", "truth", "number"]
NUMBERS = "numbers.parquet"
"""In ``decode/`` of a published cell, in the place of the predictions: what of them is no text."""
DIGEST = "references_digest"
"""Its column with :func:`references_digest`."""


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


def references_digest(references: Sequence[str]) -> int:
    """8 bits of an example's references: too few to tell a text by, enough to tell two test sets apart."""
    return zlib.crc32(json.dumps(list(references)).encode()) & 0xFF


def holds_texts(cell: Path) -> bool:
    """Whether a decoded cell holds its predictions; a published one holds only what is no text."""
    return not (cell / "decode" / NUMBERS).is_file()


def predictions_file(cell: Path) -> Path:
    """Where the predictions of a decoded cell are.

    Raises:
        UserError: The cell holds numbers only.
    """
    if not holds_texts(cell):
        raise UserError(
            f"{cell} is published: it holds numbers, without source, reference and output texts",
            hint="What reads texts needs the folder of the run itself.",
        )
    return cell / "decode" / "predictions.parquet"


def column(table: Any, name: str, kind: Kind, path: Path) -> list[Any]:
    """One column of a stored table as a list.

    Args:
        table: What :func:`harness.storage.store.read_table` gives.
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

    A column ``s7-s1`` holds ``s7`` less the earlier column ``s1``, see :mod:`harness.storage.compact`.

    Raises:
        CorruptError: It has no row, no such columns, or a value that is no finite number.
    """
    ids = column(table, "id", "text", path)
    columns: dict[str, FloatArray] = {}
    for place, name in enumerate(table.column_names):
        own, _, base = name.partition("-")
        if name == "id":
            continue
        if own in columns or (base and base not in columns):
            raise misshapen(path, f"column '{name[:80]}' is there twice, or less one that is not there")
        values = _finite(table, place, path)
        columns[own] = values + columns[base] if base else values
    if not ids or not columns:
        raise misshapen(path, "it holds no statistics")
    return ids, np.stack(list(columns.values()), axis=1)


def _finite(table: Any, place: int, path: Path) -> FloatArray:
    """A column of finite numbers; quickly where they are stored as such and not, say, among nulls."""
    import pyarrow as pa

    held = table.column(place)
    if (pa.types.is_float64(held.type) or pa.types.is_integer(held.type)) and not held.null_count:
        values: FloatArray = held.to_numpy().astype(np.float64, copy=False)
        if bool((np.abs(values) <= _LARGEST).all()):
            return values
    return np.array(column(table, table.column_names[place], "number", path), dtype=np.float64)


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
