import bz2
import gzip
import lzma
from pathlib import Path

import pytest

from warmup_bench.contracts.errors import UserError
from warmup_bench.data.lines import paired_lines, text_lines


def written(path: Path, text: str) -> Path:
    pack = {".gz": gzip.compress, ".bz2": bz2.compress, ".xz": lzma.compress}.get(path.suffix, bytes)
    path.write_bytes(pack(text.encode("utf-8")))
    return path


@pytest.mark.parametrize("name", ["a.txt", "a.txt.gz", "a.txt.bz2", "a.txt.xz"])
def test_only_line_feeds_end_a_line(tmp_path: Path, name: str) -> None:
    path = written(tmp_path / name, "\ufeff one\u2028line\rstill \r\n\n déjà\n")
    assert text_lines(path) == ["one\u2028line\rstill", "", "déjà"]


def test_pairs_of_lines(tmp_path: Path) -> None:
    a, b = written(tmp_path / "a.gz", "1\n2\n"), written(tmp_path / "b", "one\ntwo")
    assert paired_lines(a, b) == [("1", "one"), ("2", "two")]
    with pytest.raises(UserError, match=r"a\.gz has 2 lines and c has 1"):
        paired_lines(a, written(tmp_path / "c", "one\n"))
    with pytest.raises(UserError, match="d has an empty line, 2") as caught:
        paired_lines(a, written(tmp_path / "d", "one\n \n"))
    assert caught.value.origin.endswith("/d")


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"not packed", "Not a gzipped file"),
        (gzip.compress(b"ok\n\xff\xfe\n", mtime=0), "line 2 is not UTF-8 text"),
        (gzip.compress(b"x\n" * 99, mtime=0)[:-9], "Compressed file ended before"),
        (gzip.compress(bytes(range(256)) * 9, mtime=0)[:40] + b"\xff" * 99, "can't be read"),
    ],
    ids=["not packed", "no UTF-8", "cut", "overwritten"],  # gzip writes the time: no id may hold it
)
def test_damaged_files_are_named(tmp_path: Path, content: bytes, problem: str) -> None:
    path = tmp_path / "train.en.gz"
    path.write_bytes(content)
    with pytest.raises(UserError, match=rf"train\.en\.gz can't be read: .*{problem}|{problem}") as caught:
        text_lines(path)
    assert caught.value.origin == str(path)
