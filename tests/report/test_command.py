import json
import os
from pathlib import Path

import pytest
import yaml
from stored import store_cell

from command import invoke
from warmup_bench.api import load
from warmup_bench.contracts.errors import UserError
from warmup_bench.report.stored import stored_stats


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs")
    for method, wrong in (("sft", 20), ("warmup", 10)):
        for subset in ("de-en", "en-de"):
            store_cell(out, method, 0, wrong, subset=subset, data=subset)
    spec = {"task": "t", "methods": ["sft", "warmup"], "stats": {"randomizations": 300}}
    (out / "specs").mkdir()
    (out / "specs" / "new.yaml").write_text(yaml.safe_dump(spec), encoding="utf-8")
    (out / "specs" / "old.yaml").write_text(yaml.safe_dump(spec | {"stats": {"seed": 7}}), encoding="utf-8")
    os.utime(out / "specs" / "old.yaml", (1, 1))
    return out


def test_the_newest_spec_tells_the_tests(runs: Path) -> None:
    stats = stored_stats(runs)
    assert (stats.randomizations, stats.seed) == (300, 12345)


def test_every_format_is_one_document(runs: Path) -> None:
    starts = {"text": "\nt, BLEU, nano", "md": "**t, BLEU, nano", "latex": "% The preamble"}
    for name, start in (starts | {"csv": "table,task"}).items():
        done = invoke("report", ".", "--format", name, cwd=runs)
        assert done.returncode == 0
        assert done.stdout.startswith(start)
    done = invoke("report", ".", "--format", "json", "--metric", "BLEU", cwd=runs)
    assert done.returncode == 0
    assert [table["name"] for table in json.loads(done.stdout)["tables"]] == ["t-mini-bleu"]


def test_options_narrow_and_turn_the_table(runs: Path) -> None:
    results = load(runs)
    tables = results.tables(baseline="warmup", table="metrics", metrics=["bleu,chrF++"])
    assert len(results) == 4
    assert [table.title for table in tables] == ["t de-en, nano", "t en-de, nano"]
    assert "sft against warmup at 1.0 times its training FLOPs: worse by" in tables[0].findings[0]


def test_plots_are_written_beside_the_table(runs: Path, tmp_path: Path) -> None:
    place = tmp_path / "plots"
    options = ["--format", "csv", "--metric", "bleu", "--plots", str(place)]
    done = invoke("report", ".", *options, cwd=runs)
    assert done.returncode == 0
    assert done.stdout.startswith("table,task")
    assert all(line.startswith(("t-", "table")) for line in done.stdout.splitlines())
    names = {path.name for path in place.iterdir()}
    assert {"forest-t-mini-bleu.png", "forest-t-mini-bleu.svg", "cost-t-mini-bleu.png"} <= names


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--format", "pdf"], "Formats: text, md, latex, csv, json"),
        (["--table", "tabel"], "Tables: auto, directions, metrics, translation, summarization, logic"),
        (["--metric", "blue"], "Stored: bleu, chrf++"),
        (["--baseline", "stf"], "Stored: sft, warmup"),
        (["--table", "logic"], "no stored cell has a score of macro-f1, accuracy"),
    ],
)
def test_a_mistake_gets_one_clear_line(runs: Path, arguments: list[str], message: str) -> None:
    done = invoke("report", ".", *arguments, cwd=runs)
    assert done.returncode == 2
    assert message in done.stderr
    assert done.stdout == ""


def test_an_empty_folder_is_no_results_folder(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="not a results folder"):
        load(tmp_path).tables()
