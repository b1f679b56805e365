"""The package as a user installs it: built, put into a clean environment, run outside the checkout."""

import os
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def run(*command: str | Path, cwd: Path) -> str:
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=environment | {"COLUMNS": "200", "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=280,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an sdist, and the wheel that is made from it."""
    folder = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, ROOT, cwd=folder)
    return folder


def test_what_is_in_them(built: Path) -> None:
    (wheel,), (sdist,) = built.glob("*.whl"), built.glob("*.tar.gz")
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0] for name in names if ".dist-info" not in name} == {"warmup_bench"}
    for name in (
        *("py.typed", "cli/templates/task/module.py.tmpl", "report/html/page.html.j2"),
        *("tasks/mini/published.json", "baselines/study-mini.yaml", "published/claims.yaml"),
    ):
        assert f"warmup_bench/{name}" in names
    with tarfile.open(sdist) as archive:
        inside = {name.partition("/")[2] for name in archive.getnames()}
    assert {
        "pyproject.toml",
        "README.md",
        "LICENSE",
        "CHANGELOG.md",
        "src/warmup_bench/tasks/wmt.py",
    } <= inside
    assert not any(name.startswith(("tests", "results/first-study", "runs")) for name in inside)
    assert max(wheel.stat().st_size, sdist.stat().st_size) < 1_000_000


@pytest.mark.slow
def test_a_wheel_runs_in_a_clean_environment_outside_the_checkout(built: Path, tmp_path: Path) -> None:
    """Its dependencies are this environment's, read from where they lie; the package is the wheel's."""
    (wheel,) = built.glob("*.whl")
    venv = tmp_path / "venv"
    run(sys.executable, "-m", "venv", "--without-pip", venv, cwd=tmp_path)
    site = Path(sysconfig.get_path("purelib", vars={"base": str(venv)}))
    # A path in a .pth file is searched last, and its own .pth files, the editable install's, are not read.
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    pip = ("-m", "pip", "--python", venv / "bin" / "python", "install", "--no-deps", "--no-index", "--quiet")
    run(sys.executable, *pip, "--no-compile", wheel, cwd=tmp_path)
    command = venv / "bin" / "warmup-bench"
    where = run(
        venv / "bin" / "python", "-c", "import warmup_bench; print(warmup_bench.__file__)", cwd=tmp_path
    )
    assert Path(where.strip()).is_relative_to(venv)
    few = ("--seeds", "1", "--workers", "1", "--budget", "steps=4", "--limit", "test=20,train=200")
    short = ("--set", "warm_start.steps=4", "--set", "stats.randomizations=99")
    shown = run(command, "run", "--task", "wmt", *few, *short, cwd=tmp_path)
    assert "BLEU" in shown and "Stored in runs/wmt-mini" in shown
    study = ROOT / "results" / "third-study"
    table = run(command, "report", study, "--format", "md", "--metric", "chrf++", cwd=tmp_path)
    assert table.startswith("**multi30k") and "| warmup |" in table
