"""Which cells a sweep has, and what it leaves."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from plugin_files import planned, write_plugins, write_two_test_sets
from warmup_bench.plan.tuning import Sweep, choose, chosen_text, make_sweep, name_of, record
from warmup_bench.spec.cell import Cell
from warmup_bench.spec.spec import RunSpec, make_spec


def test_of_test_sets_that_share_a_training_one_is_swept(tmp_path: Path) -> None:
    files = write_two_test_sets(tmp_path)
    content = {
        "task": files["task"],
        "backbones": [files["backbone"]],
        "subsets": ["again", "all"],
        "match": ["warmup"],
        "decodings": {"warmup": [{"warmup": "none"}]},
        "tune": {"seeds": [7, 8], "grid": {"train.learning_rate": [0.1, 0.2]}},
    }
    sweep = make_sweep(make_spec(content, "a test"))
    assert sweep.plan.spec.subsets == ("again",)
    cells = [(c.subset, c.label, c.seed, c.settings.train.learning_rate) for c in sweep.plan.cells]
    methods = ("sft", "warmup")
    assert sorted(cells) == [("again", m, s, r) for m in methods for s in (7, 8) for r in (0.1, 0.2)]
    assert {c.settings.decode.split for c in sweep.plan.cells} == {"validation"}
    assert {c.settings.decode.warmup for c in sweep.plan.cells} == {"greedy"}


METRIC = {"key": "chrf++", "name": "chrF++", "signature": "-", "higher_is_better": True}


def swept(folder: Path, **tune: Any) -> tuple[RunSpec, Sweep]:
    files = write_plugins(folder)
    content = {"task": files["task"], "backbones": [files["backbone"]], "out": str(folder / "out")}
    spec = make_spec(content | {"tune": {"seeds": [7], **tune}}, "a test")
    return spec, make_sweep(spec)


def left(spec: RunSpec, sweep: Sweep, score: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """The record and the chosen spec, read back from their texts, with a score of each cell's settings."""

    def result(cell: Cell) -> Any:
        scores = [METRIC | {"score": score(cell.settings)}]
        return SimpleNamespace(cell=cell, scores=scores, ledger={"train_flops": 10.0})

    tried = choose(sweep, [result(cell) for cell in sweep.plan.cells], "chrf++")
    text = chosen_text(spec, sweep, tried, "chrF++")
    return json.loads(json.dumps(record(sweep, tried, METRIC))), yaml.safe_load(text)


def test_a_budget_is_swept(tmp_path: Path) -> None:
    budgets = [{"steps": 5}, {"steps": 9}]
    spec, sweep = swept(tmp_path, grid={"budget": budgets}, budget={"epochs": 2})
    assert [cell.settings.budget.steps for cell in sweep.plan.cells] == [5, 5, 9, 9]
    assert [name_of(point) for point in sweep.points] == ["budget={steps: 5}", "budget={steps: 9}"]
    told, chosen = left(spec, sweep, lambda settings: settings.budget.steps)
    assert told["points"] == [{"budget": budget} for budget in budgets]
    assert told["budget"] is None
    for method in ("sft", "warmup"):
        found = told["methods"][method]
        assert (found["means"], found["chosen"], found["distinct_points"]) == ([5, 9], 1, 2)
        assert found["settings"] == {"budget": {"steps": 9}}
        assert found["train_flops"] == 20
        assert chosen["methods"][method] == {"budget": {"steps": 9}}
    run = planned(tmp_path, methods=chosen["methods"])
    assert {cell.settings.budget.steps for cell in run.cells} == {9}


def test_a_section_of_the_grid_leaves_its_other_keys_as_they_are(tmp_path: Path) -> None:
    spec, sweep = swept(tmp_path, grid={"warmup": [{"samples": 2}, {"samples": 3}]}, budget={"steps": 4})
    warmups = [cell.settings.warmup for cell in sweep.plan.cells if cell.method == "warmup"]
    assert [(w.samples, w.max_tokens) for w in warmups] == [(2, 2), (3, 2)]  # 2 tokens: the preset's
    told, chosen = left(spec, sweep, lambda settings: settings.warmup.samples)
    assert told["points"] == [{"warmup": {"samples": 2}}, {"warmup": {"samples": 3}}]
    assert told["budget"] == {"steps": 4}
    assert told["methods"]["warmup"]["distinct_points"] == 2
    assert told["methods"]["sft"]["distinct_points"] == 1
    assert chosen["methods"] == {"sft": {}, "warmup": {"warmup": {"samples": 3}}}


@pytest.mark.parametrize(
    ("grid", "point"),
    [
        ({"train": [{"learning_rate": "1e-3"}]}, {"train": {"learning_rate": 0.001}}),  # YAML 1.1's text
        ({"warmup": [{}]}, {"warmup": {}}),
        ({"lora.target_modules": [["q", "v"]]}, {"lora.target_modules": ["q", "v"]}),
        (
            {"warmup": [{"samples": 3}], "warmup.max_tokens": [1]},
            {"warmup": {"samples": 3}, "warmup.max_tokens": 1},
        ),
    ],
)
def test_a_point_is_plain_data(tmp_path: Path, grid: dict[str, Any], point: dict[str, Any]) -> None:
    _, sweep = swept(tmp_path, grid=grid)
    assert json.loads(json.dumps(sweep.points)) == [point]
