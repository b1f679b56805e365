"""The mini data are those of the README's numbers, or a run says that they are not."""

import re
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import pytest

from command import invoke
from plugin_files import TASK, write_plugins
from warmup_bench.contracts.task import PublishedData, Splits, installed_version
from warmup_bench.tasks.mini.published import MADE_FROM, published

LOCK = (Path(__file__).parents[3] / "locks" / "dev.txt").read_text(encoding="utf-8")


@pytest.mark.parametrize("task", MADE_FROM)
def test_mini_data_have_the_published_fingerprints(task: str, mini: Callable[[str, str], Splits]) -> None:
    then = published(task)
    here = {name: installed_version(name) for name in MADE_FROM[task]}
    if here != then.releases:
        pytest.skip(f"made from other releases: {here}")
    subsets = import_module(f"tasks.{task}").TASK.card.subsets
    assert {subset: mini(task, subset).fingerprint() for subset in subsets} == then.fingerprints


@pytest.mark.parametrize("task", MADE_FROM)
def test_they_were_published_on_the_locked_releases(task: str) -> None:
    """After ``make lock``: warmup_bench.tasks.mini.published, and the README's numbers once more."""
    assert tuple(published(task).releases) == MADE_FROM[task]
    for name, release in published(task).releases.items():
        assert name == "python" or re.search(rf"^{name}=={re.escape(release)}\b", LOCK, re.MULTILINE), name


def test_what_differs_is_named() -> None:
    pandas = installed_version("pandas")
    then = PublishedData(releases={"numpy": "0.1", "pandas": pandas, "nosuch": "2"}, fingerprints={"a": "f0"})
    difference = f"numpy {installed_version('numpy')} (published: 0.1), nosuch none (published: 2)"
    assert then.difference({"a": "f1"}) == difference
    assert then.difference({"a": "f0"}) == ""  # whatever they were made from
    assert then.difference({"b": "f0"}) == difference
    same = PublishedData(releases={"pandas": pandas}, fingerprints={"a": "f0"})
    assert same.difference({"a": "f1"}) == ""  # limits, which their user knows of


def test_a_run_says_it_in_one_line(tmp_path: Path) -> None:
    files = write_plugins(tmp_path)
    then = "published=PublishedData(releases={'numpy': '0.1'}, fingerprints={'all': 'f0'}), backbone="
    text = TASK.replace("backbone=", then).replace(
        "import LoadRequest,", "import LoadRequest, PublishedData,"
    )
    Path(files["task"]).write_text(text)
    done = invoke("run", "--task", files["task"], "--backbone", files["backbone"], "--dry-run", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    numpy = installed_version("numpy")
    assert (
        "The mini data of backwards differ from the published ones, and so will scores on them: "
        f"they are made from numpy {numpy} (published: 0.1)."
    ) in done.words
