"""Rows of the files that data sets come in, packed by gzip or not; damage is an error that names the file."""

import gzip
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from warmup_bench import UserError

Row = dict[str, Any]


def text_of(path: Path) -> str:
    """The UTF-8 text of a file.

    Raises:
        UserError: It can't be read.
    """
    try:
        content = path.read_bytes()
        if path.suffix == ".gz":
            content = gzip.decompress(content)
        return content.decode("utf-8-sig")
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise _damaged(path, f"can't be read: {error}") from error


def text_lines(path: Path) -> list[str]:
    r"""Lines without white space at their ends.

    Only \n ends a line: a sentence may hold characters that ``str.splitlines`` would break at.
    """
    return [line.strip() for line in text_of(path).removesuffix("\n").split("\n")]


def paired_lines(source: Path, target: Path) -> list[tuple[str, str]]:
    """Line by line pairs of two files.

    Raises:
        UserError: They don't have the same number of lines, or a line is empty: then they were damaged or
            shifted.
    """
    sides = text_lines(source), text_lines(target)
    if len(sides[0]) != len(sides[1]):
        raise UserError(
            f"{source.name} has {len(sides[0])} lines and {target.name} has {len(sides[1])}",
            origin=str(source.parent),
            hint="The two must be line by line translations: fetch both again.",
        )
    for path, lines in zip((source, target), sides, strict=True):
        if "" in lines:
            raise UserError(
                f"line {lines.index('') + 1} of {path.name} is empty",
                origin=str(path),
                hint="Fetch the file again.",
            )
    return list(zip(*sides, strict=True))


def json_lines(path: Path, columns: Sequence[str]) -> list[Row]:
    """One object a line, each with the columns.

    Raises:
        UserError: It is something else.
    """
    try:
        rows = [json.loads(line) for line in text_of(path).split("\n") if line.strip()]
    except ValueError as error:
        raise _damaged(path, "is not a file of JSON lines") from error
    return _with_columns(rows, columns, path)


def json_list(path: Path, columns: Sequence[str]) -> list[Row]:
    """A list of objects, each with the columns.

    Raises:
        UserError: It is something else.
    """
    try:
        rows = json.loads(text_of(path))
    except ValueError as error:
        raise _damaged(path, "is not JSON") from error
    if not isinstance(rows, list):
        raise _damaged(path, "holds no list")
    return _with_columns(rows, columns, path)


def parquet_rows(paths: Iterable[Path], columns: Sequence[str]) -> list[Row]:
    """The rows of one or more parquet files, one after the other, with these columns alone.

    Raises:
        UserError: A file is not parquet or lacks a column.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows: list[Row] = []
    for path in paths:
        try:
            _require(columns, pq.read_schema(path).names, path)
            rows += pq.read_table(path, columns=list(columns)).to_pylist()
        except (OSError, pa.ArrowException) as error:
            raise _damaged(path, "is not a parquet file") from error
    return rows


def _damaged(path: Path, problem: str) -> UserError:
    return UserError(f"{path.name} {problem}", origin=str(path), hint="Fetch it again.")


def _with_columns(rows: list[Any], columns: Sequence[str], path: Path) -> list[Row]:
    for row in rows:
        if not isinstance(row, dict):
            raise _damaged(path, "holds no objects")
        _require(columns, row, path)
    return rows


def _require(columns: Sequence[str], present: Iterable[str], path: Path) -> None:
    absent = [column for column in columns if column not in present]
    if absent:
        raise UserError(
            f"{path.name} has no column {' or '.join(absent)}, only {', '.join(present)}",
            origin=str(path),
            hint="This is another data set, or another version of it.",
        )
