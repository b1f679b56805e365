"""Tables in local files: JSON lines, JSON, CSV, TSV and Parquet, read by the datasets library.

A file is converted once to Arrow, in the cache under the hash of its contents, and mapped into memory.
Reading never goes by a repository's name: where the hub can't be reached, ``load_dataset(repo)`` would fall
back to whatever copy of the repository its cache holds, of any revision.
"""

import csv
import errno
import hashlib
import json
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from warmup_bench.contracts.errors import UserError
from warmup_bench.data.hub import cache_folder
from warmup_bench.data.lines import OPENERS, damaged, text_of

Format = Literal["json", "csv", "tsv", "parquet"]
FORMATS: dict[str, Format] = {
    ".jsonl": "json",
    ".ndjson": "json",
    ".json": "json",
    ".csv": "csv",
    ".tsv": "tsv",
    ".parquet": "parquet",
}
PACKED = tuple(OPENERS)
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a file.

    Attributes:
        values: By column; None where the file has null or nothing.
        path: The file.
        number: Of the row in its file, from 1.
    """

    values: dict[str, Any]
    path: Path
    number: int

    def text(self, column: str) -> str:
        """The text of a column.

        Raises:
            UserError: It is null, or something else than text.
        """
        value = self.values.get(column)
        if not isinstance(value, str):
            raise self.not_a("text", column, value)
        return value

    def name(self, column: str) -> str:
        """An id or a label: text, or a whole number.

        Raises:
            UserError: It is null, or something else.
        """
        value = self.values.get(column)
        if isinstance(value, float) and value.is_integer():  # one fraction makes a whole column floats
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, str | int):
            raise self.not_a("text or a whole number", column, value)
        return str(value)

    def number_in(self, column: str, count: int) -> int:
        """A whole number from 0 to ``count - 1``, also as text.

        Raises:
            UserError: It is something else.
        """
        text = self.name(column).strip()
        if not text.isascii() or not text.isdigit() or int(text) >= count:
            raise self.damaged(f"column {column} holds {text!r} and not a number from 0 to {count - 1}")
        return int(text)

    def texts(self, column: str) -> list[str]:
        """The list of texts of a column.

        Raises:
            UserError: It is null, or something else than a list of texts.
        """
        value = self.values.get(column)
        if not isinstance(value, list):
            raise self.not_a("list of texts", column, value)
        for i, item in enumerate(value, 1):
            if not isinstance(item, str):
                raise self.damaged(f"item {i} of column {column} is {_kind(item)} and not a text")
        return value

    def one_of(self, column: str, known: Sequence[str]) -> int:
        """The place of a label among those that are known.

        Raises:
            UserError: It is null, or none of them.
        """
        return self.place(self.text(column).strip(), column, known)

    def place(self, text: str, column: str, known: Sequence[str]) -> int:
        """Where a text that a column holds stands among those that are known.

        Raises:
            UserError: It is none of them, or several.
        """
        if known.count(text) != 1:
            raise self.damaged(f"column {column} holds {text!r} and not one of {', '.join(known)}")
        return known.index(text)

    def nested(self, column: str, columns: Sequence[str]) -> list["Row"]:
        """The objects of a list, each with the columns, as rows with this one's place.

        Raises:
            UserError: It is null, or something else than a list of such objects.
        """
        value = self.values.get(column)
        if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
            raise self.not_a("list of objects", column, value)
        for item in value:
            if absent := [name for name in columns if name not in item]:
                raise self.damaged(f"an object of column {column} has no {' or '.join(absent)}")
        return [Row(item, self.path, self.number) for item in value]

    def not_a(self, wanted: str, column: str, value: object) -> UserError:
        """The error of a value that is something else than it should be."""
        return self.damaged(f"column {column} holds {_kind(value)} and not a {wanted}")

    def damaged(self, problem: str, hint: str = "Fetch the file again, or mend that row.") -> UserError:
        """The error of this row."""
        return damaged(self.path, f"row {self.number}: {problem}", hint)


def _kind(value: object) -> str:
    names = {type(None): "nothing", bool: "a truth value", list: "a list", dict: "an object", str: "a text"}
    return names.get(type(value), f"the {type(value).__name__} {value!r:.40}")


def table_format(path: Path) -> Format | None:
    """How a file of this name holds a table; None where it is none."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes and suffixes[-1] in PACKED:
        suffixes.pop()
    return FORMATS.get(suffixes[-1]) if suffixes else None


def read_rows(
    paths: Path | Sequence[Path],
    columns: Sequence[str] = (),
    *,
    format: Format | None = None,  # noqa: A002 - what everybody calls it
    field: str = "",
) -> Iterator[Row]:
    """The rows of one or more files, one after the other, with these columns alone.

    Cells of CSV and TSV are texts, as they stand ("001", "NA"); a field of TSV may hold quotes, which mean
    nothing there.

    Args:
        paths: The files.
        columns: Each row's; (): all that a file has.
        format: Of all of them; None: by the ends of their names.
        field: Where the rows stand in a JSON object: ``data`` of ``{"data": [...]}``.

    Raises:
        UserError: A file is damaged, is no table or lacks a column.
    """
    for path in [paths] if isinstance(paths, Path) else paths:
        table = read_table(path, columns, format=format, field=field)
        for number, values in enumerate(table, 1):
            yield Row(values, path, number)


def column_names(path: Path, *, format: Format | None = None, field: str = "") -> list[str]:  # noqa: A002
    """The columns of a file.

    Raises:
        UserError: It is damaged or no table.
    """
    return list(read_table(path, (), format=format, field=field).column_names)


def read_table(
    path: Path,
    columns: Sequence[str],
    *,
    format: Format | None = None,  # noqa: A002
    field: str = "",
) -> Any:
    """One file as a ``datasets.Dataset``; see :func:`read_rows`."""
    form = format or table_format(path)
    if form is None:
        raise UserError(
            f"{path.name} is no table that can be read",
            origin=str(path),
            hint=f"Tables end in {', '.join(FORMATS)}, packed or not ({', '.join(PACKED)}).",
        )
    cache = cache_folder() / "tables" / _digest(path)
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with _quiet():
            table = _dataset(path, form, columns, field, str(cache))
            table.data.table.validate(full=True)  # that texts are UTF-8, for one
    except UserError:
        raise
    except Exception as error:  # pandas, pyarrow, zlib and datasets each raise their own
        cause = error.__cause__ or error
        if isinstance(cause, OSError) and (cause.errno in _NO_ROOM or str(cache) in str(cause.filename)):
            raise UserError(
                f"can't keep {path.name} as a table: {cause.strerror}",
                origin=str(cache),
                hint="Set WARMUP_BENCH_CACHE to a folder that can be written and has room.",
            ) from error
        raise _explained(path, form, error) from error
    absent = [column for column in columns if column not in table.column_names]
    if absent:
        raise UserError(
            f"{path.name} has no column {' or '.join(absent)}, only {', '.join(table.column_names)}",
            origin=str(path),
            hint="This is another data set, or another version of it.",
        )
    return table.select_columns(list(columns)) if columns else table


def _digest(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()[:16]
    except OSError as error:
        raise damaged(path, f"can't be read: {error.strerror}") from error


def _dataset(path: Path, form: Format, columns: Sequence[str], field: str, cache: str) -> Any:
    from datasets import Dataset, Features, Value

    if form == "parquet":
        import pyarrow.parquet as pq

        known = [column for column in columns if column in pq.read_schema(path).names]
        return Dataset.from_parquet(str(path), columns=known or None, cache_dir=cache)
    if form == "json":
        return Dataset.from_json(str(path), field=field or None, cache_dir=cache)
    plain: dict[str, Any] = {"sep": "\t", "quoting": csv.QUOTE_NONE} if form == "tsv" else {}
    import pandas as pd

    header = pd.read_csv(path, nrows=0, **plain).columns
    _require_whole_rows(path, len(header), tab=form == "tsv")
    features = Features({name: Value("string") for name in header})
    return Dataset.from_csv(str(path), features=features, keep_default_na=False, cache_dir=cache, **plain)


def _require_whole_rows(path: Path, width: int, *, tab: bool) -> None:
    """See that every row has a cell a column: the library takes what a short row lacks for empty text, and
    leaves an empty line out, which in a table of one column may be an empty text.

    Raises:
        UserError: One has another number, or an empty line stands between the rows of one column.
    """
    limit = csv.field_size_limit(2**31 - 1)  # an article is longer than the default
    try:
        with OPENERS.get(path.suffix, Path.open)(path, "rt", encoding="utf-8-sig", newline="") as file:
            form: dict[str, Any] = {"delimiter": "\t", "quoting": csv.QUOTE_NONE} if tab else {}
            number, empty = -1, False
            for row in csv.reader(file, **form):
                if not row:
                    empty = True
                    continue
                number += 1
                if empty and width == 1:
                    raise damaged(
                        path, f"has an empty line before row {number}", 'Write "" for an empty text.'
                    )
                if len(row) != width:
                    problem = f"row {number}: the number of cells is {len(row)}, of columns {width}"
                    raise damaged(path, problem, "Quote cells that hold the separator or end a line.")
    finally:
        csv.field_size_limit(limit)


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the library's bars and its own account of what went wrong: ours names the row."""
    import datasets

    bars, level = datasets.are_progress_bars_disabled(), datasets.logging.get_verbosity()
    datasets.disable_progress_bars()
    datasets.logging.set_verbosity(logging.CRITICAL)
    try:
        yield
    finally:
        datasets.logging.set_verbosity(level)
        if not bars:
            datasets.enable_progress_bars()


def _explained(path: Path, form: Format, error: Exception) -> UserError:
    """What is wrong with a file that the library could not read, with its row where that can be told."""
    reason = str(error.__cause__ or error).strip().split("\n")[0]
    if form == "parquet":
        return damaged(path, f"is not a parquet file: {reason}")
    text = text_of(path)
    if not text.strip():
        return damaged(path, "is empty")
    if form == "json":
        return damaged(path, _json_problem(text) or f"is not JSON: {reason}")
    return damaged(path, f"is not a table: {reason.removeprefix('Error tokenizing data. C error: ')}")


def _json_problem(text: str) -> str:
    """The first row that is no object, or another type than the rows before it has; "": all is well."""
    try:
        whole = json.loads(text)
        rows = list(enumerate(whole, 1)) if isinstance(whole, list) else []
        if not rows:
            return "" if isinstance(whole, dict) else "holds no list of objects"
    except ValueError:
        rows = []
        for number, line in enumerate(text.split("\n"), 1):
            try:
                if line.strip():
                    rows.append((number, json.loads(line)))
            except ValueError as error:
                return f"row {number}: this is not JSON: {error}"
    types: dict[str, tuple[int, type]] = {}
    for number, row in rows:
        if not isinstance(row, dict):
            return f"row {number}: this is {_kind(row)} and not an object"
        for column, value in row.items():
            if value is None:
                continue
            first, kind = types.setdefault(column, (number, type(value)))
            if kind is not type(value) and {kind, type(value)} != {int, float}:
                return f"row {number}: column {column} holds {_kind(value)}, row {first} {_kind(kind())}"
    return ""
