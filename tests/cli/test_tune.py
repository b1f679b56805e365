"""A sweep on validation, the spec that it chooses, and the run of that spec."""

import json
import re
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import sacrebleu
import yaml

from command import Done, invoke
from plugin_files import write_plugins

RATES = (0.0001, 0.05)


@pytest.fixture(scope="module")
def tuned(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Done]:
    """Two methods at two learning rates and two numbers of warmups, on one seed."""
    place = tmp_path_factory.mktemp("tune")
    files = write_plugins(place)
    spec = {
        "task": files["task"],
        "backbones": [files["backbone"]],
        "match": ["warmup"],
        "decodings": {"warmup": [{"warmup": "none"}]},
        "seeds": [0],
        "out": "runs",
        "workers": 1,
        "stats": {"randomizations": 99},
        "tune": {
            "seeds": [7],
            "grid": {"train.learning_rate": list(RATES), "warmup.samples": [1, 2]},
            "budget": {"steps": 3},
        },
    }
    (place / "study.yaml").write_text(yaml.safe_dump(spec), encoding="utf-8")
    done = invoke("tune", "--spec", "study.yaml", cwd=place)
    assert done.returncode == 0, done.stdout + done.stderr
    return place, done


def test_every_method_has_every_point_on_validation_and_the_best_is_chosen(tuned: tuple[Path, Done]) -> None:
    place, done = tuned
    record = json.loads((place / "runs-tune" / "tune.json").read_text())
    assert [list(p.values()) for p in record["points"]] == [[r, n] for r in RATES for n in (1, 2)]
    assert (record["split"], record["seeds"], record["budget"]) == ("validation", [7], {"steps": 3})
    scores: dict[str, dict[tuple[float, int], float]] = {"sft": {}, "warmup": {}}
    for folder in (place / "runs-tune" / "cells").iterdir():
        rows = pq.read_table(folder / "decode" / "predictions.parquet").to_pylist()
        assert [row["id"] for row in rows] == [f"v-{i:05d}" for i in range(20)]  # no test example
        cell = json.loads((folder / "decode" / "cell.json").read_text())
        golds = [[row["references"][0] for row in rows]]
        score = sacrebleu.corpus_chrf([row["hypothesis"] for row in rows], golds, word_order=2).score
        settings = cell["settings"]
        assert settings["budget"]["steps"] == 3
        scores[cell["method"]][settings["train"]["learning_rate"], settings["warmup"]["samples"]] = score
    assert (len(scores["sft"]), len(scores["warmup"])) == (2, 4)  # sft reads no warmup.samples
    chosen = yaml.safe_load((place / "runs-tune" / "chosen.yaml").read_text())
    for method, by_point in scores.items():
        entry = record["methods"][method]
        expected = [by_point.get((r, n), by_point.get((r, 1), np.nan)) for r in RATES for n in (1, 2)]
        assert entry["means"] == pytest.approx(expected, abs=1e-9)
        assert entry["chosen"] == int(np.argmax(expected))
        assert entry["distinct_points"] == len(by_point)
        rate = RATES[entry["chosen"] // 2]
        assert chosen["methods"][method]["train"] == {"learning_rate": rate}
        assert ("warmup" in chosen["methods"][method]) == (method == "warmup")
    assert "tune" not in chosen
    assert re.search(r"distinct points +2 +4\n", done.stdout)


def test_a_second_call_trains_nothing(tuned: tuple[Path, Done]) -> None:
    place, _ = tuned
    before = (place / "runs-tune" / "chosen.yaml").read_text()
    again = invoke("tune", "--spec", str(place / "study.yaml"), f"--out={place / 'runs-tune'}", cwd=place)
    assert again.returncode == 0
    command = json.loads((place / "runs-tune" / "tune.json").read_text())["command"]
    assert command == "warmup-bench tune --spec study.yaml --out=runs-tune"  # no folder of this machine
    assert "cells to run" not in again.stdout
    assert (place / "runs-tune" / "chosen.yaml").read_text() == before


def test_the_chosen_spec_runs_and_its_methods_stand_side_by_side(tuned: tuple[Path, Done]) -> None:
    place, _ = tuned
    path = place / "other.yaml"
    spec = yaml.safe_load((place / "runs-tune" / "chosen.yaml").read_text())
    spec["methods"] = {
        "sft": {"train": {"learning_rate": 0.02}},
        "warmup": {"train": {"learning_rate": 0.03}, "warmup": {"samples": 1}},
    }
    path.write_text(yaml.safe_dump(spec), encoding="utf-8")
    done = invoke("run", "--spec", "other.yaml", cwd=place)
    assert done.returncode == 0, done.stdout + done.stderr
    note = "Rows differ in train.learning_rate: sft, sft (FLOPs of warmup) 0.02; warmup 0.03."
    assert note in done.words
    reported = json.loads(invoke("report", "runs", "--format", "json", cwd=place).stdout)
    (table,) = reported["tables"]
    (group,) = table["groups"]
    rows = ["sft", "sft (FLOPs of warmup)", "warmup", "warmup · warmup ablated"]
    assert [row["method"] for row in group["rows"]] == rows
    assert all(row["cells"]["chrf++"]["gain"] for row in group["rows"][1:])
    assert table["split"] == "test"


def test_a_spec_with_a_sweep_is_not_run_before_it(tuned: tuple[Path, Done]) -> None:
    place, _ = tuned
    done = invoke("run", "--spec", "study.yaml", cwd=place)
    assert done.returncode != 0
    assert "warmup-bench tune" in done.stderr


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("tune.seeds=[0]", "none of the run's seeds"),
        ("tune.grid={train.batch_size: [4, 8]}", "must share its warm start"),
        ("tune.grid={train.learning_rat: [4, 8]}", "train.learning_rate"),
        ("tune.grid={limit.train: [4]}", "not a setting of a method"),
        ("tune.metric=comet", "tune.metric"),
        ("tune=null", "no section 'tune'"),
    ],
)
def test_what_can_not_be_swept_is_refused_before_the_first_step(
    tuned: tuple[Path, Done], assignment: str, message: str
) -> None:
    place, _ = tuned
    done = invoke("tune", "--spec", "study.yaml", "--set", assignment, "--out", "refused", cwd=place)
    assert done.returncode != 0
    assert message in " ".join(done.stderr.split())
    assert not (place / "refused").exists()
