"""One damaged training or cell is named and left out; the rest goes on, in a run and in a report."""

import shutil
from pathlib import Path

import pytest

from command import invoke
from plugin_files import planned
from stored_cells import Written, store
from warmup_bench import api
from warmup_bench.execution.runner import execute, save_spec
from warmup_bench.plan.jobs import outstanding
from warmup_bench.plan.plan import Plan
from warmup_bench.store.folders import DONE, CorruptError
from warmup_bench.store.publish import publish
from warmup_bench.store.specs import newest_spec, read_specs

SMALL = {
    "seeds": [0],
    "workers": 1,
    "methods": ["sft", "warmup"],
    "limit": {"train": 16, "validation": 4, "test": 4},
    "warm_start": {"steps": 1},
    "budget": {"steps": 1},
}


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("ran")
    plan = planned(place, **SMALL)
    assert execute(plan, outstanding(plan), lambda event: None) == {}
    return place


def copied(ran: Path, place: Path) -> Plan:
    shutil.copytree(ran, place, dirs_exist_ok=True)
    return planned(place, **SMALL)


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))


VICTIMS = {
    "training": ("trainings/*sft*", "ledger.json"),
    "no manifest": ("trainings/*sft*", None),
    "predictions": ("cells/*sft*/decode", "predictions.parquet"),
    "no manifest of predictions": ("cells/*sft*/decode", None),
    "score": ("cells/*sft*/scores/bleu", "score.json"),
}


@pytest.mark.parametrize("victim", VICTIMS)
def test_a_run_goes_on_without_a_damaged_cell(ran: Path, tmp_path: Path, victim: str) -> None:
    plan = copied(ran, tmp_path)
    pattern, name = VICTIMS[victim]
    (folder,) = plan.out.glob(pattern)
    flip(folder / name) if name else (folder / DONE).unlink()
    (other,) = plan.out.glob("cells/*warmup*/decode")
    shutil.rmtree(other)
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    work = outstanding(plan)
    (bad,) = work.damaged
    assert "sft" in bad and str(folder) in work.damaged[bad].message
    assert [step.kind for step in work.steps] == ["cell"]
    assert set(execute(plan, work, lambda event: None)) == {bad}
    assert (other / DONE).is_file()  # the other cell was decoded again
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


def test_a_warm_start_without_its_manifest_is_named_before_the_first_step(ran: Path, tmp_path: Path) -> None:
    plan = copied(ran, tmp_path)
    (start,) = plan.out.glob("warm-starts/*")
    (start / DONE).unlink()
    assert outstanding(plan).damaged == {}  # nobody needs it
    (gone,) = plan.out.glob("trainings/*warmup*")
    shutil.rmtree(gone)
    (bad,) = outstanding(plan).damaged
    assert "warmup" in bad and "has lost its DONE.json" in outstanding(plan).damaged[bad].message


def two(place: Path) -> tuple[Path, Path]:
    """Two cells with a spec that asks for them."""
    texts = [["a b c d e"], ["f g h i j"]]
    written = [Written(text[0]) for text in texts]
    good, bad = (store(place, name, 0, ["a", "b"], texts, written) for name in ("sft", "draft"))
    return good, bad


@pytest.mark.parametrize("format_", ["md", "csv", "json", "html", "latex", "text"])
def test_a_report_goes_on_without_a_damaged_cell(tmp_path: Path, format_: str) -> None:
    _, bad = two(tmp_path / "out")
    flip(bad / "decode" / "predictions.parquet")
    done = invoke("report", "out", "--format", format_, cwd=tmp_path)
    assert done.returncode == 1
    assert f"left out: {bad.name}" in done.stderr and "predictions.parquet" in done.stderr
    assert "sft" in done.stdout
    if format_ in ("md", "text", "html"):
        assert "1 cell is damaged and left out" in done.words
    results = api.load(tmp_path / "out")
    assert list(results.damaged) == [bad.name] and len(results) == 1


def test_a_report_of_damaged_cells_alone_says_so(tmp_path: Path) -> None:
    for cell in two(tmp_path / "out"):
        (cell / "decode" / DONE).unlink()
    done = invoke("report", "out", cwd=tmp_path)
    assert done.returncode == 2
    assert "has lost its DONE.json" in done.stderr


def test_a_changed_spec_is_noticed(tmp_path: Path) -> None:
    plan = planned(tmp_path, **SMALL, stats={"seed": 7})
    save_spec(plan)
    assert newest_spec(plan.out) is not None and len(list(read_specs(plan.out))) == 1
    (path,) = (plan.out / "specs").iterdir()
    text = path.read_text()
    path.write_text(text.replace("seed: 7", "seed: 77"))
    for read in (newest_spec, lambda out: list(read_specs(out))):
        with pytest.raises(CorruptError, match="has other contents than were stored"):
            read(plan.out)
    path.rename(path.with_name("mine.yaml"))  # a copy by hand is nobody's record
    assert newest_spec(plan.out) is not None


def test_a_published_spec_that_is_changed_or_gone_is_noticed(tmp_path: Path) -> None:
    plan = planned(tmp_path, **SMALL, stats={"seed": 7})
    two(plan.out)
    save_spec(plan)
    publish([plan.out], tmp_path / "study")
    assert newest_spec(tmp_path / "study") is not None
    (path,) = (tmp_path / "study" / "specs").iterdir()
    text = path.read_text()
    path.write_text(text.replace("seed: 7", "seed: 77"))
    with pytest.raises(CorruptError, match="has other contents"):
        newest_spec(tmp_path / "study")
    path.unlink()
    with pytest.raises(CorruptError, match="is gone"):
        newest_spec(tmp_path / "study")


def test_a_folder_without_specs_says_which_settings_are_used(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    two(tmp_path / "out")
    assert invoke("report", "out", cwd=tmp_path).returncode == 0
    assert "holds no spec: the baseline and the settings of the statistics are the defaults" in caplog.text
