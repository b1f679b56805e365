"""Folders that ``warmup-bench new`` makes work as they stand."""

import contextlib
import io
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import warmup_bench
from command import invoke
from warmup_bench.check.task import check_task
from warmup_bench.cli.new import MOST, PLUGINS, plugin_files
from warmup_bench.data.registry import KINDS

ROOT = Path(__file__).parents[2]
NAMES = {"task": "sort-words", "method": "warmup-power", "metric": "exact.match"}


def python(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=cwd,
        env=os.environ | {"PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One folder of each kind."""
    place = tmp_path_factory.mktemp("new")
    for kind, name in NAMES.items():
        done = invoke("new", kind, name, cwd=place)
        assert done.returncode == 0, done.stderr
        assert f"cd {name}" in done.stdout
    return place


def test_the_files_are_there_and_nothing_else(made: Path) -> None:
    files = sorted(str(p.relative_to(made)) for p in made.rglob("*") if p.is_file())
    assert files == sorted(
        f"{name}/{file}"
        for name, module in zip(NAMES.values(), modules(), strict=True)
        for file in (f"{module}.py", f"tests/test_{module}.py", "pyproject.toml", "README.md")
    )


def modules() -> list[str]:
    return ["task_sort_words", "method_warmup_power", "metric_exact_match"]


@pytest.mark.parametrize("kind", PLUGINS)
def test_its_own_tests_pass(made: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # As "cd NAME && python -m pytest" does, but in this process: torch is here already.
    monkeypatch.chdir(made / NAMES[kind])
    monkeypatch.setattr(sys, "path", [*sys.path])
    seen = Outcomes()
    with contextlib.redirect_stdout(io.StringIO()) as out:
        code = pytest.main(["-q", "-p", "no:cacheprovider"], plugins=[seen])
    assert code == 0, out.getvalue()
    assert seen.passed == {"task": 5, "method": 6, "metric": 3}[kind]


class Outcomes:
    """Counts the tests that pass."""

    passed = 0

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.passed += report.when == "call" and report.passed


@pytest.mark.parametrize("name", ["a", "a" * MOST])
@pytest.mark.parametrize("kind", PLUGINS)
def test_they_are_clean_for_ruff_whatever_the_name(kind: str, name: str, tmp_path: Path) -> None:
    assert invoke("new", kind, name, cwd=tmp_path).returncode == 0
    ours = ["--config", str(ROOT / "pyproject.toml"), "--config", "src = ['.']"]
    for arguments in (["check"], ["format", "--check"], ["check", *ours]):
        done = python("-m", "ruff", arguments[0], "--no-cache", *arguments[1:], ".", cwd=tmp_path / name)
        assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("kind", PLUGINS)
def test_the_entry_point_names_the_object(kind: str) -> None:
    name = NAMES[kind]
    files = plugin_files(kind, name)
    project = tomllib.loads(files["pyproject.toml"])["project"]
    ((key, target),) = project["entry-points"][f"warmup_bench.{kind}s"].items()
    module, variable = target.split(":")
    assert key == name
    assert variable == KINDS[f"{kind}s"]().variable
    assert f"\n{variable} = " in files[f"{module}.py"]
    assert project["name"] == f"warmup-bench-{kind}-{name}"


def test_a_file_of_each_kind_is_a_plugin(made: Path) -> None:
    for (kind, name), module in zip(NAMES.items(), modules(), strict=True):
        entry = KINDS[f"{kind}s"]().load(str(made / name / f"{module}.py"))
        assert entry.value is not None
    from warmup_bench.contracts.resolve import resolve_method

    path = made / "warmup-power" / "method_warmup_power.py"
    assert resolve_method(f"{path}:power=0.5").name == "warmup-power:power=0.5"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["taks", "x"], "Did you mean task?"),
        (["task", "My Task"], "such as 'my-task'"),
        (["task", ""], "'' is not a name"),
        (["task", "a/b"], "such as 'a-b'"),
        (["task", "../x"], "such as 'x'"),
        (["task", "-x-"], "not a name"),
        (["task", "x" * (MOST + 1)], "not a name"),
        (["task", "wmt"], "there is a task 'wmt' already"),
        (["metric", "bleu"], "list metrics"),
        (["task", "x", "--into", "nowhere"], "can't write nowhere/x"),
    ],
)
def test_what_can_not_be_made_is_refused_and_leaves_nothing(
    tmp_path: Path, arguments: list[str], message: str
) -> None:
    kind, name, *rest = arguments
    done = invoke("new", *rest, "--", kind, name, cwd=tmp_path)
    assert done.returncode == 2
    assert message in done.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("what", ["folder", "file", "dangling link"])
def test_nothing_is_overwritten(tmp_path: Path, what: str) -> None:
    path = tmp_path / "mine"
    if what == "folder":
        path.mkdir()
    elif what == "file":
        path.write_text("mine", encoding="utf-8")
    else:
        path.symlink_to("nowhere")
    done = invoke("new", "task", "mine", cwd=tmp_path)
    assert done.returncode == 2
    assert "is there already" in done.stderr
    assert list(tmp_path.rglob("*")) == [path]


def test_the_wheel_carries_the_templates(tmp_path: Path) -> None:
    from hatchling.builders.wheel import WheelBuilder

    files = {file.distribution_path for file in WheelBuilder(str(ROOT)).recurse_included_files()}
    package = ROOT / "src" / "warmup_bench"
    here = {f"warmup_bench/{p.relative_to(package)}" for p in (package / "cli" / "templates").rglob("*.tmpl")}
    assert len(here) == 11
    assert here | {"warmup_bench/py.typed"} <= files


def test_a_task_without_python_works_as_it_stands(tmp_path: Path) -> None:
    done = invoke("new", "task", "in-order", "--yaml", cwd=tmp_path)
    assert done.returncode == 0 and "warmup-bench check task in-order.yaml" in done.words
    folder = tmp_path / "in-order"
    assert {path.name for path in folder.iterdir()} == {
        *("in-order.yaml", "train.csv", "validation.csv", "test.csv")
    }
    task = warmup_bench.read_task(folder / "in-order.yaml")
    splits = task.load(warmup_bench.LoadRequest("en", "mini"))
    assert [len(split) for split in splits.named().values()] == [1000, 60, 200]
    assert all(example.target.split() == sorted(example.source.split()) for example in splits.test)
    findings = list(check_task(str(folder / "in-order.yaml")))
    assert [finding for finding in findings if finding.state != "ok"] == []


def test_only_a_task_can_be_without_python(tmp_path: Path) -> None:
    done = invoke("new", "metric", "mine", "--yaml", cwd=tmp_path)
    assert done.returncode == 2 and "--yaml" in done.stderr and not (tmp_path / "mine").exists()


def test_columns_belong_to_a_hub_data_set(tmp_path: Path) -> None:
    done = invoke("run", "--task", "wmt", "--source", "text", cwd=tmp_path)
    assert done.returncode == 2 and "knows its columns" in done.stderr and "Traceback" not in done.stderr
    done = invoke("check", "task", "hf:someone/tiny", "--source", "text", cwd=tmp_path)
    assert done.returncode == 2 and "Add --source COLUMN and --target COLUMN" in done.stderr
