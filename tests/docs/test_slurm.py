"""The recipes of docs/slurm on a real Slurm with two nodes: the numbers of a run without one, bit for bit."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from command import invoke
from plugin_files import write_plugins
from same_results import assert_same
from slurm_cluster import Slurm, missing, slurm

ROOT = Path(__file__).parents[2]
FILES = 5 * 3 + 4 * 6
"""5 models with log and ledger, 4 cells with predictions, ledger, 2 scores and their statistics."""
RECIPES = ROOT / "docs" / "slurm"
needs_slurm = pytest.mark.skipif(bool(missing()), reason=missing())


@pytest.mark.parametrize("recipe", sorted(RECIPES.glob("*.sbatch")), ids=lambda path: path.name)
def test_a_recipe_is_a_script_that_names_what_it_sets(recipe: Path) -> None:
    text = recipe.read_text(encoding="utf-8")
    assert text.startswith("#!/bin/bash\n")
    options = [line.split()[1] for line in text.splitlines() if line.startswith("#SBATCH ")]
    assert {option.split("=")[0] for option in options} >= {"--time", "--signal", "--requeue", "--open-mode"}
    assert text.index("#SBATCH") < text.index("\nsrun" if "\nsrun" in text else "srun")
    subprocess.run(["bash", "-n", str(recipe)], check=True)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slurm]:
    """Two nodes, whose jobs find ``warmup-bench`` as an activated environment would let them."""
    programs = tmp_path_factory.mktemp("bin")
    shim = programs / "warmup-bench"
    call = "import sys; sys.argv[0] = 'warmup-bench'; from warmup_bench.cli import main; main()"
    shim.write_text(f'#!/bin/sh\nexec {sys.executable} -c "{call}" "$@"\n', encoding="utf-8")
    shim.chmod(0o755)
    path = os.pathsep.join([str(programs), str(Path(sys.executable).parent), os.environ["PATH"]])
    variables = {"PATH": path, "PYTHONPATH": str(ROOT / "src"), "OMP_NUM_THREADS": "1", "COLUMNS": "200"}
    with slurm(variables) as made:
        yield made


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """A run of a small study without Slurm, and its options."""
    at = tmp_path_factory.mktemp("study")
    files = write_plugins(at)
    options = ["--task", files["task"], "--backbone", files["backbone"], "--method", "sft,warmup"]
    options += ["--method", files["method"], "--match", "warmup", "--seeds", "1", "--workers", "1"]
    options += ["--limit", "train=24,validation=8,test=8", "--budget", "steps=40"]
    for setting in ("warm_start.steps=2", "train.dropout=0.1"):
        options += ["--set", setting]
    options += ["--set", "stats.randomizations=99"]
    done = invoke("run", *options, "--out", "whole", cwd=at)
    assert done.returncode == 0, done.stderr
    return at / "whole", options


@pytest.mark.slow
@pytest.mark.timeout(900)
@needs_slurm
def test_an_array_stores_what_a_run_stores(
    cluster: Slurm, whole: tuple[Path, list[str]], tmp_path: Path
) -> None:
    recipe = ["sbatch", "--array=1-2", "--cpus-per-task=1", str(RECIPES / "array.sbatch")]
    cluster.call(*recipe, *whole[1], "--out", "array", cwd=tmp_path)
    wait_for(lambda: not cluster.call("squeue", "--noheader"), tmp_path)
    assert len(list(tmp_path.glob("warmup-bench-*_[12].log"))) == 2, said(tmp_path)
    assert all(f"This was shard {i}/2 alone." in said(tmp_path) for i in (1, 2))
    assert assert_same(whole[0], tmp_path / "array") == FILES


@pytest.mark.slow
@pytest.mark.timeout(900)
@needs_slurm
def test_a_task_that_is_told_to_end_is_queued_again_and_goes_on(
    cluster: Slurm, whole: tuple[Path, list[str]], tmp_path: Path
) -> None:
    recipe = ["sbatch", "--parsable", "--array=1-1", "--cpus-per-task=1", str(RECIPES / "array.sbatch")]
    job = cluster.call(*recipe, *whole[1], "--out", "again", cwd=tmp_path)
    wait_for(lambda: "sft.seed0 training" in said(tmp_path), tmp_path)
    cluster.call("scancel", "--signal=TERM", job)  # what --signal sends: to the steps, not to the script
    wait_for(lambda: "Stopped. 0 of 4 cells" in said(tmp_path), tmp_path)
    assert list((tmp_path / "again" / "checkpoints").glob("*/step-*"))
    wait_for(lambda: "This was shard 1/1 alone." in said(tmp_path), tmp_path)
    wait_for(lambda: not cluster.call("squeue", "--noheader"), tmp_path)
    assert assert_same(whole[0], tmp_path / "again") == FILES


@pytest.mark.slow
@pytest.mark.timeout(900)
@needs_slurm
def test_a_ray_cluster_on_an_allocation_stores_what_a_run_stores(
    cluster: Slurm, whole: tuple[Path, list[str]], tmp_path: Path
) -> None:
    pytest.importorskip("ray")
    if not subprocess.run(["hostname", "-I"], capture_output=True, check=False).stdout.strip():
        pytest.skip("Ray needs an address besides the loopback")
    recipe = ["sbatch", "--nodes=2", "--cpus-per-task=1", str(RECIPES / "ray.sbatch")]
    cluster.call(*recipe, *whole[1], "--out", "on-ray", cwd=tmp_path)
    wait_for(lambda: not cluster.call("squeue", "--noheader"), tmp_path)
    assert "Stored in on-ray" in said(tmp_path), said(tmp_path)
    assert assert_same(whole[0], tmp_path / "on-ray") == FILES


def said(at: Path) -> str:
    """What the jobs have printed, without line breaks and columns."""
    return " ".join(" ".join(path.read_text(encoding="utf-8") for path in sorted(at.glob("*.log"))).split())


def wait_for(met: Callable[[], bool], at: Path, seconds: float = 400) -> None:
    deadline = time.monotonic() + seconds
    while not met():
        assert time.monotonic() < deadline, said(at)
        time.sleep(0.2)
