"""``store.models``: which models stay, what is made again, and that no number depends on it."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from plugin_files import planned
from same_results import timeless
from warmup_bench.execution.executors import Event
from warmup_bench.execution.runner import execute
from warmup_bench.plan.jobs import outstanding
from warmup_bench.plan.plan import Plan
from warmup_bench.plan.shards import Shard, take_shard
from warmup_bench.store.folders import check
from warmup_bench.store.locks import claim
from warmup_bench.store.models import has_model, lock_of

SMALL: dict[str, Any] = {
    "methods": ["sft", "warmup"],
    "seeds": [0, 1],
    "workers": 1,
    "limit": {"train": 24, "validation": 7, "test": 4},
    "warm_start": {"steps": 2},
    "budget": {"steps": 2},
}
BEAMS = {"decodings": {"warmup": [{"beams": 2}]}}
MADE = {"warm-starts": 2, "trainings": 4}


def plan_of(place: Path, models: str, **content: Any) -> Plan:
    return planned(place, **SMALL | content, store={"models": models})


def run(plan: Plan) -> int:
    """Do what is outstanding; how many steps that took."""
    work = outstanding(plan)
    assert execute(plan, work, lambda event: None) == {}
    assert outstanding(plan).steps == ()
    return len(work.steps)


def with_model(out: Path) -> dict[str, int]:
    """How many warm starts and trainings have their model."""
    return {kind: sum(map(has_model, (out / kind).iterdir())) for kind in MADE}


def assert_same_records(whole: Path, other: Path) -> None:
    """Every record of a run is there, the same."""
    for path in (p for kind in (*MADE, "cells") for p in (whole / kind).rglob("*")):
        twin = other / path.relative_to(whole)
        if path.name in ("predictions.parquet", "statistics.parquet", "score.json"):
            assert path.read_bytes() == twin.read_bytes()
        elif path.name in ("ledger.json", "log.jsonl"):
            assert timeless(path) == timeless(twin)
    for folder in (p for kind in MADE for p in (other / kind).iterdir()):
        check(folder)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The results of a run that keeps every model."""
    place = tmp_path_factory.mktemp("whole")
    plan = plan_of(place, "all", **BEAMS)
    run(plan)
    assert with_model(plan.out) == MADE
    return plan.out


def test_without_models_a_run_has_the_same_numbers(whole: Path, tmp_path: Path) -> None:
    plan = plan_of(tmp_path, "none", **BEAMS)
    standing: list[dict[str, int]] = []

    def listen(event: Event) -> None:
        if event.kind == "done":
            standing.append(with_model(plan.out))

    (plan.out / "warm-starts").mkdir(parents=True)
    (plan.out / "trainings").mkdir()
    work = outstanding(plan)
    assert execute(plan, work, listen) == {}
    assert len(standing) == len(work.steps) == 2 + 4 + 6
    # What ends the need for a model comes first: one worker never has two trainings or two warm starts.
    assert max(of["trainings"] for of in standing) == max(of["warm-starts"] for of in standing) == 1
    assert with_model(plan.out) == {"warm-starts": 0, "trainings": 0}
    assert list(plan.out.rglob("*.safetensors")) == []
    assert_same_records(whole, plan.out)
    assert run(plan) == 0


def test_what_needs_a_model_later_makes_it_again(whole: Path, tmp_path: Path) -> None:
    plan = plan_of(tmp_path, "none")
    run(plan)
    records = {path: path.read_bytes() for path in plan.out.glob("trainings/*/l*")}
    assert len(records) == 4 * 2
    more = plan_of(tmp_path, "none", **BEAMS)
    work = outstanding(more)
    assert [len(work.of_kind(kind)) for kind in ("warm start", "training", "cell")] == [2, 2, 2]
    assert work.again == 4
    run(more)
    assert_same_records(whole, more.out)
    assert {path: path.read_bytes() for path in records} == records  # those of the first time
    assert with_model(more.out) == {"warm-starts": 0, "trainings": 0}


def test_a_method_that_is_added_makes_the_warm_start_again(whole: Path, tmp_path: Path) -> None:
    run(plan_of(tmp_path, "none", methods=["sft"]))
    kept = plan_of(tmp_path, "all", **BEAMS)
    work = outstanding(kept)
    assert [len(work.of_kind(kind)) for kind in ("warm start", "training", "cell")] == [2, 2, 4]
    assert work.again == 2
    run(kept)
    assert with_model(kept.out) == {"warm-starts": 2, "trainings": 2}
    assert_same_records(whole, kept.out)


@pytest.mark.parametrize(
    ("content", "starts"),
    [
        ({"methods": ["warmup"]}, 0),
        ({"methods": ["draft"]}, 1),  # its warmups are drafted by the warm start
        ({"methods": ["sft"], "lora": {"rank": 2}, "warm_start": {"steps": 0}}, 1),  # adapters stand on it
    ],
)
def test_trained_models_stay_with_what_they_are_decoded_with(
    content: dict[str, Any], starts: int, tmp_path: Path
) -> None:
    plan = plan_of(tmp_path, "trained", seeds=[0], **content)
    run(plan)
    assert with_model(plan.out) == {"warm-starts": starts, "trainings": 1}
    (decoded,) = plan.out.glob("cells/*/decode")
    predictions = (decoded / "predictions.parquet").read_bytes()
    shutil.rmtree(decoded.parent)
    assert [step.kind for step in outstanding(plan).steps] == ["cell"]
    assert run(plan) == 1
    assert (decoded / "predictions.parquet").read_bytes() == predictions
    assert with_model(plan.out) == {"warm-starts": starts, "trainings": 1}


def test_a_finished_folder_is_made_lean_unless_somebody_reads_it(whole: Path, tmp_path: Path) -> None:
    place = tmp_path / "out"
    shutil.copytree(whole, place)
    plan = plan_of(tmp_path, "none", **BEAMS)
    read = next((place / "trainings").iterdir())
    with claim(lock_of(read)) as ours:
        assert ours
        assert run(plan) == 0
        assert with_model(place) == {"warm-starts": 0, "trainings": 1}
    assert run(plan) == 0
    assert with_model(place) == {"warm-starts": 0, "trainings": 0}
    assert_same_records(whole, place)


def test_a_shard_leaves_the_warm_start_that_another_needs(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, "none", seeds=[0])
    shards = [take_shard(plan, Shard(i, 2))[0] for i in (1, 2)]
    assert [len(shard.cells) for shard in shards] == [1, 1]
    run(shards[0])
    assert with_model(plan.out) == {"warm-starts": 1, "trainings": 0}
    assert run(shards[1]) == 2  # a training and a cell
    assert with_model(plan.out) == {"warm-starts": 0, "trainings": 0}
