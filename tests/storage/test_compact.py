from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from harness.storage.compact import as_differences, write_columns, write_statistics
from harness.storage.store import CorruptError, read_table, write_table
from harness.storage.stored import statistics

WHOLE = st.integers(-(2**52) + 1, 2**52 - 1).map(float)
REAL = st.floats(-1e30, 1e30, allow_nan=False)


def read(path: Path):  # type: ignore[no-untyped-def]
    return statistics(read_table(path), path)


def test_related_counts_are_stored_as_their_differences() -> None:
    lengths = np.arange(20.0) % 7 + 4
    found = as_differences(np.stack([lengths, lengths - 1, 0 * lengths, lengths + 0.5], axis=1))
    assert list(found) == ["s0", "s1-s0", "s2", "s3"]  # one less; cheap by itself; no whole numbers
    np.testing.assert_array_equal(found["s1-s0"], np.full(20, -1))


@settings(max_examples=40)
@given(arrays(np.float64, st.tuples(st.integers(1, 12), st.integers(1, 5)), elements=WHOLE | REAL))
def test_every_value_is_given_back(tmp_path_factory: pytest.TempPathFactory, values: np.ndarray) -> None:
    path = tmp_path_factory.mktemp("s") / "statistics.parquet"
    ids = [f"doc-é-{i}" for i in range(len(values))]
    write_statistics(path, ids, values)
    found_ids, found = read(path)
    assert found_ids == ids
    np.testing.assert_array_equal(found, values)


def test_a_chain_of_differences_is_added_up_in_order(tmp_path: Path) -> None:
    path = tmp_path / "statistics.parquet"
    write_table(path, {"id": ["a", "b"], "s0": [10, 20], "s1-s0": [-1, 1], "s2-s1": [5, 0]})
    assert read(path)[1].tolist() == [[10, 9, 14], [20, 21, 21]]


@pytest.mark.parametrize("names", [["s1-s0", "s0"], ["s0", "s0-s0"], ["s0", "s1-s1"], ["-s0"], ["s0-", "s0"]])
def test_a_difference_from_nothing_is_corrupt(names: list[str], tmp_path: Path) -> None:
    write_table(tmp_path / "x.parquet", {"id": ["a"], **{name: [1.0] for name in names}})
    with pytest.raises(CorruptError, match=r"x\.parquet"):
        read(tmp_path / "x.parquet")


def test_columns_take_their_smallest_type(tmp_path: Path) -> None:
    columns = {
        "id": ["a", "b", "c", "d"],
        "group": [None, "x", "x", "x"],
        "none": [None] * 4,
        "truth": [True, False, True, True],
        "byte": [0, 255, 3, 3],
        "signed": [-128, 127, 0, 0],
        "word": [256, 0, 0, 0],
        "wide": [-(2**40), 1, 1, 1],
        "single": [0.5, 0.25, 3.0, 4.0],
        "double": [0.1, 0.5, 0.5, 0.5],
        "huge": [1e300, 0.5, 0.5, 0.5],
    }
    write_columns(tmp_path / "x.parquet", columns)
    table = read_table(tmp_path / "x.parquet")
    assert table.to_pydict() == columns
    kinds = {name: str(kind) for name, kind in zip(table.column_names, table.schema.types, strict=True)}
    assert kinds | {"none": ""} == {
        **{"id": "string", "group": "string", "none": "", "truth": "bool"},
        **{"byte": "uint8", "signed": "int8", "word": "uint16", "wide": "int64"},
        **{"single": "float", "double": "double", "huge": "double"},
    }


def test_counts_of_sentences_take_a_third_of_the_room(tmp_path: Path) -> None:
    """Such as chrF's: n-grams of a text, each order one less than the last."""
    rng = np.random.default_rng(0)
    length = rng.integers(20, 120, size=(1000, 1))
    counts = np.maximum(length - np.arange(6), 0).astype(np.float64)
    ids = [f"test-{i:05d}" for i in range(1000)]
    write_statistics(tmp_path / "small.parquet", ids, counts)
    write_table(tmp_path / "plain.parquet", {"id": ids, **{f"s{i}": counts[:, i] for i in range(6)}})
    assert 3 * (tmp_path / "small.parquet").stat().st_size < (tmp_path / "plain.parquet").stat().st_size
    assert pq.read_metadata(tmp_path / "small.parquet").num_rows == 1000
