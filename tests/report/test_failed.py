"""Cells that failed stand under the tables of every format: which, where, why."""

import io
import json
from pathlib import Path

import pytest
from rich.console import Console
from stored import STATS, store_cell

from warmup_bench.report.build import build_tables
from warmup_bench.report.failed import Failed, failed_cells, heading
from warmup_bench.report.html import render_html
from warmup_bench.report.planned import read_planned
from warmup_bench.report.render import RENDERERS, print_tables
from warmup_bench.store.failures import FAILED, Failure, read_failures, write_failure
from warmup_bench.store.results import read_cell, read_results

WHY = "the loss was not finite in 21 of 30 steps\nLower <b>train.learning_rate</b> | [it](x)"


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two finished cells, one of another method that failed, and one that an older version left so."""
    folder = tmp_path_factory.mktemp("runs")
    store_cell(folder, "sft", 0, 20)
    done = store_cell(folder, "warmup", 0, 10)
    lost = read_cell(done).model_copy(update={"method": "lost", "seed": 3})
    write_failure(folder / "cells" / "lost-cell", Failure("training", "TrainingError", WHY), lost)
    write_failure(folder / "cells" / "older-cell", Failure("decode", "ValueError", "no luck"))
    return folder


def test_a_failure_knows_its_cell(out: Path) -> None:
    first, older = failed_cells(out)
    assert first.what == "lost, nano, all, seed 3"
    assert first.cell is not None
    assert first.cell.model_dump(mode="json") == read_failures(out)["lost-cell"].cell
    assert first.sentence.startswith("lost, nano, all, seed 3: training failed: the loss was not finite")
    assert "\n" not in first.sentence
    assert older == Failed("older-cell", "older-cell", "decode", "no luck")
    assert heading([older]).startswith("1 cell has failed")
    assert heading([first, older]).startswith("2 cells have failed")


def test_every_format_tells(out: Path) -> None:
    results, failed = read_results(out), failed_cells(out)
    tables = build_tables(results, STATS, planned=read_planned(out, results, failed))
    shown = io.StringIO()
    print_tables(tables, Console(file=shown, width=200), failed)
    for text in (shown.getvalue(), RENDERERS["md"](tables, failed)):
        assert text.count("2 cells have failed") == 1
        assert "older-cell: decode failed: no luck" in text
    assert "lost, nano, all, seed 3: training failed: the loss" in shown.getvalue()
    assert "&lt;b&gt;train.learning\\_rate&lt;/b&gt; \\| \\[it\\](x)" in RENDERERS["md"](tables, failed)
    page = render_html(tables, results, failed)
    assert "<li>lost, nano, all, seed 3: training failed: the loss" in page
    assert "&lt;b&gt;train.learning_rate&lt;/b&gt;" in page
    content = json.loads(RENDERERS["json"](tables, failed))
    assert [f["stage"] for f in content["failed"]] == ["training", "decode"]
    (row,) = [r for g in content["tables"][0]["groups"] for r in g["rows"] if r["method"] == "lost"]
    assert row["cells"]["bleu"]["missing"].startswith("training failed: the loss was not finite")
    assert "% lost, nano, all, seed 3: training failed" in RENDERERS["latex"](tables, failed)
    # nothing is said where nothing failed
    for name in ("md", "latex", "csv"):
        assert "failed" not in RENDERERS[name](build_tables(results, STATS), [])
    assert 'id="failed"' not in render_html(tables, results)


@pytest.mark.parametrize("content", ["{", "[]", '{"stage": 1}', '{"stage": "a", "error": "b", "message": 3}'])
def test_a_file_that_is_no_failure_is_one_itself(tmp_path: Path, content: str) -> None:
    (tmp_path / "cells" / "x").mkdir(parents=True)
    (tmp_path / "cells" / "x" / FAILED).write_text(content)
    (found,) = failed_cells(tmp_path)
    assert (found.what, found.stage) == ("x", "unknown")
    assert "can't be read" in found.reason


def test_a_cell_of_another_version_keeps_its_name(tmp_path: Path) -> None:
    write_failure(tmp_path / "cells" / "x", Failure("score", "E", "why"))
    content = json.loads((tmp_path / "cells" / "x" / FAILED).read_text())
    (tmp_path / "cells" / "x" / FAILED).write_text(json.dumps({**content, "cell": {"task": 3}}))
    assert failed_cells(tmp_path) == [Failed("x", "x", "score", "why")]


def test_a_folder_in_which_all_failed_says_so(tmp_path: Path) -> None:
    from warmup_bench.contracts.errors import UserError

    write_failure(tmp_path / "cells" / "x", Failure("training", "E", "why"))
    with pytest.raises(UserError, match=r"no finished cell \(1 failed; the first, x: training failed: why\)"):
        read_results(tmp_path)
