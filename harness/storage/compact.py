"""Numbers of examples in few bytes: the same values, as a parquet file that stores what they hold.

The statistics of one example are related: its 2-grams are its 1-grams less one, what matches is at most what
is there. A column of whole numbers is therefore stored as its difference from the earlier column that makes
it cheapest, under the name ``s7-s1``; :func:`harness.storage.stored.statistics` adds it up again. Whole
numbers up to 2**52 lose nothing by it. Measured on 1,000 sentences: chrF++ 43 kB -> 10 kB, BLEU 17 kB ->
4 kB.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.metrics.base import FloatArray

_WHOLE = ("uint8", "int8", "uint16", "int16", "uint32", "int32", "int64")
_LARGEST = 2**52
"""Up to here every whole number, and every difference of two, is a float64."""


def write_statistics(path: Path, ids: Sequence[str], statistics: FloatArray) -> None:
    """Write statistics [examples, k]; :func:`harness.storage.stored.statistics` gives the same back."""
    write_columns(path, {"id": list(ids), **as_differences(statistics)})


def as_differences(statistics: FloatArray) -> dict[str, NDArray[Any]]:
    """The columns of statistics [examples, k] by name, whole-number ones less an earlier one where that
    needs fewer bits.
    """
    named: dict[str, NDArray[Any]] = {}
    whole: list[int] = []
    for i, values in enumerate(statistics.T):
        if not _is_whole(values):
            named[f"s{i}"] = values
            continue
        ways = {f"s{i}": values} | {f"s{i}-s{j}": values - statistics[:, j] for j in whole}
        name = min(ways, key=lambda way: _bits(ways[way]))  # the first of equals: the plain column
        named[name] = ways[name].astype(np.int64)
        whole.append(i)
    return named


def write_columns(path: Path, columns: Mapping[str, Any]) -> None:
    """Write numbers, truths and texts as parquet, each column in its smallest lossless type and encoding."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.table({name: _smallest(pa.array(values)) for name, values in columns.items()})
    repeated = [name for name in columns if name != "id" and _is_repeated(table.column(name))]
    other = pa.types.is_boolean, pa.types.is_null
    encodings = {
        field.name: "DELTA_BYTE_ARRAY" if pa.types.is_string(field.type) else "BYTE_STREAM_SPLIT"
        for field in table.schema
        if field.name not in repeated and not any(is_kind(field.type) for is_kind in other)
    }
    pq.write_table(
        table,
        path,
        compression="zstd",
        compression_level=19,
        write_statistics=False,
        store_schema=False,
        use_dictionary=repeated,
        column_encoding=encodings,
    )


def _is_whole(values: FloatArray) -> bool:
    return bool(np.all(np.abs(values) < _LARGEST) and np.all(values == np.rint(values)))


def _bits(values: FloatArray) -> float:
    """Empirical entropy of a column, rounded so that the last bits of a logarithm choose nothing."""
    counts = np.unique(values, return_counts=True)[1]
    return round(float(-(counts * np.log2(counts / len(values))).sum()), 3)


def _smallest(array: Any) -> Any:
    """An arrow array in the smallest type that holds every value exactly."""
    import pyarrow as pa

    if pa.types.is_integer(array.type):
        values = array.to_numpy(zero_copy_only=False)
        low, high = int(values.min()), int(values.max())
        fits = (t for t in _WHOLE if np.iinfo(t).min <= low and high <= np.iinfo(t).max)
        return array.cast(next(fits, str(array.type)))
    if pa.types.is_float64(array.type):
        values = array.to_numpy(zero_copy_only=False)
        with np.errstate(over="ignore"):
            narrow = values.astype(np.float32)
        return pa.array(narrow) if np.array_equal(narrow.astype(np.float64), values) else array
    return array


def _is_repeated(values: Any) -> bool:
    """Whether a dictionary pays: texts and real numbers of which few are distinct."""
    import pyarrow as pa

    kind = values.type
    worth = pa.types.is_string(kind) or pa.types.is_floating(kind)
    return worth and 2 * len(values.unique()) <= len(values)
