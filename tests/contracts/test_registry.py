import hashlib
import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from plugin_files import write_plugins
from warmup_bench.baselines import warmup
from warmup_bench.contracts import registry
from warmup_bench.contracts.errors import UserError
from warmup_bench.contracts.registry import Registry
from warmup_bench.data.registry import KINDS, tasks


class FakeDist:
    def __init__(self, name: str) -> None:
        self.name, self.version = name, "1.0"


def point(name: str, value: str, dist: str = "other") -> EntryPoint:
    made = EntryPoint(name, value, "warmup_bench.things")
    vars(made)["dist"] = FakeDist(dist)
    return made


@pytest.fixture
def things(monkeypatch: pytest.MonkeyPatch) -> Registry[object]:
    points = [
        point("pi", "math:pi"),
        point("broken", "no_such_module_here:X"),
        point("twice", "math:e", "one"),
        point("twice", "math:tau", "two"),
    ]
    monkeypatch.setattr(
        registry, "declared", lambda group: [(p, (p.dist.name, p.dist.version)) for p in points]
    )
    return Registry("thing", "THING")


def test_a_name_is_loaded_with_its_origin(things: Registry[object]) -> None:
    entry = things.load("pi")
    assert (entry.value, entry.origin) == (pytest.approx(3.14159, abs=1e-5), "other 1.0")


def test_the_text_of_a_module_is_part_of_its_version() -> None:
    text = Path(warmup.__file__).read_bytes()
    version, digest = registry.methods().load("warmup").code.split("+")
    assert (version, digest) == ("0.1.0", hashlib.sha256(text).hexdigest()[:12])


def test_the_nearest_name_is_told(things: Registry[object]) -> None:
    with pytest.raises(UserError, match="Did you mean broken"):
        things.load("brokn")
    with pytest.raises(UserError, match="Known: broken, pi, twice"):
        things.load("zzzzzz")


def test_a_name_claimed_twice_is_refused_with_both_origins(things: Registry[object]) -> None:
    with pytest.raises(UserError, match="math:e of one and math:tau of two"):
        things.load("twice")


def test_a_broken_plugin_stops_only_itself(things: Registry[object]) -> None:
    found = dict(things.entries())
    assert isinstance(found["broken"], UserError)
    assert "no_such_module_here" in str(found["broken"])
    assert not isinstance(found["pi"], UserError)


def test_a_file_is_a_plugin_and_its_text_is_its_version(tmp_path: Path) -> None:
    path = Path(write_plugins(tmp_path)["method"])
    first = registry.methods().load(str(path))
    assert (first.name, first.origin) == ("frozen", str(path))
    path.write_text(path.read_text(encoding="utf-8") + "\n# edited\n", encoding="utf-8")
    assert registry.methods().load(str(path)).code != first.code


@pytest.mark.parametrize(
    ("text", "message"),
    [(None, "does not exist"), ("x = 1", "no variable 'METHOD'"), ("1/0", "ZeroDivisionError")],
)
def test_a_bad_plugin_file_is_named(tmp_path: Path, text: str | None, message: str) -> None:
    path = tmp_path / "plugin.py"
    if text is not None:
        path.write_text(text, encoding="utf-8")
    with pytest.raises(UserError, match=message) as error:
        registry.methods().load(str(path))
    assert "plugin.py" in str(error.value)


@pytest.mark.parametrize("kind", list(KINDS))
def test_every_built_in_plugin_loads(kind: str) -> None:
    found = dict(KINDS[kind]().entries())
    assert found
    assert [str(e) for e in found.values() if isinstance(e, UserError)] == []


@pytest.mark.parametrize("kind", list(KINDS))
def test_a_file_whose_object_is_something_else_is_refused(tmp_path: Path, kind: str) -> None:
    things = KINDS[kind]()
    path = tmp_path / "odd.py"
    path.write_text(f"{things.variable} = 3", encoding="utf-8")
    with pytest.raises(UserError, match=f"{things.kind} 'odd' is not a ") as error:
        things.load(str(path))
    assert error.value.origin == str(path)


def test_a_plugin_that_ends_the_process_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "ends.py"
    path.write_text("import sys\nsys.exit('a script')", encoding="utf-8")
    with pytest.raises(UserError, match="SystemExit: a script"):
        tasks().load(str(path))


OLD = ["from harness.task import Task", "import tasks.hub", "from baselines import sft"]


@pytest.mark.parametrize("old", OLD)
def test_a_plugin_for_the_first_version_is_told_the_new_names(
    old: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("harness", "tasks", "baselines"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    installed = [path for path in sys.path if not Path(path or ".", "tasks").is_dir()]  # not a checkout
    monkeypatch.setattr(sys, "path", installed)
    path = tmp_path / "old.py"
    path.write_text(old, encoding="utf-8")
    with pytest.raises(UserError, match="from warmup_bench import Task, Example") as error:
        tasks().load(str(path))
    assert "\n" not in str(error.value)
