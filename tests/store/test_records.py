"""Records through parquet and back."""

import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from warmup_bench.store.records import MORE, read_records, write_records

TEXT = st.text(st.characters(codec="utf-8"), max_size=4)
NUMBERS = st.integers(-(2**70), 2**70) | st.floats()
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT | st.just(MORE), inner, max_size=3),
    max_leaves=8,
)


def exact(records: list[dict[str, Any]]) -> str:
    """NaN equals itself, and 1 is neither 1.0 nor True."""
    return json.dumps(records, sort_keys=True)


@given(st.lists(st.dictionaries(TEXT | st.just(MORE), VALUES, max_size=4), min_size=1, max_size=4))
def test_what_is_written_is_read(records: list[dict[str, Any]]) -> None:
    with TemporaryDirectory() as folder:
        write_records(Path(folder, "x.parquet"), records)
        assert exact(read_records(Path(folder, "x.parquet"))) == exact(records)


def test_values_of_one_type_are_columns(tmp_path: Path) -> None:
    records = [
        {"id": "a", "settings": {"rate": 0.1, "on": True}, "size": 1, "notes": []},
        {"id": "b", "settings": {"rate": 0.2, "on": False}, "size": 1.5, "seed": 3},
    ]
    write_records(tmp_path / "x.parquet", records)
    frame = pd.read_parquet(tmp_path / "x.parquet")
    assert list(frame.columns) == ["id", "seed", "settings.on", "settings.rate", MORE]
    assert frame["settings.rate"].tolist() == [0.1, 0.2]
    assert [json.loads(text) for text in frame[MORE]] == [{"notes": [], "size": 1}, {"size": 1.5}]
    assert read_records(tmp_path / "x.parquet") == records
