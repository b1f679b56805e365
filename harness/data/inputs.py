"""What a user names on the command line: a text file, standard input, or a column of a table."""

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from warmup_bench.contracts.errors import UserError
from warmup_bench.data.lines import AGAIN, text_of
from warmup_bench.data.tables import FORMATS, PACKED, Format, column_names, read_table, table_format

STDIN = "-"


@dataclass(frozen=True, slots=True)
class Named:
    """One value a line of a text file or a row of a table.

    Attributes:
        name: As it was typed.
        values: Text of each line; of a table, whatever its cells hold.
        unit: What they are called: ``line`` or ``row``.
    """

    name: str
    values: list[Any]
    unit: str


def read_named(name: str, origin: str) -> Named:
    """Lines of a text file, of standard input (``-``), or a column of a table (``base.jsonl:prediction``).

    Args:
        name: A path, or a path, a colon and a column; keys of nested JSON are joined by dots.
        origin: The option or argument that names it, for errors.

    Raises:
        UserError: It can't be read, is a table without a column, or has no such column.
    """
    if name == STDIN:
        return Named("standard input", _lines(_from_stdin(origin)), "line")
    path, column = split_column(name)
    if not path.exists() or path.is_dir():
        why = "it is a folder" if path.is_dir() else "there is no such file"
        raise UserError(f"can't read {path}: {why}", origin=origin)
    try:
        form = table_format(path)
        if column:
            return Named(name, read_column(path, column, form or _undeclared(text_of(path))), "row")
        if form is None:
            text = text_of(path)
            if _undeclared(text) is None:
                return Named(name, _lines(text), "line")
            form = "json"
        columns = column_names(path, format=form)
    except UserError as error:
        hint = "" if error.hint == AGAIN else error.hint
        raise UserError(error.problem, origin=origin, hint=hint) from error
    raise UserError(
        f"{path} is a table, and no column of it is named",
        origin=origin,
        hint=f"Its columns: {', '.join(columns)}. Write {path}:{columns[-1]}.",
    )


def split_column(name: str) -> tuple[Path, str]:
    """Path and column of ``base.jsonl:prediction``; no column where all of it is a path."""
    path, colon, column = name.rpartition(":")
    if not colon or not path or Path(name).exists() or not Path(path).is_file():
        return Path(name), ""
    return Path(path), column


def read_column(path: Path, column: str, form: Format | None) -> list[Any]:
    """The values of one column, None where there is none; keys of nested JSON are joined by dots.

    Raises:
        UserError: It is no table, or there is no such column.
    """
    if form is None:
        hint = f"Tables end in {', '.join(FORMATS)}, packed or not ({', '.join(PACKED)})."
        raise UserError(f"{path} is no table with columns", hint=hint)
    table = read_table(path, (), format=form)
    known = list(table.column_names)
    top, *keys = [column] if column in known else column.split(".")
    if top not in known:
        raise UserError(f"{path} has no column '{column}'", hint=f"Its columns: {', '.join(known)}.")
    values = list(table[top])
    for key in keys:
        values = [value.get(key) if isinstance(value, dict) else None for value in values]
    if keys and all(value is None for value in values):
        raise UserError(f"{path} has nothing under '{column}'", hint=f"Its columns: {', '.join(known)}.")
    return values


def texts_of(named: Named, origin: str) -> list[str]:
    """Every value as one text; whole numbers are texts too.

    Raises:
        UserError: One is something else.
    """
    return [_text(value, named, number, origin) for number, value in enumerate(named.values, 1)]


def text_lists_of(named: Named, origin: str) -> list[tuple[str, ...]]:
    """Every value as texts: one, several in a list, or none where there is nothing.

    Raises:
        UserError: One is something else.
    """
    lists: list[tuple[str, ...]] = []
    for number, value in enumerate(named.values, 1):
        items: Sequence[Any] = value if isinstance(value, list) else [] if value is None else [value]
        lists.append(tuple(_text(item, named, number, origin) for item in items))
    return lists


def _text(value: Any, named: Named, number: int, origin: str) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    what = "nothing" if value is None else f"{json.dumps(value, ensure_ascii=False, default=str):.40}"
    raise UserError(
        f"{named.unit} {number} of {named.name} holds {what} and not a text",
        origin=origin,
        hint="Name another column, or write the texts of that row.",
    )


def _from_stdin(origin: str) -> str:
    content = sys.stdin.buffer.read()
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise UserError(f"line {line} of standard input is not UTF-8 text", origin=origin) from error


def _lines(text: str) -> list[str]:
    """Lines without their ends; other line separators of Unicode end none."""
    lines = text.replace("\r\n", "\n").split("\n")
    return lines[:-1] if lines[-1] == "" else lines


def _undeclared(text: str) -> Format | None:
    """The format of a table whose name does not tell it: lines of JSON objects are no prose."""
    try:
        row = json.loads(text[: text.find("\n") + 1] or text)
    except ValueError:
        return None
    return "json" if isinstance(row, dict) and row else None
