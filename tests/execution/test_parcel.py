from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plugin_files import write_plugins
from warmup_bench.contracts.errors import UserError
from warmup_bench.execution.executors.on_node import Order, _replaced
from warmup_bench.execution.executors.parcel import inputs, keep, pack, pack_input, run_away, unpack
from warmup_bench.plan.jobs import Step, outstanding
from warmup_bench.plan.plan import make_plan
from warmup_bench.spec.spec import make_spec
from warmup_bench.store.folders import DONE, CorruptError, check, writing
from warmup_bench.store.locks import claim, read_owner


def store(folder: Path, **files: str) -> Path:
    with writing(folder) as temporary:
        for name, text in files.items():
            path = temporary / name.replace("__", "/")
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
    return folder


@pytest.fixture
def steps(tmp_path: Path) -> dict[str, Step]:
    """A step of each kind, its data stored; "matched" is the training with the FLOPs of another one."""
    files = write_plugins(tmp_path)
    content = {"task": files["task"], "backbones": [files["backbone"]], "seeds": 1, "match": ["warmup"]}
    found = outstanding(make_plan(make_spec(content | {"out": str(tmp_path / "out")}, "a test"))).steps
    store(found[0].job.data, train="examples")
    kinds = {step.kind: step for step in reversed(found)}
    return kinds | {"matched": next(s for s in found if s.kind == "training" and s.job.matched is not None)}


def test_a_folder_comes_out_as_it_went_in(tmp_path: Path) -> None:
    folder = store(tmp_path / "a", log="1", model__weights="\x00\xff")
    (folder / "link").symlink_to("/etc/hostname")
    unpack(pack(folder), tmp_path / "b")
    (folder / "link").unlink()
    assert pack(check(tmp_path / "b")) == pack(folder)


@pytest.mark.parametrize("name", ["/a", "../a", "a/../../b", "", ".", "a\0", "..\\a"])
def test_no_file_leaves_its_folder(name: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="leads out of its folder"):
        unpack({"fine": b"1", name: b"2"}, tmp_path / "in")
    assert list(tmp_path.iterdir()) == []


@settings(max_examples=30)
@given(name=st.text(alphabet="./\\ab\0", max_size=8))
def test_whatever_a_file_is_called_it_stays_inside(
    name: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    place = tmp_path_factory.mktemp("place")
    try:
        unpack({name: b"1"}, place / "in")
    except UserError:
        assert list(place.iterdir()) == []
    else:
        assert [p.name for p in place.iterdir()] == ["in"]
        (written,) = (p for p in place.rglob("*") if p.is_file())
        assert written.resolve().is_relative_to(place / "in")


def test_what_a_step_reads(steps: dict[str, Step]) -> None:
    job = steps["training"].job
    assert inputs(steps["warm start"]) == [job.data]
    assert inputs(steps["training"]) == [job.data, job.warm_start_folder]
    matched = steps["matched"].job
    budget = store(
        matched.matched_training, **{"ledger.json": '{"train_flops": 5}', "model__weights": "large"}
    )
    assert inputs(steps["matched"]) == [job.data, job.warm_start_folder, budget]
    assert set(pack_input(budget, ledger_alone=True)) == {"ledger.json", DONE}
    assert set(pack_input(budget, ledger_alone=False)) == {"ledger.json", "model/weights", DONE}
    last = store(job.checkpoints(job.cell.training_id) / "step-00000004", state="{}")
    (last.parent / "step-00000006").mkdir()  # not whole
    assert inputs(steps["training"]) == [job.data, job.warm_start_folder, last]
    cell = steps["cell"].job
    store(cell.training_folder, model__weights="w")
    assert inputs(steps["cell"]) == [job.data, cell.training_folder]
    drafting = cell.cell.model_copy(update={"warmup": "given"})
    for method, read in (("draft", 1), ("oracle", 0)):
        given = replace(cell, cell=drafting, method=method)
        assert inputs(replace(steps["cell"], job=given))[2:] == [given.warm_start_folder] * read
    decoded, bleu = (
        store(cell.folder / "decode", predictions="p"),
        store(cell.folder / "scores" / "bleu", s="1"),
    )
    assert inputs(steps["cell"]) == [decoded, bleu]  # it has only to be scored


def test_a_damaged_folder_is_not_sent(steps: dict[str, Step]) -> None:
    (steps["training"].job.data / "train").write_text("exampleS")
    with pytest.raises(CorruptError, match="has other contents"):
        pack_input(steps["training"].job.data, ledger_alone=False)


def test_a_step_away_from_the_folder_sends_back_what_it_has_made(
    steps: dict[str, Step], tmp_path: Path
) -> None:
    step, places = steps["training"], []
    parcels = {"data/x": pack(store(tmp_path / "x", train="examples"))}

    def stopped(there: Step) -> str:
        places.append(there.job.out)
        assert (there.job.out / "data" / "x" / "train").read_text() == "examples"
        assert there.job.data.is_relative_to(there.job.out)
        store(there.job.checkpoints(there.job.cell.training_id) / "step-00000007", state="{}")
        return "stopped"

    outcome, made = run_away(step, parcels, stopped)
    checkpoint = f"checkpoints/{step.job.cell.training_id}/step-00000007"
    assert (outcome, list(made)) == ("stopped", [checkpoint])
    keep(step, made)
    assert (check(step.job.out / checkpoint) / "state").read_text() == "{}"
    kept = (step.job.out / checkpoint / DONE).read_bytes()
    assert kept == made[checkpoint][DONE]

    def done(there: Step) -> str:
        places.append(there.job.out)
        store(there.job.training_folder, model__weights="w")
        return "done"

    outcome, made = run_away(step, parcels, done)
    assert (outcome, list(made)) == ("done", [f"trainings/{step.job.cell.training_id}"])
    keep(step, made)
    assert (check(step.job.training_folder) / "model" / "weights").read_text() == "w"
    assert not (step.job.out / "checkpoints").exists()  # of no use any more
    keep(step, {f"trainings/{step.job.cell.training_id}": pack(store(tmp_path / "y", model__weights="v"))})
    assert (step.job.training_folder / "model" / "weights").read_text() == "w"  # the first result stays
    assert not any(place.exists() for place in places)


def test_what_arrives_is_checked(steps: dict[str, Step], tmp_path: Path) -> None:
    step = steps["training"]
    name = f"trainings/{step.job.cell.training_id}"
    good = pack(store(tmp_path / "x", model__weights="w"))
    for other in (
        "data/x",
        "trainings/another",
        "specs",
        f"{name}/../other",
        "checkpoints/step-00000001",
        "/x",
    ):
        with pytest.raises(UserError, match="which no training makes"):
            keep(step, {other: good})
    with pytest.raises(UserError, match="which no cell makes"):
        keep(steps["cell"], {f"cells/{steps['cell'].job.cell.id}/scores/..": good})
    with pytest.raises(CorruptError, match="has other contents"):
        keep(step, {name: good | {"model/weights": b"v"}})
    with pytest.raises(CorruptError, match="can't be read"):
        keep(step, {name: {"model/weights": b"w"}})
    with pytest.raises(UserError, match="leads out of its folder"):
        keep(step, {name: good | {"../../evil": b"v"}})
    assert not (step.job.out / "trainings").exists() or list((step.job.out / "trainings").iterdir()) == []


def test_a_worker_learns_that_its_step_was_given_to_another(steps: dict[str, Step]) -> None:
    step = steps["training"]

    def order() -> Order:
        token = (read_owner(step.lock) or {})["token"]
        return Order(step, token, 1, {}, Path(), None)

    with claim(step.lock) as ours:
        assert ours
        first = order()
        assert not _replaced(first)
    assert not _replaced(first)  # given back, and nobody has it
    with claim(step.lock):
        assert _replaced(first)
        assert not _replaced(order())


def test_only_what_is_new_comes_back(steps: dict[str, Step], tmp_path: Path) -> None:
    step = steps["cell"]
    cell = f"cells/{step.job.cell.id}"
    old = {f"{cell}/scores/{name}": pack(store(tmp_path / name, score="1")) for name in ("bleu", "chrf++")}

    def run(there: Step) -> str:
        with writing(there.job.folder / "scores" / "bleu", replace=True) as folder:
            (folder / "score").write_text("2")
        return "done"

    _, made = run_away(step, old, run)
    assert list(made) == [f"{cell}/scores/bleu"]
    keep(step, {f"{cell}/scores/bleu": old[f"{cell}/scores/bleu"]})
    keep(step, made)
    assert (check(step.job.folder / "scores" / "bleu") / "score").read_text() == "2"  # scores are renewed
