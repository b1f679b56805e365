"""What the stages of a cell hand to one another, run in this process on a tiny task."""

import shutil
import time
from pathlib import Path
from typing import Any

import pytest

import warmup_bench.decode
from plugin_files import planned
from warmup_bench.execution.runner import execute
from warmup_bench.models.base import Backbone
from warmup_bench.plan.jobs import outstanding
from warmup_bench.plan.plan import Plan
from warmup_bench.store.folders import read_json, read_table
from warmup_bench.train import diagnostics

SMALL = {
    "seeds": [0],
    "methods": ["warmup"],
    "workers": 1,
    "limit": {"train": 24, "validation": 7, "test": 4},
    "warm_start": {"steps": 2},
    "budget": {"steps": 2},
}
DRAFT = {"methods": ["draft"], "limit": {"train": 240, "validation": 7, "test": 4}}
"""With so many examples drafting costs more than a step of training."""


def run(plan: Plan) -> dict[str, str]:
    """Do what is outstanding; the failures by step."""
    failures = execute(plan, outstanding(plan), lambda event: None)
    return {key: failure.message for key, failure in failures.items()}


def test_an_evaluation_takes_the_micro_batch_of_its_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes, real = [], diagnostics.collate

    def collate(part: list[Any], *arguments: Any) -> Any:
        sizes.append(len(part))
        return real(part, *arguments)

    monkeypatch.setattr(diagnostics, "collate", collate)
    assert run(planned(tmp_path, **SMALL, train={"micro_batch_size": 3, "eval_every": 1})) == {}
    # Seven validation inputs at the first and the last step, each met once more with others' warmups.
    assert sizes == [3, 3, 1] * 2 * 2


def test_cells_tokenize_their_data_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    texts, real = [], Backbone._tokenized

    def tokenized(self: Backbone, some: list[str], target: bool) -> list[list[int]]:
        texts.append(len(some))
        return real(self, some, target)

    monkeypatch.setattr(Backbone, "_tokenized", tokenized)
    assert run(planned(tmp_path, **SMALL | {"methods": ["sft", "warmup"], "seeds": [0, 1]})) == {}
    # Sources and targets of the training split; those of the few validation inputs, in each of the four
    # trainings; sources of the test split.
    assert sorted(texts) == [4] + [7, 7] * 4 + [24, 24]


@pytest.fixture
def drafts(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Operations of every drafting of a split, each of which takes a second longer than it does: the clock
    of training jumps."""
    found, real, clock = [], warmup_bench.decode.decode_all, time.perf_counter

    def decode_all(*arguments: Any, **options: Any) -> Any:
        outputs, flops = real(*arguments, **options)
        found.append(flops)
        return outputs, flops

    monkeypatch.setattr(time, "perf_counter", lambda: clock() + len(found))
    monkeypatch.setattr(warmup_bench.decode, "decode_all", decode_all)
    return found


def ledger_of(plan: Plan) -> dict[str, Any]:
    (cell,) = plan.cells
    return read_json(plan.out / "trainings" / cell.training_id / "ledger.json")


def test_drafts_are_paid_from_the_budget_of_their_training(tmp_path: Path, drafts: list[float]) -> None:
    small = SMALL | DRAFT
    ledgers = []
    for steps in (1, 2, 3):
        plan = planned(tmp_path, **small | {"budget": {"steps": steps}})
        assert run(plan) == {}
        ledgers.append(ledger_of(plan))
    first, second, third = (ledger["train_flops"] for ledger in ledgers)
    draft = drafts[0]  # of the training split; then come those of the validation and the test split
    assert len(drafts) == 9
    assert draft > third - second > 0
    assert first > draft
    for ledger in ledgers:
        assert 1 < ledger["train_seconds"] < 2  # that of the validation split is none of training

    plan = planned(tmp_path, **small | {"budget": {"flops": (first + second) / 2}})
    assert run(plan) == {}
    assert (ledger_of(plan)["steps"], ledger_of(plan)["train_flops"]) == (2, second)


@pytest.mark.parametrize("unit", ["flops", "seconds"])
def test_a_budget_that_drafting_alone_exceeds_is_refused(
    unit: str, tmp_path: Path, drafts: list[float]
) -> None:
    small = SMALL | DRAFT
    assert run(planned(tmp_path, **small)) == {}
    amount = 0.99 * (drafts[0] if unit == "flops" else 1.0)
    failures = run(planned(tmp_path, **small | {"budget": {unit: amount}}))
    (message,) = {told for key, told in failures.items() if key.startswith("training ")}
    assert f"took {drafts[0]:.3g} FLOPs and 1." in message
    assert f"nothing is left of the budget {unit}={amount:.3g}" in message
    assert "training of draft" in message


def kinds(plan: Plan) -> list[str]:
    return [step.kind for step in outstanding(plan).steps]


@pytest.mark.parametrize(
    ("method", "steps"),
    [
        ("draft", ["warm start", "cell"]),
        ("filler", ["warm start", "cell"]),
        ("oracle", ["cell"]),  # at inference the model writes its own
        ("warmup", ["cell"]),
    ],
)
def test_a_deleted_warm_start_is_made_again_where_decoding_reads_it(
    method: str, steps: list[str], tmp_path: Path
) -> None:
    plan = planned(tmp_path, **SMALL | {"methods": [method]})
    assert run(plan) == {}
    (start,) = (plan.out / "warm-starts").iterdir()
    decoded = plan.out / "cells" / plan.cells[0].id / "decode"
    model = (start / "model.safetensors").read_bytes()
    predictions = read_table(decoded / "predictions.parquet")
    shutil.rmtree(start)
    assert kinds(plan) == []  # what is done needs none
    shutil.rmtree(decoded.parent / "scores")
    assert kinds(plan) == ["cell"]  # nor does what has only to be scored
    shutil.rmtree(decoded)
    assert kinds(plan) == steps
    assert run(plan) == {}
    assert start.exists() == ("warm start" in steps)
    if start.exists():
        assert (start / "model.safetensors").read_bytes() == model
    assert read_table(decoded / "predictions.parquet").equals(predictions)
    assert kinds(plan) == []


def test_a_deleted_warm_start_is_made_again_for_a_matched_training(tmp_path: Path) -> None:
    plan = planned(tmp_path, **SMALL | {"methods": ["sft", "warmup"], "match": ["warmup"]})
    assert run(plan) == {}
    (matched,) = (cell for cell in plan.cells if cell.matched)
    training = plan.out / "trainings" / matched.training_id
    model = (training / "model" / "model.safetensors").read_bytes()
    for folder in (plan.out / "warm-starts", training, plan.out / "cells" / matched.id):
        shutil.rmtree(folder)
    assert kinds(plan) == ["warm start", "training", "cell"]
    assert run(plan) == {}
    assert (training / "model" / "model.safetensors").read_bytes() == model
