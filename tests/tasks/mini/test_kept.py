"""Rows are made once, and again for other code, packages or arguments, or where the file is no good."""

from pathlib import Path

import pytest

from warmup_bench.tasks.mini import cldr, kept
from warmup_bench.tasks.mini.kept import kept as keep

ROWS = [["a", 1, 2.5, None], ["Ж", [1, 2], "lone \ud800", ""]]


class Make:
    times = 0

    def __call__(self) -> list[object]:
        self.times += 1
        return ROWS


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("WARMUP_BENCH_CACHE", str(tmp_path))
    return tmp_path / "mini"


def test_rows_are_made_once_for_what_they_depend_on(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make = Make()
    for _ in range(2):
        assert keep("rows", ["numpy"], make, 3) == ROWS
    assert make.times == 1
    keep("rows", ["numpy"], make, 4)  # another argument
    keep("rows", ["numpy", "nosuch"], make, 3)  # another package
    monkeypatch.setattr(kept, "version", lambda package: "99")
    keep("rows", ["numpy"], make, 3)  # another release
    assert make.times == 4
    assert len(list(folder.iterdir())) == 4


@pytest.mark.parametrize("harm", ["", "0" * 64 + "\n[]", "cut", "not text"])
def test_a_damaged_file_is_made_again(folder: Path, harm: str) -> None:
    make = Make()
    keep("rows", [], make)
    (path,) = folder.iterdir()
    whole = path.read_bytes()
    path.write_bytes({"cut": whole[:-1], "not text": b"\xff" + whole}.get(harm, harm.encode()))
    assert keep("rows", [], make) == ROWS
    assert make.times == 2
    assert path.read_bytes() == whole


def test_a_cache_that_cannot_be_written_is_done_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("WARMUP_BENCH_CACHE", str(tmp_path / "file"))
    assert keep("rows", [], Make()) == ROWS


def test_what_is_read_is_what_was_made(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = list(cldr.corpus(40, 5))
    monkeypatch.setattr(cldr, "renderer", None)  # nothing is written a second time
    assert list(cldr.corpus(40, 5)) == made
