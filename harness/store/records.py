"""Records (plain data, as from JSON) as the rows of a parquet file, so that pandas opens them.

A value inside of a record becomes a column by its path (``settings.train.learning_rate``) where it is of one
plain type in every record that has it; the others stay together in ``more``, as JSON. Nothing is lost:
:func:`read_records` gives the records back.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from warmup_bench.store.folders import read_table, write_table
from warmup_bench.store.stored import column, misshapen

MORE = "more"
"""The column of what has no column of its own."""
_PLAIN = (str, bool, int, float)
_LARGEST = 2**63

_Values = dict[tuple[str, ...], Any]
"""Values of a record by their path in it."""


def write_records(path: Path, records: Sequence[Mapping[str, Any]]) -> None:
    """Write records, one row each, in their order; columns by name."""
    rows = [dict(_values(record)) for record in records]
    types: dict[tuple[str, ...], set[type]] = {}
    for row in rows:
        for place, value in row.items():
            types.setdefault(place, set()).add(_type(place, value))
    plain = {place for place, kinds in types.items() if len(kinds) == 1 and kinds < set(_PLAIN)}
    columns: dict[str, Any] = {".".join(place): [row.get(place) for row in rows] for place in sorted(plain)}
    rest = (_nested({place: value for place, value in row.items() if place not in plain}) for row in rows)
    columns[MORE] = [json.dumps(record, ensure_ascii=False, sort_keys=True) for record in rest]
    write_table(path, columns)


def read_records(path: Path) -> list[dict[str, Any]]:
    """What :func:`write_records` has written.

    Raises:
        CorruptError: The file can't be read, or holds no records.
    """
    table = read_table(path)
    more = column(table, MORE, "text", path)
    rows = table.drop_columns([MORE]).to_pylist()
    try:
        return [
            _nested(
                {tuple(name.split(".")): value for name, value in row.items() if value is not None}
                | dict(_values(json.loads(rest)))
            )
            for row, rest in zip(rows, more, strict=True)
        ]
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise misshapen(path, str(error)) from error


def _values(record: Mapping[str, Any], outer: tuple[str, ...] = ()) -> Iterable[tuple[tuple[str, ...], Any]]:
    for key, value in record.items():
        if isinstance(value, Mapping) and value:
            yield from _values(value, (*outer, key))
        else:
            yield (*outer, key), value


def _nested(values: _Values) -> dict[str, Any]:
    record: dict[str, Any] = {}
    for (*outer, last), value in values.items():
        inside = record
        for key in outer:
            inside = inside.setdefault(key, {})
        inside[last] = value
    return record


def _type(place: tuple[str, ...], value: Any) -> type:
    """The type of a value; ``object`` where no column can hold it under its path."""
    taken = place == (MORE,) or any("." in key for key in place)
    return object if taken or (type(value) is int and abs(value) >= _LARGEST) else type(value)
