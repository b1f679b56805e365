from pathlib import Path

import pytest
from rich.console import Console

from warmup_bench.cli.task_list import data_state, print_tasks
from warmup_bench.contracts.errors import UserError
from warmup_bench.contracts.registry import Entry
from warmup_bench.contracts.task import LoadRequest, ScaleCard, Splits, Subset, Task, TaskCard


def make(missing: dict[str, list[str]] | None, access: str = "", licence: str = "MIT") -> Task:
    card = TaskCard(
        name="toy",
        version=1,
        title="A toy",
        licence=licence,
        citation="none",
        metrics=("bleu",),
        subsets={name: Subset() for name in ("a", "b", "c")},
        scales={
            "small": ScaleCard(data="x", sizes=(1000, 10, 20), access=access),
            "paper": ScaleCard(data="x", sizes=(123_456, 10, 20), access=access, licence="CC0-1.0"),
        },
    )

    def load(request: LoadRequest) -> Splits:
        raise AssertionError("a list loads nothing")

    return Task(card, load, None if missing is None else lambda request: missing[request.subset])


def toy(task: Task) -> list[tuple[str, Entry[Task]]]:
    return [("toy", Entry("toy", task, "toys 1.0", "x"))]


ABSENT = {"a": ["f"], "b": ["f"], "c": ["g"]}


@pytest.mark.parametrize(
    ("task", "state"),
    [
        (make(None), "✓ ready"),
        (make({"a": [], "b": [], "c": []}), "✓ ready"),
        (make({"a": ["f"], "b": [], "c": ["g"]}), "✓ ready: b"),
        (make(ABSENT), "↓ fetched by a run"),
        (make(ABSENT, access="ask first"), "✗ ask first"),
    ],
)
def test_the_state_of_the_data(task: Task, state: str) -> None:
    assert data_state(task, "small", None)[0] == state


def test_a_data_folder_without_the_files(tmp_path: Path) -> None:
    assert data_state(make(ABSENT), "small", tmp_path)[0] == "✗ not in that folder"
    with pytest.raises(UserError, match="nowhere does not exist"):
        print_tasks(Console(), [], tmp_path / "nowhere")


def test_the_list(capsys: pytest.CaptureFixture[str]) -> None:
    broken = UserError("task 'broken' failed to import: SyntaxError")
    print_tasks(Console(width=100), [("broken", broken), *toy(make(ABSENT))], None)
    shown = capsys.readouterr().out
    assert "task 'broken' failed to import: SyntaxError" in shown
    lines = [line.rstrip() for line in shown.splitlines()]
    at = lines.index("toy  A toy")
    rows = [" ".join(line.split()) for line in lines[at + 1 : at + 3]]
    assert rows[0] == "small 1,000 / 10 / 20 ↓ fetched by a run MIT"
    assert rows[1] == "paper 123,456 / 10 / 20 ↓ fetched by a run CC0-1.0"
    assert lines[at + 3] == "  a, b, c · bleu · toys 1.0"
    assert max(map(len, lines)) <= 100


def test_scales_that_say_the_same_share_a_row(capsys: pytest.CaptureFixture[str]) -> None:
    task = make(None)
    same = task.card.scales["small"]
    card = task.card.model_copy(update={"scales": {"small": same, "paper": same}})
    print_tasks(Console(width=100), toy(Task(card, task.load)), None)
    assert "small, paper  1,000 / 10 / 20" in capsys.readouterr().out


def test_notes_of_subsets_are_told_once(capsys: pytest.CaptureFixture[str]) -> None:
    task = make(None)
    notes = {"a": "old", "b": "new", "c": "new", "d": "new", "e": ""}
    card = task.card.model_copy(update={"subsets": {name: Subset(note=note) for name, note in notes.items()}})
    print_tasks(Console(width=100), toy(Task(card, task.load)), None)
    lines = [line.strip() for line in capsys.readouterr().out.splitlines()]
    assert "a: old" in lines
    assert "b, c, …: new" in lines
    every = card.model_copy(update={"subsets": {name: Subset(note="same") for name in "ab"}})
    print_tasks(Console(width=100), toy(Task(every, task.load)), None)
    assert "  same" in capsys.readouterr().out.splitlines()[-3].rstrip()
