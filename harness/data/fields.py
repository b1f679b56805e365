"""What an example takes from a row: a column, a place inside of one, or a short template of them."""

import re
from collections.abc import Iterator
from typing import Any

from warmup_bench.data.tables import Row

_PIECES = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")
_STEPS = re.compile(r"\.([^.\[\]]+)|\[(\d+|\*)\]")
NOTHING = object()


def columns_of(field: str) -> Iterator[str]:
    """The columns that a field reads.

    ``text`` is one; ``translation.de`` and ``choices[0]`` read a part of one, and
    ``sentences[*]`` all of a list, joined by spaces; ``{question} {context}`` reads
    two. Braces of the text itself are doubled.

    Raises:
        ValueError: A brace has no partner, or nothing stands between two.
    """
    if "{" not in field and "}" not in field:
        yield _column(field)
        return
    for piece in _PIECES.finditer(field):
        if piece[0] in ("{", "}") or (piece[1] is not None and not piece[1].strip()):
            raise ValueError(f"{field!r} has a brace without a column; double those that are text")
        if piece[1] is not None:
            yield _column(piece[1])


def value_of(field: str, row: Row) -> Any:
    """The value of a column or of a part of one; the text of a template.

    Raises:
        UserError: The row has no such part, or a template takes what is no text and no number.
    """
    if "{" not in field and "}" not in field:
        return _found(field, row)

    def shown(piece: re.Match[str]) -> str:
        return plain(_found(piece[1], row), piece[1], row) if piece[1] is not None else piece[0][0]

    return _PIECES.sub(shown, field)


def text_of(field: str, row: Row) -> str:
    """The text of a field, without white space at its ends; numbers and truth values are written out.

    Raises:
        UserError: As :func:`value_of`, or it is no text.
    """
    return plain(value_of(field, row), field, row).strip()


def plain(value: Any, field: str, row: Row) -> str:
    """A text, number or truth value as text.

    Raises:
        UserError: It is something else.
    """
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str | int | float):
        return str(value)
    raise row.not_a("text", field, value)


def _column(path: str) -> str:
    return re.split(r"[.\[]", path.strip(), maxsplit=1)[0]


def _found(path: str, row: Row) -> Any:
    path = path.strip()
    column = _column(path)
    value = row.values[column]
    steps = path[len(column) :]
    if "".join(step[0] for step in _STEPS.finditer(steps)) != steps:
        raise row.damaged(f"{path!r} is no column", "Write column, column.key or column[0].")
    for step in _STEPS.finditer(steps):
        if step[2] == "*" and isinstance(value, list):
            value = " ".join(plain(item, path, row).strip() for item in value)
            continue
        part: Any = NOTHING
        if step[1] is not None and isinstance(value, dict):
            part = value.get(step[1], NOTHING)
        elif step[2] not in (None, "*") and isinstance(value, list) and int(step[2]) < len(value):
            part = value[int(step[2])]
        if part is NOTHING:
            raise row.damaged(f"column {column} has no {path}")
        value = part
    return value
