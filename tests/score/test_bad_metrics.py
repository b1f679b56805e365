"""A metric that gives what is no score is refused as it scores: nothing of it is stored as done."""

from pathlib import Path

import pytest

from stored_cells import Written, store
from warmup_bench.contracts.errors import UserError
from warmup_bench.contracts.settings import Score
from warmup_bench.score.cells import score_cell
from warmup_bench.store.results import read_result

METRIC = """
import numpy as np

class Bad:
    name, higher_is_better = "Bad", True
    def segment_statistics(self, hypotheses, references, sources):
        return {statistics}
    def aggregate(self, statistics):
        return {score}
    def signature(self):
        return "version:1"

def METRIC(context):
    return Bad()
"""
GOOD = {"statistics": "np.ones((len(hypotheses), 1))", "score": "statistics[..., 0]"}


@pytest.mark.parametrize(
    "bad",
    [
        {"statistics": "np.full((len(hypotheses), 1), np.nan)"},
        {"statistics": "np.full((len(hypotheses), 1), 1e300)"},
        {"statistics": "np.ones((len(hypotheses), 0))"},
        {"statistics": "np.ones((1, 1))"},
        {"score": "np.inf"},
        {"score": "statistics"},
        {"score": "statistics.sum()"},
    ],
)
def test_nothing_is_stored_as_done(tmp_path: Path, bad: dict[str, str]) -> None:
    cell = store(tmp_path, "sft", 0, ["a", "b"], [["x"], ["z"]], [Written("x"), Written("z")])
    path = tmp_path / "bad.py"
    path.write_text(METRIC.format(**GOOD | bad))
    with pytest.raises(UserError, match=r"metric 'Bad' .* Mend that metric"):
        score_cell(cell, [str(path)], Score())
    assert [score["key"] for score in read_result(cell).scores] == ["bleu", "chrf++"]
    path = tmp_path / "good.py"
    path.write_text(METRIC.format(**GOOD))
    score_cell(cell, [str(path)], Score())
    assert read_result(cell).scores[2]["score"] == 2.0
