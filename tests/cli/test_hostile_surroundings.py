"""What the surroundings of the command may be: its streams, its variables, its paths."""

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from command import invoke
from plugin_files import planned
from warmup_bench.contracts.errors import UserError
from warmup_bench.spec.cell import Cell
from warmup_bench.train.launch import launched

SRC = Path(__file__).parents[2] / "src"


@pytest.mark.parametrize(
    "environ",
    [
        {"WORLD_SIZE": "2"},
        {"WORLD_SIZE": "two", "RANK": "0"},
        {"WORLD_SIZE": "2", "RANK": ""},
        {"WORLD_SIZE": "2", "RANK": "0", "MASTER_PORT": "x"},
        {"WORLD_SIZE": "-1"},
    ],
)
def test_half_a_launcher_is_named(environ: dict[str, str]) -> None:
    with pytest.raises(UserError, match=r"WORLD_SIZE .* no number .*unset WORLD_SIZE"):
        launched(environ)
    assert launched({}) is None and launched({"WORLD_SIZE": "1"}) is None


@pytest.mark.parametrize("out", ["x" * 5000, "a/" * 3000, "out\udcff", "nul\0"])
def test_a_results_folder_that_can_not_be_is_named(tmp_path: Path, out: str) -> None:
    (tmp_path / "plugins").mkdir()
    with pytest.raises(UserError, match=r"results folder .* can't be.*another --out") as caught:
        planned(tmp_path / "plugins", out=out)
    assert len(str(caught.value)) < 600 and str(caught.value).isprintable()


def test_a_terminal_that_lacks_signs_gets_others(tmp_path: Path) -> None:
    code = "import sys; sys.argv[1:] = ['list', 'methods']\nfrom warmup_bench.cli import main\nmain()"
    done = subprocess.run(
        [sys.executable, "-c", code + "\nprint('\\u2192')"],
        env=os.environ | {"PYTHONPATH": str(SRC), "PYTHONIOENCODING": "ascii"},
        capture_output=True,
        check=False,
        cwd=tmp_path,
        timeout=120,
    )
    assert b"Traceback" not in done.stderr, done.stderr
    assert done.stdout.isascii() and b"warmup" in done.stdout


@pytest.mark.parametrize("act", ["sys.stdout.close()", "os.close(1); os.close(2)", "os.chdir('/')"])
def test_a_loader_that_takes_the_streams_or_the_folder_is_named(tmp_path: Path, act: str) -> None:
    text = f"""
import os, sys
from warmup_bench import ScaleCard, Subset, Task, TaskCard

def load(request):
    {act}
    raise ValueError("mute")

facts = dict(title="t", licence="l", citation="c", metrics=("chrf++",), subsets={{"en": Subset()}})
TASK = Task(TaskCard(name="mute", version=1, scales={{"mini": ScaleCard(data="d")}}, **facts), load)
"""
    (tmp_path / "mute.py").write_text(text)
    done = subprocess.run(
        [sys.executable, "-m", "warmup_bench", "run", "--task", "mute.py"],
        env=os.environ | {"PYTHONPATH": str(SRC)},
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        timeout=120,
    )
    assert done.returncode == 2, done.stderr
    assert "task 'mute' could not load its examples: ValueError: mute" in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr


def test_a_copy_of_a_cell_has_ids_of_its_own(tmp_path: Path) -> None:
    cell: Cell = planned(tmp_path, methods=["warmup"], seeds=[0]).cells[0]
    before = cell.id, cell.training_id, cell.warm_start_id
    other = cell.model_copy(update={"seed": 1})
    assert all(
        a != b for a, b in zip(before, (other.id, other.training_id, other.warm_start_id), strict=True)
    )
    assert other == Cell.model_validate(other.model_dump()) and other != cell
    assert cell.model_dump() == Cell.model_validate_json(cell.model_dump_json()).model_dump()


def test_a_plan_of_many_cells_is_one_text(tmp_path: Path) -> None:
    assert isinstance(sys.stdout, io.TextIOBase)
    (tmp_path / "plugins").mkdir()
    planned(tmp_path / "plugins")
    arguments = ("--task", "plugins/my_task.py", "--backbone", "plugins/my_backbone.py", "--seeds", "200")
    done = invoke("run", *arguments, "--method", "sft", "--dry-run", "--out", "out", cwd=tmp_path)
    assert done.returncode == 0
    assert done.stdout.count("  to run  ") == 200
