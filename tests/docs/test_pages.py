"""Every page of the documentation: its files are written, its commands run, its output compared."""

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import pytest

from command import invoke
from warmup_bench.contracts.method import Giving, Method, Rollout
from warmup_bench.contracts.metric import Metric, MetricContext
from warmup_bench.contracts.preset import Preset
from warmup_bench.contracts.task import Example, LoadRequest, ScaleCard, Splits, Subset, Task, TaskCard

DOCS = Path(__file__).parents[2] / "docs"
PAGES = sorted(DOCS.glob("*.md"))
RUNNABLE = ("add-a-task", "add-a-method", "add-a-metric", "add-a-backbone")
SMALLER = [
    *("--seeds", "1", "--workers", "1", "--limit", "train=40,validation=8,test=8", "--budget", "steps=2"),
    *("--set", "warm_start.steps=2", "--set", "decode.max_tokens=8", "--set", "stats.randomizations=200"),
]
"""What a test adds to the ``run`` of a page: the same command on a few examples."""


def blocks(page: Path) -> Iterator[tuple[str, str]]:
    """Language and text of the fenced blocks of a page."""
    yield from re.findall(r"^```(\w+)\n(.*?)^```$", page.read_text(encoding="utf-8"), flags=re.M | re.S)


@pytest.mark.parametrize("name", RUNNABLE)
def test_the_example_of_a_page_runs_and_prints_what_is_shown(name: str, tmp_path: Path) -> None:
    printed, site, ran = "", None, 0
    for language, text in blocks(DOCS / f"{name}.md"):
        first = text.splitlines()[0]
        if language in ("python", "toml") and (file := re.fullmatch(r"# ([\w.]+)", first)):
            (tmp_path / file[1]).write_text(text, encoding="utf-8")
        elif language == "bash":
            printed = ""
            for line in text.splitlines():
                program, *arguments = shlex.split(line)
                if program == "pip":
                    site = tmp_path / "site"
                    _install(tmp_path, site)
                    continue
                assert program == "warmup-bench"
                done = invoke(
                    *arguments, *(SMALLER if arguments[0] == "run" else ()), cwd=tmp_path, site=site
                )
                assert done.returncode == 0, done.stdout + done.stderr
                printed += f" {done.words}"
                ran += 1
        elif language == "text":
            for shown in text.splitlines():
                assert " ".join(shown.split()) in printed
    assert ran


def _install(folder: Path, site: Path) -> None:
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps"]
    command += ["--no-build-isolation", "--disable-pip-version-check", "--target", str(site), str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", RUNNABLE)
def test_python_is_lint_free(name: str, tmp_path: Path) -> None:
    for number, (language, text) in enumerate(blocks(DOCS / f"{name}.md")):
        if language == "python":
            (tmp_path / f"block{number}.py").write_text(text, encoding="utf-8")
    options = ["--no-cache", "--isolated", "--select", "E,F,B,UP", "--line-length", "110"]
    done = subprocess.run(
        [sys.executable, "-m", "ruff", "check", *options, str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), target


def test_the_index_names_every_page() -> None:
    named = set(re.findall(r"\]\(([\w-]+\.md)\)", (DOCS / "index.md").read_text(encoding="utf-8")))
    assert named == {page.name for page in PAGES} - {"index.md"}


def _members(kind: type) -> set[str]:
    if kind is Metric:
        return {name for name in vars(Metric) if not name.startswith("_")}
    model = getattr(kind, "model_fields", None)
    return set(model) if model else {field.name for field in fields(kind)}


@pytest.mark.parametrize(
    ("name", "kinds"),
    [
        ("add-a-task", (LoadRequest, Splits, Example, TaskCard, Subset, ScaleCard, Task)),
        ("add-a-method", (Method, Rollout, Giving)),
        ("add-a-metric", (Metric, MetricContext)),
        ("add-a-backbone", (Preset,)),
    ],
)
def test_the_contract_is_told_whole(name: str, kinds: tuple[type, ...]) -> None:
    text = (DOCS / f"{name}.md").read_text(encoding="utf-8")
    for kind in kinds:
        (table,) = re.findall(rf"^\| `{kind.__name__}` \|.*?\n\n", f"{text}\n\n", flags=re.M | re.S)
        told = set(re.findall(r"`(\w+)", table))
        assert _members(kind) <= told, kind.__name__
