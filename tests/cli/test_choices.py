"""A multiple-choice task with four and five options, through the command line."""

import json
import math
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from command import invoke
from plugin_files import write_plugins

TASK = '''
import random
from warmup_bench.contracts.task import Example, LoadRequest, ScaleCard, Splits, Subset, Task, TaskCard

LETTERS = ("A", "B", "C", "D", "E")

def load(request: LoadRequest) -> Splits:
    """Name the letter that stands last."""
    rng = random.Random(3)
    made = []
    for i in range(200):
        offered = LETTERS[: 4 + i % 2]
        right = rng.choice(offered)
        source = "".join(rng.choices("xyz", k=4 + i)) if i == 30 else "".join(rng.choices("xyz", k=4))
        made.append(Example(f"q{i}", source + right, right, options=offered))
    return Splits(made[60:], made[:20], made[20:60])

TASK = Task(
    card=TaskCard(
        name="lastletter", version=1, title="Name the last letter", licence="none", citation="none",
        metrics=("accuracy", "macro-f1", "ranked-accuracy", "ranked-macro-f1", "unparsed"),
        labels=LETTERS, subsets={"all": Subset()},
        scales={"mini": ScaleCard(data="made", settings={"train": {"max_source_tokens": 16}})},
    ),
    load=load,
)
'''


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("choices")
    files = write_plugins(place)
    (place / "lastletter.py").write_text(TASK, encoding="utf-8")
    arguments = ["run", "--task", "lastletter.py", "--backbone", files["backbone"], "--seeds", "1"]
    arguments += ["--workers", "1", "--method", "sft,warmup", "--set", "stats.randomizations=99"]
    done = invoke(*arguments, "--out", "out", cwd=place)
    assert done.returncode == 0, done.stdout + done.stderr
    for column in ("accuracy", "ranked accuracy", "unparsed"):
        assert column in done.stdout
    return place / "out"


@pytest.mark.parametrize("method", ["sft", "warmup"])
def test_both_answers_are_stored_and_scored(finished: Path, method: str) -> None:
    (cell,) = (finished / "cells").glob(f"*.{method}.*")
    rows = pq.read_table(cell / "decode" / "predictions.parquet").to_pylist()
    assert {len(row["options"]) for row in rows} == {4, 5}
    for row in rows:
        values = row["option_log_probs"]
        assert len(values) == len(row["options"])
        assert all(math.isfinite(value) and value < 0 for value in values)
        assert row["ranked"] == row["options"][values.index(max(values))]
    scores = [json.loads(path.read_text()) for path in (cell / "scores").glob("*/score.json")]
    by_key = {score["key"]: score["score"] for score in scores}
    golds = [row["references"][0] for row in rows]
    ranked = sum(row["ranked"] == gold for row, gold in zip(rows, golds, strict=True))
    assert by_key["ranked-accuracy"] == pytest.approx(100 * ranked / len(rows))
    unread = sum(row["hypothesis"].strip()[:1] not in "ABCDE" or not row["hypothesis"] for row in rows)
    assert by_key["unparsed"] >= 100 * unread / len(rows) - 1e-9
    assert by_key["accuracy"] <= 100 - by_key["unparsed"]
    ledger = json.loads((cell / "decode" / "ledger.json").read_text())
    assert ledger["rank_flops"] > 0


def test_cut_inputs_reach_the_results(finished: Path) -> None:
    from warmup_bench.contracts.settings import Stats
    from warmup_bench.report.build import build_tables
    from warmup_bench.store.results import read_results

    results = read_results(finished)
    for result in results:
        rows = pq.read_table(result.place / "decode" / "predictions.parquet").to_pylist()
        assert [row["id"] for row in rows if row["source_cut"]] == ["q30"]  # the long one
        assert result.ledger["truncated"] >= 1
    (table,) = build_tables(results, Stats(randomizations=99))
    assert [row.cost.truncated for group in table.groups for row in group.rows] == [
        result.ledger["truncated"] for result in results
    ]
