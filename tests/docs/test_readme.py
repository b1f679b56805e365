"""What the README shows must run as it stands."""

import ast
import inspect
import re
from pathlib import Path

import warmup_bench as wb
from warmup_bench.contracts.task import LoadRequest
from warmup_bench.data.registry import KINDS, tasks

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")


def test_the_declared_task_is_a_task(tmp_path: Path) -> None:
    (text,) = re.findall(r"```yaml\n(.*?)```", README, flags=re.DOTALL)
    (tmp_path / "reviews.yaml").write_text(text, encoding="utf-8")
    rows = "".join(f"reader {i % 3},text {i},about {i}\n" for i in range(50))
    (tmp_path / "reviews.csv").write_text(f"reader,text,summary\n{rows}")
    task = tasks().load(str(tmp_path / "reviews.yaml")).value
    splits = task.load(LoadRequest("en", "mini"))
    # A fifth of 50 rows is tested, a tenth of the others validates.
    assert [len(s) for s in (splits.train, splits.validation, splits.test)] == [36, 4, 10]
    example = splits.test[0]
    number = int(example.target.split()[1])
    assert example.source == f"Summarise for reader {number % 3}: text {number}"


def test_every_folder_and_task_that_is_named_is_there() -> None:
    root = Path(__file__).parents[2]
    for target in re.findall(r"\]\(([\w./-]+)\)", README):
        assert (root / target).exists() or (root / "harness" / target).exists(), target
    named = set(re.findall(r"--task ([\w-]+)(?![\w.:-])", README)) | set(
        re.findall(r"^\| `([\w-]+)`", README, flags=re.MULTILINE)
    )
    assert named == set(KINDS["tasks"]().names())


def test_what_a_script_calls_is_there() -> None:
    """Its arguments fit the function; that the call works is for tests/test_api.py."""
    (code,) = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
    seen: list[str] = []
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            assert isinstance(node.func.value, ast.Name)
            owner = {"wb": wb, "results": wb.Results}[node.func.value.id]
            given = [None] * (len(node.args) + (owner is wb.Results))
            named = {str(keyword.arg): None for keyword in node.keywords}
            inspect.signature(getattr(owner, node.func.attr)).bind(*given, **named)
            seen.append(node.func.attr)
    assert sorted(seen) == ["compare", "comparisons", "plot", "power", "report", "run"]
