"""Stored folders that change places are damage, named by file: a winner is never made by a mix-up."""

import json
import shutil
from pathlib import Path

import pytest

from plugin_files import planned, run_here
from stored_cells import Written, store
from warmup_bench.contracts.settings import Score
from warmup_bench.score.cells import score_cell
from warmup_bench.store.folders import DONE, CorruptError, check, read_json, writing
from warmup_bench.store.results import read_result, read_results

SMALL = {
    "seeds": [0],
    "methods": ["sft", "warmup"],
    "limit": {"train": 16, "validation": 4, "test": 4},
    "warm_start": {"steps": 1},
    "budget": {"steps": 2},
}


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("ran")
    run_here(planned(place, **SMALL))
    return place / "out"


def swap(one: Path, other: Path) -> None:
    aside = one.with_name("aside")
    one.rename(aside)
    other.rename(one)
    aside.rename(other)


@pytest.mark.parametrize("what", ["cells/*/scores/chrf++", "cells/*/decode", "trainings/*", "cells/*"])
def test_what_was_exchanged_between_cells_is_named(ran: Path, tmp_path: Path, what: str) -> None:
    out = tmp_path / "out"
    shutil.copytree(ran, out)
    one, other = sorted(out.glob(what))
    before = [read_json(path / DONE) for path in (one, other) if (path / DONE).exists()]
    assert len(read_results(out)) == 2
    swap(one, other)
    with pytest.raises(CorruptError, match=r"is that of (cells|trainings)/") as caught:
        read_results(out)
    assert str(out) in str(caught.value)
    swap(one, other)
    assert len(read_results(out)) == 2
    assert [read_json(path / DONE) for path in (one, other) if (path / DONE).exists()] == before


def test_a_folder_that_is_moved_with_all_it_holds_is_the_same(ran: Path, tmp_path: Path) -> None:
    shutil.copytree(ran, tmp_path / "elsewhere" / "cells")
    assert len(read_results(tmp_path / "elsewhere" / "cells")) == 2


def write(tmp_path: Path, *texts: str) -> Path:
    return store(tmp_path, "sft", 0, ["a", "b"], [["x y"], ["z w"]], [Written(text) for text in texts])


def test_a_score_of_other_predictions_is_made_again_and_not_shown(tmp_path: Path) -> None:
    cell = write(tmp_path, "x y", "z w")
    assert read_result(cell).scores[1]["score"] == pytest.approx(100)
    shutil.rmtree(cell / "decode")
    write(tmp_path / "again", "x y", "q q")
    with writing(cell / "decode") as folder:
        shutil.copytree(tmp_path / "again" / "cells" / cell.name / "decode", folder, dirs_exist_ok=True)
        (folder / DONE).unlink()
    with pytest.raises(CorruptError, match="made of other predictions"):
        read_result(cell)
    score_cell(cell, ("bleu", "chrf++"), Score())
    assert read_result(cell).scores[1]["score"] < 100


def test_what_0_1_0_has_written_is_read_as_it_was(tmp_path: Path) -> None:
    cell = write(tmp_path, "x y", "z w")
    for done in cell.rglob(DONE):
        content = read_json(done)
        done.write_text(json.dumps({key: content[key] for key in ("schema_version", "files")}))
    assert len(read_result(cell).scores) == 2


def test_a_cell_stands_in_the_folder_of_its_name(tmp_path: Path) -> None:
    cell = write(tmp_path, "x y", "z w")
    cell.rename(cell.with_name(cell.name[:-1] + "x"))
    (folder,) = (tmp_path / "cells").iterdir()
    with pytest.raises(CorruptError, match=r"cell.json can't be read \(it is the cell t\.all"):
        read_result(folder)


@pytest.mark.parametrize("place", [7, "x", ["cells"], {}])
def test_a_place_that_is_none_is_damage(tmp_path: Path, place: object) -> None:
    with writing(tmp_path / "a" / "b", depth=2) as folder:
        (folder / "file").write_text("x")
    assert read_json(tmp_path / "a" / "b" / DONE)["place"] == "a/b"
    check(tmp_path / "a" / "b")
    content = read_json(tmp_path / "a" / "b" / DONE)
    (tmp_path / "a" / "b" / DONE).write_text(json.dumps({**content, "place": place}))
    with pytest.raises(CorruptError, match=r"DONE.json is that of"):
        check(tmp_path / "a" / "b")
