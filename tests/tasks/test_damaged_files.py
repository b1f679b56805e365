"""Every task on damaged files: one line with the file, and the row where it can be known."""

import gzip
import importlib
import json
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import layouts
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from warmup_bench.contracts.errors import UserError
from warmup_bench.contracts.task import LoadRequest, Splits

Rows = list[dict[str, Any]]
PAIR = {"translation": "pair"}
SENTENCE = {"id": "name", "text": "text", "url": "text"}
QUESTION = {"text": "text", "question": "text", "options": "texts", "answer": "number"}
RECLOR = {"context": "text", "question": "text", "answers": "texts", "label": "number", "id_string": "text"}


@dataclass(frozen=True)
class Layout:
    """The files of a task that are damaged here, one of each kind.

    Attributes:
        write: What writes the layout.
        task, subset: What reads it.
        files: Below the data folder -> the columns of a table and what they hold; None for lines of text.
    """

    write: Callable[[Path], None]
    task: str
    subset: str
    files: dict[str, dict[str, str] | None]


def _flores_200(folder: Path) -> None:
    layouts.news_commentary(folder)
    layouts.flores_200(folder)


NEWS = "news_commentary/{}/train-00000-of-00001.parquet"
LAYOUTS = {
    "wmt": Layout(
        layouts.wmt,
        "wmt",
        "ru-en",
        {NEWS.format("en-ru"): PAIR, "flores_plus/devtest/rus_Cyrl.jsonl": SENTENCE},
    ),
    "wmt-flores-200": Layout(
        _flores_200,
        "wmt",
        "zh-en",
        {
            "flores200_dataset/dev/zho_Hans.dev": None,
            "flores200_dataset/metadata_devtest.tsv": {"URL": "cell"},
        },
    ),
    "ntrex": Layout(
        layouts.ntrex,
        "ntrex",
        "en-de",
        {
            NEWS.format("de-en"): PAIR,
            "ntrex/NTREX-128/newstest2019-ref.deu.txt": None,
            "ntrex/DOCUMENT_IDS.tsv": None,
        },
    ),
    "multi30k": Layout(
        layouts.multi30k,
        "multi30k",
        "cs-en",
        {"multi30k/test_2016_flickr.cs.gz": None, "multi30k/val.en.gz": None},
    ),
    "libreoffice-help": Layout(
        layouts.libreoffice_help,
        "libreoffice_help",
        "zh-en",
        {"lohelp/en-zh.jsonl.gz": {"id": "text", "en": "text", "zh": "text"}},
    ),
    "xsum": Layout(
        layouts.xsum,
        "xsum",
        "en",
        {"xsum/data/test-00000-of-00001.parquet": {"document": "text", "summary": "text", "id": "text"}},
    ),
    "cnn_dailymail": Layout(
        layouts.cnn_dailymail,
        "cnn_dailymail",
        "en",
        {
            "cnn_dailymail/3.0.0/train-00001-of-00003.parquet": {
                "article": "text",
                "highlights": "text",
                "id": "text",
            }
        },
    ),
    "scitldr": Layout(
        layouts.scitldr,
        "scitldr",
        "en",
        {"scitldr/test.jsonl.gz": {"source": "texts", "target": "texts", "paper_id": "name"}},
    ),
    "logiqa": Layout(layouts.logiqa, "logiqa", "en", {"logiqa/Test.txt": None}),
    "logiqa2": Layout(layouts.logiqa2, "logiqa2", "en", {"logiqa2/logiqa/DATA/LOGIQA/dev.txt": QUESTION}),
    "reclor": Layout(layouts.reclor, "reclor", "en", {"reclor_data/val.json": RECLOR}),
    "ar-lsat": Layout(
        layouts.ar_lsat,
        "ar_lsat",
        "en",
        {"ar-lsat/data/AR_TestData.json": {"id": "text", "passage": "text", "questions": "objects"}},
    ),
}
FILES = [(name, file) for name, layout in LAYOUTS.items() for file in layout.files]
TABLES = [(name, file) for name, file in FILES if LAYOUTS[name].files[file]]
LINES = [(name, file) for name, file in FILES if LAYOUTS[name].files[file] is None]


def load(name: str, folder: Path) -> Splits:
    layout = LAYOUTS[name]
    task = importlib.import_module(f"warmup_bench.tasks.{layout.task}").TASK
    return task.load(LoadRequest(layout.subset, "small", folder, offline=True))


def written(name: str, folder: Path) -> Path:
    LAYOUTS[name].write(folder)
    return folder


def refused(name: str, folder: Path, file: str, row: int | None = None) -> None:
    """See that it is one line with the file, and the row if one is given."""
    with pytest.raises(UserError) as caught:
        load(name, folder)
    message = str(caught.value)
    assert Path(file).name in message
    assert "\n" not in caught.value.problem
    if row is not None:
        assert f"row {row}" in caught.value.problem


def content(path: Path) -> bytes:
    return gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()


def put(path: Path, new: bytes) -> None:
    path.write_bytes(gzip.compress(new) if path.suffix == ".gz" else new)


def rows_of(path: Path) -> Rows:
    if path.suffix == ".parquet":
        return pq.read_table(path).to_pylist()
    text = content(path).decode()
    if path.suffix == ".tsv":
        header, *lines = (line.split("\t") for line in text.splitlines())
        return [dict(zip(header, line, strict=True)) for line in lines]
    return json.loads(text) if text.startswith("[") else [json.loads(line) for line in text.splitlines()]


def put_rows(path: Path, rows: list[Any]) -> None:
    if path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
    elif path.suffix == ".tsv":
        put(path, "\n".join("\t".join(row) for row in [rows[0].keys(), *(r.values() for r in rows)]).encode())
    elif content(path).startswith(b"["):
        put(path, json.dumps(rows).encode())
    else:
        put(path, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode())


def _half(raw: bytes) -> bytes:
    return raw[: len(raw) // 2]


def _zeros(raw: bytes) -> bytes:
    return raw[:-40] + bytes(40)


BYTES: dict[str, Callable[[bytes], bytes]] = {
    "cut": _half,
    "the end overwritten": _zeros,
    "empty": lambda raw: b"",
    "a page": lambda raw: b"<!DOCTYPE html>\n<html><body>Not found</body></html>\n",
    "another packing": lambda raw: b"BZh91AY&SY" + raw[:50],
}
UNSEEN = {("logiqa/Test.txt", "cut"), ("ntrex/DOCUMENT_IDS.tsv", "another packing")}
"""What leaves text of the right shape: only the hash tells it."""


@pytest.mark.parametrize(("name", "file"), FILES)
@pytest.mark.parametrize("damage", BYTES)
def test_bytes(name: str, file: str, damage: str, tmp_path: Path) -> None:
    path = written(name, tmp_path) / file
    path.write_bytes(BYTES[damage](path.read_bytes()))
    if (file, damage) in UNSEEN:
        assert path.name in " ".join(load(name, tmp_path).notes)
    else:
        refused(name, tmp_path, file)


@pytest.mark.parametrize(("name", "file"), FILES)
def test_a_byte_that_is_no_text(name: str, file: str, tmp_path: Path) -> None:
    path = written(name, tmp_path) / file
    if path.suffix == ".parquet":
        table = pq.read_table(path)
        first = table.column(next(iter(LAYOUTS[name].files[file] or ()))).combine_chunks()
        texts = first.field(0) if pa.types.is_struct(first.type) else first
        binary = pa.array([text.encode() + b"\xff" for text in texts.to_pylist()], pa.binary())
        bad = pa.Array.from_buffers(pa.string(), len(binary), binary.buffers())
        if pa.types.is_struct(first.type):
            names = [field.name for field in first.type]
            bad = pa.StructArray.from_arrays([bad, *first.flatten()[1:]], names)
        place = table.schema.get_field_index(next(iter(LAYOUTS[name].files[file] or ())))
        pq.write_table(table.set_column(place, table.schema.names[place], bad), path)
    else:
        text = content(path)
        middle = text.index(b" " if b" " in text else b".", len(text) // 2)
        put(path, text[:middle] + b"\xff" + text[middle + 1 :])
    refused(name, tmp_path, file)


@pytest.mark.parametrize(("name", "file"), FILES)
def test_a_flipped_byte_is_never_a_traceback(name: str, file: str, tmp_path: Path) -> None:
    path = written(name, tmp_path) / file
    raw, rng, whole = path.read_bytes(), random.Random(file), load(name, tmp_path)
    for _ in range(8):
        place = rng.randrange(len(raw))
        path.write_bytes(raw[:place] + bytes([raw[place] ^ rng.randrange(1, 256)]) + raw[place + 1 :])
        try:
            splits = load(name, tmp_path)
        except UserError as error:
            assert "\n" not in error.problem
        else:  # such as a letter for another; of a packed file, in its header
            assert path.suffix != ".gz" or splits == whole


WRONG: dict[str, list[Any]] = {
    "text": [7, ["a"], {"a": "b"}, True, None],
    "name": [["a"], 1.5, {"a": "b"}, True, None],
    "texts": ["text", 7, [1], [None], [["a"]], None],
    "number": [4, -1, "x", "", 1.5, True, ["a"], None],
    "pair": [None],
    "objects": ["text", 7, ["a"], [None], [{}], None],
}


def wrong_cells() -> Iterator[tuple[str, str, str, Any]]:
    for name, file in TABLES:
        for column, kind in (LAYOUTS[name].files[file] or {}).items():
            for value in WRONG.get(kind, ()):
                if not file.endswith(".parquet") or value is None:
                    yield name, file, column, value


@pytest.mark.parametrize(("name", "file", "column", "value"), list(wrong_cells()))
def test_a_cell(name: str, file: str, column: str, value: Any, tmp_path: Path) -> None:
    path = written(name, tmp_path) / file
    rows = rows_of(path)
    rows[2][column] = value
    put_rows(path, rows)
    refused(name, tmp_path, file, row=3)


@pytest.mark.parametrize(("name", "file"), TABLES)
def test_a_column(name: str, file: str, tmp_path: Path) -> None:
    path = written(name, tmp_path) / file
    first = next(iter(LAYOUTS[name].files[file] or ()))
    rows = rows_of(path)
    put_rows(path, [{key: value for key, value in row.items() if key != first} for row in rows])
    refused(name, tmp_path, file)
    if path.suffix == ".parquet":
        put_rows(path, [row | {first: 7} for row in rows])
        refused(name, tmp_path, file, row=1)


@pytest.mark.parametrize(
    ("name", "file"), [case for case in TABLES if not case[1].endswith((".parquet", ".tsv"))]
)
@pytest.mark.parametrize("row", [None, 7, "text", [1]])
def test_a_row_that_is_no_object(name: str, file: str, row: Any, tmp_path: Path) -> None:
    path = written(name, tmp_path) / file
    rows: list[Any] = rows_of(path)
    rows[2] = row
    put_rows(path, rows)
    refused(name, tmp_path, file, row=3)


@pytest.mark.parametrize(("name", "file"), LINES)
@pytest.mark.parametrize("damage", ["missing", "empty"])
def test_a_line(name: str, file: str, damage: str, tmp_path: Path) -> None:
    path = written(name, tmp_path) / file
    lines = content(path).decode().split("\n")
    lines[2:3] = [] if damage == "missing" else [""]
    put(path, "\n".join(lines).encode())
    refused(name, tmp_path, file)


@pytest.mark.parametrize(("name", "file"), TABLES)
def test_a_missing_row_is_refused_or_named(name: str, file: str, tmp_path: Path) -> None:
    path = written(name, tmp_path) / file
    rows = rows_of(path)
    put_rows(path, rows[:2] + rows[3:])
    if file.startswith("flores"):  # its sentences are numbered, or stand beside others
        refused(name, tmp_path, file)
        return
    told = " ".join(load(name, tmp_path).notes)
    names = {
        "wmt": "en-ru.parquet",
        "ntrex": "de-en.parquet",
        "scitldr": "test.jsonl",
        "logiqa2": "dev.jsonl",
    }
    names["ar-lsat"] = "AR_TestData.json"
    assert name in names or name in ("libreoffice-help", "xsum", "cnn_dailymail", "reclor")  # nobody tells it
    assert names.get(name, "") in told


@pytest.mark.parametrize("answer", ["a", "F", "", "AB", 1, None])
def test_an_answer_of_ar_lsat(answer: Any, tmp_path: Path) -> None:
    path = written("ar-lsat", tmp_path) / "ar-lsat" / "data" / "AR_TestData.json"
    rows = rows_of(path)
    rows[1]["questions"][0]["answer"] = answer
    put_rows(path, rows)
    refused("ar-lsat", tmp_path, "AR_TestData.json", row=2)


@pytest.mark.parametrize("letter", ["e", "", "ab", "1"])
def test_an_answer_of_logiqa(letter: str, tmp_path: Path) -> None:
    path = written("logiqa", tmp_path) / "logiqa" / "Test.txt"
    lines = path.read_text(encoding="utf-8").split("\n")
    lines[9] = letter
    path.write_text("\n".join(lines), encoding="utf-8")
    with pytest.raises(UserError, match=r"Test\.txt lines 9 to 16 are not an empty line, a letter"):
        load("logiqa", tmp_path)


@pytest.mark.parametrize("side", ["en", "ru"])
def test_a_pair_without_a_text(side: str, tmp_path: Path) -> None:
    path = written("wmt", tmp_path) / NEWS.format("en-ru")
    rows = rows_of(path)
    rows[4]["translation"][side] = None
    put_rows(path, rows)
    refused("wmt", tmp_path, path.name, row=5)
