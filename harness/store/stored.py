"""The shapes of stored files, checked as they are read: a report trusts no file that it did not write.

Results folders are copied, mended by hand, shared. What does not have its shape is named and not used.
"""

import json
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from warmup_bench.contracts.errors import UserError
from warmup_bench.contracts.metric import FloatArray, MetricContext
from warmup_bench.contracts.names import file_name
from warmup_bench.contracts.settings import Score
from warmup_bench.store.folders import (
    CorruptError,
    check,
    digest_of,
    is_done,
    is_number,
    made_from,
    read_json,
)

COUNTED = (
    *("steps", "train_flops", "train_seconds", "warmup_tokens", "decode_flops", "decode_seconds"),
    *("peak_memory", "trainable", "parameters", "truncated"),
)
"""What every ledger counts."""
_LARGEST = 1e40
Amount = Annotated[float, Field(ge=-_LARGEST, le=_LARGEST)]
Model = TypeVar("Model", bound=BaseModel)
Kind = Literal["text", "text or none", "texts", "truth", "number"]
PREDICTIONS = "predictions.parquet"
DIGEST = "references_digest"
"""The column of a published example with :func:`references_digest`."""
EXAMPLE: dict[str, "Kind"] = {"id": "text", "group": "text or none", DIGEST: "number"}
"""What is stored of every published example."""


class _Shape(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True, allow_inf_nan=False)


class Facts(_Shape):
    """``task.json``: what scoring and reports need to know of a task and its data."""

    target_language: str
    labels: list[str]
    references: int
    metrics: list[str]
    notes: list[str] = []

    def context(self, settings: Score | None = None) -> MetricContext:
        """What the metrics of the task are made with."""
        return MetricContext(self.target_language, tuple(self.labels), self.references, settings or Score())


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
        CorruptError: It is not a score, or that of another metric than its folder is named for.
    """
    path = folder / "score.json"
    score = read_json(path)
    if shaped(score, ScoreFile, path).key != folder.name:
        raise misshapen(path, f"it is the score of '{score['key']}'")
    check_file_name(score["key"], "metric", path)
    return score


def read_facts(cell: Path, settings: Score | None = None) -> tuple[MetricContext, tuple[str, ...]]:
    """The context of a cell's metrics, and the metrics of its task.

    Raises:
        CorruptError: They can't be read.
    """
    facts = task_facts_of(cell)
    return facts.context(settings), tuple(facts.metrics)


def task_facts_of(cell: Path) -> Facts:
    """What is stored of a cell's task.

    Raises:
        CorruptError: It can't be read.
    """
    path = cell / "decode" / "task.json"
    return shaped(read_json(path), Facts, path)


def stored_scores(cell: Path) -> list[dict[str, Any]]:
    """Every finished score of a cell, checked against its manifest.

    Raises:
        CorruptError: One is damaged, or of other predictions.
    """
    scores = []
    for folder in _scored(cell):
        scores.append(read_score(check(folder)))
        if not is_score_of(folder, cell):
            raise CorruptError(
                f"stored score {folder} was made of other predictions than {cell / 'decode'} holds",
                hint="'warmup-bench score' on the results folder makes it again.",
            )
    return scores


def is_score_of(folder: Path, cell: Path) -> bool:
    """Whether a score was made of the predictions that its cell holds; what 0.1.0 has scored is taken for so.

    Raises:
        CorruptError: A manifest can't be read.
    """
    noted = made_from(folder).get(PREDICTIONS)
    return noted in (None, digest_of(cell / "decode", PREDICTIONS))


def is_scored_at_all(cell: Path) -> bool:
    """Whether a cell has any finished score."""
    return any(True for _ in _scored(cell))


def _scored(cell: Path) -> Iterator[Path]:
    return (folder for folder in sorted((cell / "scores").glob("[!.]*")) if is_done(folder))


def check_file_name(name: str, what: str, path: Path) -> None:
    """See that a stored name of ``what`` can name a file.

    Raises:
        CorruptError: It can't.
    """
    try:
        file_name(name, what)
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
            raise misshapen(path, f"{key} is not a number: {str(value)[:80]}")
    return dict(ledger)


def references_digest(references: Sequence[str]) -> int:
    """8 bits of an example's references: too few to tell a text by, enough to tell two test sets apart."""
    return zlib.crc32(json.dumps(list(references)).encode()) & 0xFF


def column(table: Any, name: str, kind: Kind, path: Path) -> list[Any]:
    """One column of a stored table as a list.

    Args:
        table: What :func:`warmup_bench.store.folders.read_table` gives.
        name: Of the column.
        kind: What each of its cells must be.
        path: Of the file, for the message.

    Raises:
        CorruptError: There is no such column, or it holds something else.
    """
    import pyarrow as pa

    if table.column_names.count(name) != 1:
        raise misshapen(path, f"it has {table.column_names.count(name)} columns '{name}'")
    stored = table.column(name)
    try:
        values: list[Any] = stored.to_pylist()
    except ValueError as error:  # bytes that are not UTF-8, dates out of range
        raise misshapen(path, f"column '{name}' can't be read: {error}") from error
    # The type of an arrow column may say that all its cells are text: no need to look at each then.
    allowed = ("text", "text or none") if stored.null_count == 0 else ("text or none",)
    all_text = pa.types.is_string(stored.type) and kind in allowed
    if not all_text and not all(_is(value, kind) for value in values):
        raise misshapen(path, f"column '{name}' holds something else than {kind}")
    return values


def statistics(table: Any, path: Path) -> tuple[list[str], FloatArray]:
    """Ids and per-example statistics [examples, k] of a table with the columns ``id``, ``s0``, ``s1``, …

    Raises:
        CorruptError: It has no row, no such columns, or a value that is not a finite number.
    """
    ids = column(table, "id", "text", path)
    names = [name for name in table.column_names if name != "id"]
    if not ids or not names or names != [f"s{i}" for i in range(len(names))]:
        raise misshapen(path, "its columns are not id, s0, s1, …")
    columns = [finite(table, name, path) for name in names]
    if any(np.isnan(values).any() for values in columns):
        raise misshapen(path, "it has no statistics of some example")
    return ids, np.stack(columns, axis=1)


def finite(table: Any, name: str, path: Path) -> FloatArray:
    """A column of finite numbers of a stored table; NaN where it has none.

    Raises:
        CorruptError: It holds something else.
    """
    stored = table.column(name)
    if not is_number(stored.type):
        raise misshapen(path, f"column '{name}' holds something else than number")
    values: FloatArray = stored.to_numpy().astype(np.float64)
    absent = np.isnan(values)
    if int(absent.sum()) != stored.null_count or not bool((np.abs(values[~absent]) <= _LARGEST).all()):
        raise misshapen(path, f"column '{name}' holds something else than finite numbers")
    return values


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
