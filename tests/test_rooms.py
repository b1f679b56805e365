"""The rooms of the package: data goes down, no import climbs, no files import each other in a circle."""

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import warmup_bench

PACKAGE = Path(warmup_bench.__file__).parent
ROOMS = (
    *("contracts", "data", "spec", "store", "models", "score", "train", "decode", "comparison", "plan"),
    *("execution", "report", "check", "api", "cli"),
)
"""From the lowest to the highest: a room imports from itself and from those before it."""
PLUGINS = ("tasks", "baselines")


def modules() -> dict[str, Path]:
    """Every module of the rooms by its name; of plugins there is nothing to import."""
    found = {}
    for path in PACKAGE.rglob("*.py"):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        if parts[0] not in PLUGINS:
            found[".".join(("warmup_bench", *parts)).removesuffix(".__init__")] = path
    return found


MODULES = modules()


def imported(name: str) -> Iterator[str]:
    """The modules of ours that a module names in any import, also inside functions and for types alone."""
    for node in ast.walk(ast.parse(MODULES[name].read_text(encoding="utf-8"))):
        wanted = []
        if isinstance(node, ast.Import):
            wanted = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name}: a relative import"
            wanted = [f"{node.module}.{alias.name}" for alias in node.names]
        for text in wanted:
            parts = text.split(".")
            assert parts[0] not in ("harness", *PLUGINS), f"{name} imports {text}"
            assert parts[:2] not in [["warmup_bench", plugin] for plugin in PLUGINS], f"{name} imports {text}"
            module = next(
                (m for n in range(len(parts), 1, -1) if (m := ".".join(parts[:n])) in MODULES), name
            )
            if module != name:
                yield module


IMPORTS = {name: set(imported(name)) for name in MODULES}


def test_every_module_stands_in_a_room() -> None:
    tops = {name.split(".")[1] for name in MODULES if name != "warmup_bench"}
    assert tops == {*ROOMS, "__main__"}
    assert len(MODULES) > 150


@pytest.mark.parametrize("room", ROOMS)
def test_no_import_climbs(room: str) -> None:
    below = ROOMS[: ROOMS.index(room) + 1]
    for name, found in IMPORTS.items():
        if name.split(".")[1:2] == [room]:
            assert [other for other in found if other.split(".")[1] not in below] == [], name


def test_no_circle() -> None:
    order = list(TopologicalSorter({n: o for n, o in IMPORTS.items() if n != "warmup_bench"}).static_order())
    assert order.index("warmup_bench.contracts.errors") < order.index("warmup_bench.cli.app")


def test_what_stands_in_the_working_folder_is_not_imported(tmp_path: Path) -> None:
    for name in ("tasks", "baselines", "harness", "results"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("raise SystemExit('the user's own')\n")
    code = (
        "import warmup_bench as wb; from warmup_bench.data.registry import KINDS;"
        "print([KINDS[kind]().load(name).name for kind, name in (('tasks', 'wmt'), ('methods', 'sft'))])"
    )
    environment = os.environ | {"PYTHONPATH": str(PACKAGE.parent)}
    for command in (("-c", code), ("-m", "warmup_bench", "list", "methods")):
        done = subprocess.run(
            [sys.executable, *command],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, "")
        assert "sft" in done.stdout
