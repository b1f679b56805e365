from collections import Counter
from pathlib import Path

import pytest

from command import invoke
from plugin_files import write_plugins

LEAKY = """
from warmup_bench.contracts.task import LoadRequest, ScaleCard, Splits, Subset, Task, TaskCard, numbered

def load(request):
    pairs = [(f"number {i} comes next here", f"after it number {i + 1} comes") for i in range(90)]
    return Splits(numbered("t", pairs), numbered("v", pairs[:9]), numbered("e", pairs[:30]))

TASK = Task(
    TaskCard(
        name="leaky", version=1, title="Leaky", licence="unknown", citation="made", metrics=("chrf++",),
        subsets={"first": Subset(), "second": Subset(target_language="de")},
        scales={"mini": ScaleCard(data="made")},
    ),
    load,
)
"""


def test_every_line_has_a_state_and_the_last_one_counts_them(tmp_path: Path) -> None:
    done = invoke("check", "task", write_plugins(tmp_path)["task"], cwd=tmp_path)
    first, *lines, last = done.stdout.splitlines()
    assert first == "backwards all, scale mini"
    states = Counter(line.split()[0] for line in lines if line[:1].strip())
    assert last == f"{states['ok']} ok, {states['failed']} failed"
    # Its words have three letters, so that BLEU has no 4-gram; its card says "none" for licence and citation.
    assert states == {"ok": 12, "failed": 2}
    assert "the card says nothing under licence, citation" in done.words
    assert "BLEU of the references against themselves is 0.00, not 100" in done.words
    assert done.returncode == 1


def test_failures_are_told_with_advice(tmp_path: Path) -> None:
    path = tmp_path / "leaky.py"
    path.write_text(LEAKY, encoding="utf-8")
    done = invoke("check", "task", str(path), "--subset", "second", cwd=tmp_path)
    assert done.returncode == 1
    assert "leaky second, scale mini" in done.stdout
    assert "30 of 30 test examples (100.0%) stand in train" in done.words
    assert "→ Drop them from train in the loader." in done.words


def test_missing_data_are_a_failed_line(tmp_path: Path) -> None:
    done = invoke(
        *("check", "task", "multi30k", "--subset", "de-en,fr-en", "--data-dir", str(tmp_path)), cwd=tmp_path
    )
    assert done.returncode == 1
    assert "multi30k de-en, scale small" in done.stdout
    assert "multi30k fr-en, scale small" in done.stdout
    assert done.words.count("failed data") == 2
    assert done.stdout.splitlines()[-1] == "6 ok, 2 failed"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["method", "sft"], "'method' can't be checked"),
        (["task", "wmpt"], "Did you mean wmt?"),
        (["task", "nothing.py"], "nothing.py does not exist"),
        (["task", "wmt", "--scale", "large"], "task 'wmt' has no scale 'large'"),
        (["task", "wmt", "--subset", "de-fr"], "task 'wmt' has no subset 'de-fr'"),
        (["task", "multi30k", "--data-dir", "nowhere"], "nowhere"),
    ],
)
def test_a_request_that_can_not_be_met(tmp_path: Path, arguments: list[str], message: str) -> None:
    done = invoke("check", *arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr
