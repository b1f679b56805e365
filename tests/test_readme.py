"""What the README shows must run as it stands."""

import re
from pathlib import Path

from harness.registry import KINDS, tasks
from harness.task import LoadRequest

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")


def test_the_task_of_a_dozen_lines_is_a_task(tmp_path: Path) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
    path = tmp_path / "reverse.py"
    path.write_text(code, encoding="utf-8")
    task = tasks().load(str(path)).value
    splits = task.load(LoadRequest("all", "mini"))
    assert task.card.name == "reverse"
    assert [len(s) for s in (splits.train, splits.validation, splits.test)] == [2400, 100, 500]
    assert len(code.splitlines()) < 15


def test_every_folder_and_task_that_is_named_is_there() -> None:
    root = Path(__file__).parents[1]
    for target in re.findall(r"\]\(([\w./-]+)\)", README):
        assert (root / target).exists() or (root / "harness" / target).exists(), target
    named = set(re.findall(r"--task ([\w-]+)", README)) | set(
        re.findall(r"^\| `([\w-]+)`", README, flags=re.MULTILINE)
    )
    assert named == set(KINDS["tasks"]().names())
