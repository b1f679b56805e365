import gzip
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from warmup_bench.contracts.errors import UserError
from warmup_bench.tasks.reading import json_lines, json_list, paired_lines, parquet_rows, text_lines


def written(path: Path, text: str) -> Path:
    content = text.encode("utf-8")
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return path


@pytest.mark.parametrize("name", ["a.txt", "a.txt.gz"])
def test_only_line_feeds_end_a_line(tmp_path: Path, name: str) -> None:
    path = written(tmp_path / name, "\ufeff one\u2028line \r\n\n déjà\n")
    assert text_lines(path) == ["one\u2028line", "", "déjà"]


def test_pairs_of_lines(tmp_path: Path) -> None:
    a, b = written(tmp_path / "a.gz", "1\n2\n"), written(tmp_path / "b", "one\ntwo")
    assert paired_lines(a, b) == [("1", "one"), ("2", "two")]
    with pytest.raises(UserError, match=r"a\.gz has 2 lines and c has 1"):
        paired_lines(a, written(tmp_path / "c", "one\n"))
    with pytest.raises(UserError, match="line 2 of d is empty") as caught:
        paired_lines(a, written(tmp_path / "d", "one\n \n"))
    assert caught.value.origin.endswith("/d")


@pytest.mark.parametrize(
    "content",
    [b"not packed", gzip.compress(b"\xff\xfe\n", mtime=0), gzip.compress(b"x\n" * 99, mtime=0)[:-9]],
    ids=["not packed", "no UTF-8", "cut"],  # gzip writes the time: no id may hold it
)
def test_damaged_files_are_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "train.en.gz"
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"train\.en\.gz can't be read"):
        text_lines(path)


def test_json_lines(tmp_path: Path) -> None:
    path = written(tmp_path / "a.jsonl.gz", '{"a": "one\u2028line", "b": 1}\n\n{"b": [2], "a": ""}\n')
    assert json_lines(path, ["a", "b"]) == [{"a": "one\u2028line", "b": 1}, {"a": "", "b": [2]}]
    with pytest.raises(UserError, match=r"a\.jsonl\.gz has no column c or d, only a, b"):
        json_lines(path, ["a", "c", "d"])
    for text in ("<html>\n", '{"a": 1}\n[1]\n'):
        with pytest.raises(UserError, match=r"x\.jsonl (is not a file of JSON lines|holds no objects)"):
            json_lines(written(tmp_path / "x.jsonl", text), ["a"])


def test_json_list(tmp_path: Path) -> None:
    assert json_list(written(tmp_path / "a.json", '[{"a": 1}]'), ["a"]) == [{"a": 1}]
    for text, message in (("{", "is not JSON"), ('{"a": 1}', "holds no list"), ("[1]", "holds no objects")):
        with pytest.raises(UserError, match=rf"b\.json {message}"):
            json_list(written(tmp_path / "b.json", text), ["a"])


def test_parquet(tmp_path: Path) -> None:
    first, second = tmp_path / "0.parquet", tmp_path / "1.parquet"
    pq.write_table(pa.table({"a": [1, 2], "b": ["x", "y"]}), first)
    pq.write_table(pa.table({"b": ["z"], "a": [3]}), second)
    assert parquet_rows([first, second], ["a"]) == [{"a": 1}, {"a": 2}, {"a": 3}]
    with pytest.raises(UserError, match=r"0\.parquet has no column c, only a, b"):
        parquet_rows([first], ["c"])
    with pytest.raises(UserError, match=r"2\.parquet is not a parquet file"):
        parquet_rows([written(tmp_path / "2.parquet", "<html>")], ["a"])
