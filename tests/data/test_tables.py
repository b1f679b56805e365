import bz2
import gzip
import json
import lzma
import os
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from warmup_bench.contracts.errors import UserError
from warmup_bench.data.tables import Row, column_names, read_rows, table_format

PACKERS = {"": bytes, ".gz": gzip.compress, ".bz2": bz2.compress, ".xz": lzma.compress}


def written(path: Path, text: str) -> Path:
    pack = PACKERS.get(path.suffix, bytes)
    path.write_bytes(pack(text.encode("utf-8")))
    return path


def values(path: Path, *columns: str, **options: str) -> list[dict]:
    return [row.values for row in read_rows(path, columns, **options)]


@pytest.mark.parametrize("packed", PACKERS)
def test_json_lines(tmp_path: Path, packed: str) -> None:
    path = written(tmp_path / f"a.jsonl{packed}", '{"a": "one\u2028line", "b": 1}\n\n{"b": 2, "a": ""}\n')
    assert values(path, "a", "b") == [{"a": "one\u2028line", "b": 1}, {"a": "", "b": 2}]
    assert column_names(path) == ["a", "b"]
    with pytest.raises(UserError, match=r"a\.jsonl.* has no column c or d, only a, b"):
        values(path, "a", "c", "d")


def test_json_in_its_other_forms(tmp_path: Path) -> None:
    assert values(written(tmp_path / "list.json", '[{"a": "2019-01-01"}, {"a": "x"}]'), "a") == [
        {"a": "2019-01-01"},
        {"a": "x"},
    ]
    nested = written(tmp_path / "field.json", '{"version": 2, "data": [{"a": "x"}]}')
    assert values(nested, "a", field="data") == [{"a": "x"}]
    assert values(written(tmp_path / "train.txt", '{"a": "x"}\n'), "a", format="json") == [{"a": "x"}]


def test_cells_of_csv_and_tsv_are_texts_as_they_stand(tmp_path: Path) -> None:
    path = written(tmp_path / "a.csv", '\ufeffid,text\n001,NA\n1.50,"two\nlines, ""quoted"""\n,null\n')
    assert values(path, "id", "text") == [
        {"id": "001", "text": "NA"},
        {"id": "1.50", "text": 'two\nlines, "quoted"'},
        {"id": "", "text": "null"},
    ]
    path = written(tmp_path / "a.tsv.gz", 'id\ttext\n1\t"an opening quote\n2\tx\n')
    assert values(path, "text") == [{"text": '"an opening quote'}, {"text": "x"}]


def test_parquet_in_parts(tmp_path: Path) -> None:
    first, second = tmp_path / "0.parquet", tmp_path / "1.parquet"
    pq.write_table(pa.table({"a": [1, 2], "b": ["x", "y"]}), first)
    pq.write_table(pa.table({"b": ["z"], "a": [3]}), second)
    rows = list(read_rows([first, second], ["a"]))
    assert [(row.values, row.path, row.number) for row in rows] == [
        ({"a": 1}, first, 1),
        ({"a": 2}, first, 2),
        ({"a": 3}, second, 1),
    ]
    with pytest.raises(UserError, match=r"0\.parquet has no column c, only a, b"):
        values(first, "c")


@given(st.lists(st.tuples(st.text(st.characters(codec="utf-8")), st.integers(-9, 9)), min_size=1, max_size=5))
def test_any_text_comes_back(tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, int]]) -> None:
    wanted = [{"a": text, "b": number} for text, number in rows]
    path = tmp_path_factory.mktemp("json") / "a.jsonl"
    lines = "".join(json.dumps(row) + "\n" for row in wanted)
    assert values(written(path, lines), "a", "b") == wanted


DAMAGE = {
    "half.jsonl": (b'{"a": "x"}\n{"a": ', r"row 2: this is not JSON"),
    "page.jsonl": (b"<html>\n", r"row 1: this is not JSON"),
    "list.jsonl": (b'{"a": "x"}\n[1]\n', r"row 2: this is a list and not an object"),
    "types.jsonl": (b'{"a": ["x"]}\n{"a": "y"}\n', r"row [12]: column a holds a (text|list)"),
    "surrogate.jsonl": (b'{"a": "\\ud800"}\n', r"is not JSON: .*surrogate"),
    "latin.jsonl": (b'{"a": "\xff"}\n', r"line 1 is not UTF-8"),
    "empty.jsonl": (b"", r"is empty"),
    "none.json": (b"{}", r"no column a|holds no|is not JSON"),
    "cut.jsonl.gz": (gzip.compress(b'{"a": "x"}\n' * 999, mtime=0)[:-9], r"can't be read: Compressed file"),
    "plain.jsonl.gz": (b"nothing packed", r"can't be read|not JSON"),
    "ragged.csv": (b"a,b\n1,2\n3,4,5\n", r"row 2: the number of cells is 3, of columns 2"),
    "short.csv": (b"b,a\n1,2\n3\n", r"row 2: the number of cells is 1, of columns 2"),
    "empty.csv": (b"", r"is empty"),
    "page.parquet": (b"<html>", r"is not a parquet file"),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_damage_is_one_line_with_file_and_row(
    tmp_path: Path, name: str, capfd: pytest.CaptureFixture[str]
) -> None:
    content, problem = DAMAGE[name]
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(UserError, match=problem) as caught:
        [row.texts("a") if "types" in name else row.text("a") for row in read_rows(path, ["a"])]
    assert caught.value.problem.startswith(path.name) and caught.value.origin == str(path)
    assert "\n" not in caught.value.problem
    assert capfd.readouterr() == ("", "")


def test_what_is_no_table_says_which_files_are(tmp_path: Path) -> None:
    assert table_format(Path("x/test.JSONL.gz")) == "json" and table_format(Path("x/test.en.gz")) is None
    with pytest.raises(UserError, match=r"a\.docx is no table") as caught:
        values(written(tmp_path / "a.docx", "x"), "a")
    assert ".parquet" in caught.value.hint
    with pytest.raises(UserError, match=r"b\.csv can't be read: No such file"):
        values(tmp_path / "b.csv", "a")


def test_a_file_that_changes_within_its_time_stamp_is_read_anew(tmp_path: Path) -> None:
    path = written(tmp_path / "a.jsonl", '{"a": "one"}\n')
    os.utime(path, (0, 0))
    assert values(path, "a") == [{"a": "one"}]
    written(path, '{"a": "two"}\n')
    os.utime(path, (0, 0))
    assert values(path, "a") == [{"a": "two"}]


def test_a_cache_that_cannot_be_written_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("WARMUP_BENCH_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(UserError) as caught:
        values(written(tmp_path / "a.jsonl", '{"a": "one"}\n'), "a")
    assert "WARMUP_BENCH_CACHE" in caught.value.hint


ROW = {"text": "x", "none": None, "list": ["a", None], "number": 7, "truth": True, "objects": [{"a": 1}]}


@pytest.mark.parametrize(
    ("read", "problem"),
    [
        (lambda row: row.text("none"), "column none holds nothing and not a text"),
        (lambda row: row.text("number"), "column number holds the int 7 and not a text"),
        (lambda row: row.name("truth"), "column truth holds a truth value"),
        (lambda row: row.texts("text"), "column text holds a text and not a list of texts"),
        (lambda row: row.texts("list"), "item 2 of column list is nothing and not a text"),
        (lambda row: row.number_in("number", 4), "column number holds '7' and not a number from 0 to 3"),
        (lambda row: row.one_of("text", ("A", "B")), "column text holds 'x' and not one of A, B"),
        (lambda row: row.nested("list", ["a"]), "column list holds a list and not a list of objects"),
        (lambda row: row.nested("objects", ["a", "b"]), "an object of column objects has no b"),
    ],
)
def test_a_row_names_what_is_wrong_with_it(read, problem: str) -> None:
    with pytest.raises(UserError) as caught:
        read(Row(ROW, Path("data/train.jsonl"), 12))
    assert str(caught.value).startswith("train.jsonl row 12: ") and problem in str(caught.value)


def test_importing_the_package_imports_no_reader() -> None:
    code = "import sys, warmup_bench.data.tables; assert 'datasets' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_an_empty_line_of_one_column_may_be_an_empty_text(tmp_path: Path) -> None:
    path = written(tmp_path / "a.csv", "text\none\n\ntwo\n")
    with pytest.raises(
        UserError, match=r'a\.csv has an empty line before row 2 .*Write "" for an empty text'
    ):
        values(path, "text")
    assert values(written(path, 'text\none\n""\ntwo\n\n'), "text") == [
        {"text": "one"},
        {"text": ""},
        {"text": "two"},
    ]
    two = written(tmp_path / "b.csv", "a,b\n1,2\n\n3,4\n")
    assert values(two, "a") == [{"a": "1"}, {"a": "3"}]
