"""Packages of third parties beside the built-in plugins, through pip and the real command line."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from command import invoke


@pytest.mark.parametrize(
    ("kind", "name", "told"),
    [
        ("tasks", "pig-latin", ["Pig Latin, made-up words", "exact, chrf++", "CC0-1.0"]),
        ("metrics", "exact", ["refs:any|version:1"]),
        ("methods", "warmup-best", ["likelihood of the best of the sampled warmups", "best of n"]),
        ("backbones", "pocket", ["T5 from scratch, 1+1 layers, width 16"]),
    ],
)
def test_it_is_listed_with_its_origin(
    installed: Callable[[str], Path], tmp_path: Path, kind: str, name: str, told: list[str]
) -> None:
    done = invoke("list", kind, cwd=tmp_path, site=installed("good"))
    assert done.returncode == 0, done.stderr
    for part in (f"{name} ", *told, "warmup-bench-pig-latin 2.3"):
        assert part in done.words


def test_another_process_finds_it(installed: Callable[[str], Path], tmp_path: Path) -> None:
    code = (
        "import sys; sys.argv = ['warmup-bench', 'list', 'tasks']; from warmup_bench.cli import main; main()"
    )
    path = os.pathsep.join([str(installed("good")), str(Path(__file__).parents[2] / "src")])
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "pig-latin" in done.stdout


def test_it_runs_end_to_end_by_its_names(installed: Callable[[str], Path], tmp_path: Path) -> None:
    arguments = ["--task", "pig-latin", "--method", "sft,warmup-best", "--seeds", "1", "--workers", "1"]
    done = invoke("run", *arguments, "--out", "out", cwd=tmp_path, site=installed("good"))
    assert done.returncode == 0, done.stdout + done.stderr
    for part in ("pig-latin words, pocket", "exact", "chrF++", "warmup-best", "24 test examples"):
        assert part in done.stdout
    decoded = {}
    for folder in (tmp_path / "out" / "cells").iterdir():
        cell = json.loads((folder / "decode" / "cell.json").read_text())
        assert cell["code"]["task"].startswith("2.3+")
        decoded[cell["method"]] = pq.read_table(folder / "decode" / "predictions.parquet").to_pylist()
    assert set(decoded) == {"sft", "warmup-best"}
    assert all(row["warmup"] is None for row in decoded["sft"])
    assert all(row["warmup"] is not None for row in decoded["warmup-best"])
    reported = invoke("report", "out", cwd=tmp_path, site=installed("good"))
    assert "refs:any|version:1" in reported.stdout


def test_it_passes_the_check(installed: Callable[[str], Path], tmp_path: Path) -> None:
    done = invoke("check", "task", "pig-latin", cwd=tmp_path, site=installed("good"))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "failed" not in done.stdout
    assert "exact of the references against themselves is 100.00" in done.words


@pytest.mark.parametrize(
    ("kind", "errors", "unharmed"),
    [
        (
            "tasks",
            [
                "needs-more task 'needs-more' failed to import: ModuleNotFoundError: No module named "
                "'a_package_that_nobody_has' (from warmup_bench_broken:TASK of warmup-bench-broken)",
                "half-a-card task 'half-a-card' is not a warmup_bench.Task",
                "cant-say AttributeError: 'LoadRequest' object has no attribute 'no_such_thing'",
                "wmt task 'wmt' is registered twice, by warmup_bench.tasks.wmt:TASK of warmup-bench and "
                "warmup_bench_half:CARD of warmup-bench-broken",
            ],
            "xsum",
        ),
        ("metrics", ["no-name AttributeError: 'object' object has no attribute 'name'"], "chrf++"),
        (
            "methods",
            [
                "stops method 'stops' failed to import: SystemExit: only to be run as a script",
                "fails-when-made method 'fails-when-made' can't be made: ZeroDivisionError",
            ],
            "warmup",
        ),
        ("backbones", ["missing backbone 'missing' failed to import: AttributeError"], "mini-t5"),
    ],
)
def test_a_broken_plugin_is_a_row_with_its_error(
    installed: Callable[[str], Path], tmp_path: Path, kind: str, errors: list[str], unharmed: str
) -> None:
    done = invoke("list", kind, cwd=tmp_path, site=installed("broken"))
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    for error in errors:
        assert error in done.words
    assert any(line.split()[:1] == [unharmed] for line in done.stdout.splitlines())


def test_a_broken_plugin_is_refused_by_name(installed: Callable[[str], Path], tmp_path: Path) -> None:
    done = invoke("run", "--task", "needs-more", cwd=tmp_path, site=installed("broken"))
    assert done.returncode == 2
    assert "a_package_that_nobody_has" in done.stderr
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.iterdir())
