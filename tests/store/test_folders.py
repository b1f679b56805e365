import json
import os
from pathlib import Path

import pytest

from warmup_bench.contracts.errors import UserError
from warmup_bench.store.folders import (
    DONE,
    CorruptError,
    check,
    is_done,
    read_json,
    read_table,
    require_writable,
    write_file,
    write_table,
    writing,
)


def store(folder: Path) -> Path:
    with writing(folder) as temporary:
        (temporary / "a.txt").write_text("alpha", encoding="utf-8")
        (temporary / "sub").mkdir()
        write_table(temporary / "sub" / "t.parquet", {"id": ["x", "y"], "v": [1.5, 2.5]})
    return folder


def test_a_folder_appears_whole_with_its_mark(tmp_path: Path) -> None:
    folder = store(tmp_path / "cells" / "one")
    assert is_done(folder)
    assert check(folder) == folder
    assert read_table(folder / "sub" / "t.parquet").to_pydict() == {"id": ["x", "y"], "v": [1.5, 2.5]}
    assert sorted(p.name for p in (tmp_path / "cells").iterdir()) == ["one"]


def test_nothing_is_left_of_a_write_that_fails(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), writing(tmp_path / "one") as temporary:
        (temporary / "a.txt").write_text("alpha", encoding="utf-8")
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", ["alphb", "al", None], ids=["flip", "truncate", "remove"])
def test_damage_is_named_and_nothing_is_deleted(tmp_path: Path, content: str | None) -> None:
    folder = store(tmp_path / "one")
    (folder / "a.txt").unlink()
    if content is not None:
        (folder / "a.txt").write_text(content, encoding="utf-8")
    before = sorted(folder.rglob("*"))
    with pytest.raises(CorruptError, match=r"a\.txt"):
        check(folder)
    assert sorted(folder.rglob("*")) == before


def test_a_damaged_manifest_or_table_is_corrupt_too(tmp_path: Path) -> None:
    folder = store(tmp_path / "one")
    (folder / "sub" / "t.parquet").write_bytes(b"PAR1 no")
    with pytest.raises(CorruptError, match=r"t\.parquet"):
        read_table(folder / "sub" / "t.parquet")
    (folder / DONE).write_text("{", encoding="utf-8")
    with pytest.raises(CorruptError, match=DONE):
        check(folder)
    (folder / DONE).write_text("[]", encoding="utf-8")
    with pytest.raises(CorruptError):
        read_json(folder / DONE)


def test_a_column_whose_name_is_no_text_makes_a_table_corrupt(tmp_path: Path) -> None:
    """Found by fuzzing: the name is read long after the file."""
    path = tmp_path / "table.parquet"
    write_table(path, {"group": ["a"]})
    path.write_bytes(path.read_bytes().replace(b"group", b"\xffroup", 1))
    with pytest.raises(CorruptError, match=r"table.parquet can't be read"):
        read_table(path)


def test_a_newer_schema_is_refused_by_name(tmp_path: Path) -> None:
    folder = store(tmp_path / "one")
    manifest = read_json(folder / DONE) | {"schema_version": 99}
    (folder / DONE).write_text(json.dumps(manifest), encoding="utf-8")
    with pytest.raises(UserError, match="schema version 99"):
        check(folder)


def test_the_second_of_two_writers_keeps_the_first_result(tmp_path: Path) -> None:
    with writing(tmp_path / "one") as late:
        (late / "a.txt").write_text("late", encoding="utf-8")
        early = tmp_path / "early"
        store(early).rename(tmp_path / "one")
    assert (tmp_path / "one" / "a.txt").read_text(encoding="utf-8") == "alpha"


def test_places_that_can_not_be_written(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("", encoding="utf-8")
    for attempt in (
        lambda: require_writable(blocked),
        lambda: require_writable(blocked / "below"),
        lambda: write_file(blocked / "x.yaml", "a: 1"),
        lambda: store(blocked / "one"),
    ):
        with pytest.raises(UserError, match="--out"):
            attempt()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_folder(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(UserError, match="not writable"):
        require_writable(tmp_path / "out")
