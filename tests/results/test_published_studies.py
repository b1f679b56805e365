"""Every study in ``results/`` shows what its numbers give; the check itself is tried on a study made here."""

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
import yaml
from published_tables import problems, studies

from command import invoke
from stored_cells import Written, store
from warmup_bench.store.publish import publish
from warmup_bench.store.results import read_results

STUDIES = studies()


@pytest.mark.slow  # make studies
@pytest.mark.parametrize("study", STUDIES, ids=lambda study: study.name)
def test_a_published_study_shows_what_its_numbers_give(study: Path, tmp_path: Path) -> None:
    assert problems(study, tmp_path) == []


COMMANDS = [
    {"file": "main.md", "command": "warmup-bench report {study} --format md"},
    {"file": "main.csv", "command": "warmup-bench report {study} --format csv --metric bleu"},
]
PLOTS = {"plots": "plots", "command": "warmup-bench report {study} --format csv --plots {plots}"}


def store_run(out: Path) -> None:
    golds = [f"the cat number {i} sat on the red mat" for i in range(12)]
    log = [{"step": step, "validation": {"loss": 3.0 / step}, "flops": 1e8 * step} for step in (1, 2)]
    for method, wrong in (("sft", 8), ("warmup", 3)):
        written = [Written(gold[4:] if i < wrong else gold) for i, gold in enumerate(golds)]
        store(out, method, 0, golds, [[gold] for gold in golds], written, log=log)


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """A published study with its tables, as its author would make them."""
    store_run(tmp_path / "out")
    folder = tmp_path / "results" / "tiny"
    publish([tmp_path / "out"], folder)
    (folder / "tables").mkdir()
    (folder / "tables" / "commands.yaml").write_text(yaml.safe_dump(COMMANDS))
    (folder / "README.md").write_text("by hand\n")
    for entry in COMMANDS:
        done = invoke(*entry["command"].format(study=folder).split()[1:], cwd=tmp_path)
        (folder / "tables" / entry["file"]).write_text(done.stdout)
    return folder


def test_a_study_is_found_and_in_order(study: Path, tmp_path: Path) -> None:
    (study / "tables" / "commands.yaml").write_text(yaml.safe_dump([*COMMANDS, PLOTS]))
    command = PLOTS["command"].format(study=study, plots=study / "plots")
    assert invoke(*command.split()[1:], cwd=tmp_path).returncode == 0
    assert studies(study.parent) == [study]
    assert list((study / "plots").glob("forest-*.svg"))
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    assert problems(study, scratch) == []


def edit(name: str, change: Callable[[str], str]) -> Callable[[Path], None]:
    def edited(study: Path) -> None:
        path = study / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(change(path.read_text() if path.exists() else ""))

    return edited


BROKEN = [
    (edit("tables/main.csv", lambda text: text.replace("warmup", "warm-up", 1)), "main.csv is not what"),
    (edit("tables/more.md", lambda text: "by hand"), "no command makes tables/more.md"),
    (edit("plots/forest-x.svg", lambda text: "<svg/>"), "no command makes plots/forest-x.svg"),
    (edit("tables/commands.yaml", lambda text: text.replace("--metric bleu", "--metric blue")), "status 2"),
    (edit("tables/commands.yaml", lambda text: text.replace("warmup-bench report", "rm")), "no command of"),
    (lambda study: (study / "tables" / "main.md").unlink(), "main.md is not what"),
    (lambda study: (study / "tables" / "commands.yaml").unlink(), "commands.yaml is missing"),
]


def test_what_is_not_what_its_command_makes_is_named(study: Path, tmp_path: Path) -> None:
    files = {path: path.read_bytes() for path in study.rglob("*") if path.is_file()}
    for number, (breaks, message) in enumerate(BROKEN):
        scratch = tmp_path / f"scratch{number}"
        scratch.mkdir()
        breaks(study)
        found = problems(study, scratch)
        assert any(message in problem for problem in found), (message, found)
        for path in study.rglob("*"):
            if path.is_file() and path not in files:
                path.unlink()
        for path, content in files.items():
            path.write_bytes(content)


@pytest.mark.parametrize("study", STUDIES, ids=lambda study: study.name)
def test_a_study_is_a_handful_of_files(study: Path) -> None:
    """Its numbers are, which pandas opens; the rest is for people: README, specs, plots, tables."""
    numbers = list((study / "numbers").iterdir())
    assert len(numbers) <= 10
    scores = pd.read_parquet(study / "numbers" / "scores.parquet")
    assert (scores.groupby("key").cell.nunique() == len(read_results(study))).all()
