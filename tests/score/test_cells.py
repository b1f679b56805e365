"""Scores of stored predictions, with a learned metric that writes down what its model is asked."""

import json
import multiprocessing
import shutil
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sacrebleu

from stored_predictions import GOLDS, SFT, SOURCES, WARMUP, store_predictions
from warmup_bench.contracts.errors import UserError
from warmup_bench.contracts.settings import Score
from warmup_bench.score import cells as scoring
from warmup_bench.score.cache import digest, read_cache
from warmup_bench.score.cells import score_cell, score_folder, score_learned
from warmup_bench.store.folders import CorruptError, check
from warmup_bench.store.results import read_result, read_results

METRIC = '''
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from warmup_bench.contracts.metric import MetricContext
from warmup_bench.contracts.learned_metric import Segment, best_of_each, mean_percent, score_all

ASKED = Path(__file__).with_name("asked.txt")
MODEL = Path(__file__).with_name("model.txt")

@dataclass(frozen=True, slots=True)
class Overlap:
    """Share of a reference's words that a text has."""

    context: MetricContext
    learned: ClassVar[bool] = True
    name = "overlap"
    key = "overlap"
    higher_is_better = True

    def missing(self):
        return "" if MODEL.exists() else "its model is away; make it with: touch model.txt"

    def fetch(self):
        MODEL.write_text("1")
        return ["model.txt"]

    def identity(self):
        return {"hash": MODEL.read_text()}

    def signature(self):
        return f"model:{MODEL.read_text()}"

    def segments(self, hypotheses, references, sources):
        return [[Segment(h, reference=gold) for gold in golds]
                for h, golds in zip(hypotheses, references, strict=True)]

    def score(self, segments, *, device):
        for segment in segments:
            if MODEL.read_text() == "broken" and "mat" in segment.hypothesis:
                raise RuntimeError("out of memory")
            if MODEL.read_text() == "nan":
                yield [float("nan")]
                continue
            with ASKED.open("a") as file:
                print(segment.hypothesis, segment.reference, sep="|", file=file)
            gold = segment.reference.split()
            yield [sum(word in segment.hypothesis.split() for word in gold) / len(gold)]

    def statistics(self, scores):
        return best_of_each(scores)

    def segment_statistics(self, hypotheses, references, sources):
        return score_all(self, self.segments(hypotheses, references, sources))

    def aggregate(self, statistics):
        return mean_percent(statistics)

    def notes(self, hypotheses, references):
        return []

METRIC = Overlap
'''


@pytest.fixture
def plugin(tmp_path: Path) -> Path:
    path = tmp_path / "overlap.py"
    path.write_text(METRIC)
    (tmp_path / "model.txt").write_text("1")
    return path


def asked(plugin: Path) -> list[str]:
    """What the model was asked since the last call."""
    path = plugin.with_name("asked.txt")
    lines = path.read_text().splitlines() if path.exists() else []
    path.unlink(missing_ok=True)
    return lines


def pairs(hypotheses: list[str]) -> set[str]:
    return {f"{h}|{gold}" for h, golds in zip(hypotheses, GOLDS, strict=True) for gold in golds}


def stored(cell: Path, key: str) -> dict[str, object]:
    return json.loads((score_folder(cell, key) / "score.json").read_text())


def test_nothing_is_scored_twice_neither_in_a_cell_nor_across_cells(plugin: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    sft = store_predictions(out, "sft", SFT)
    first = score_learned(out, [sft], str(plugin), Score())
    once = asked(plugin)
    assert len(once) == len(set(once))
    assert set(once) == pairs(SFT)
    assert (first.cells, first.segments, first.cached) == (1, 6, 0)
    warmup = store_predictions(out, "warmup", WARMUP)
    second = score_learned(out, [sft, warmup], str(plugin), Score())
    assert set(asked(plugin)) == pairs(WARMUP) - pairs(SFT)
    assert (second.cells, second.segments, second.cached) == (1, 6, 1)
    third = score_learned(out, [sft, warmup], str(plugin), Score())
    assert asked(plugin) == []
    assert third.cells == 0


def test_a_score_is_the_mean_of_the_best_references(plugin: Path, tmp_path: Path) -> None:
    cell = store_predictions(tmp_path / "out", "warmup", WARMUP)
    score_learned(tmp_path / "out", [cell], str(plugin), Score())
    # By hand: "a cat ran" has all of "a cat ran"; then 1, 2/3, 1 and 1/2.
    result = read_result(cell)
    ids, statistics = result.statistics("overlap")
    assert ids == [f"e{i}" for i in range(5)]
    assert statistics[:, 0] == pytest.approx([1, 1, 2 / 3, 1, 1 / 2])
    assert stored(cell, "overlap")["score"] == pytest.approx(100 * (4 + 1 / 6) / 5)
    fresh = result.metric("overlap").segment_statistics(WARMUP, GOLDS, SOURCES)
    assert np.array_equal(fresh, statistics)  # a pure function of the predictions


def test_another_model_scores_anew_and_the_first_is_not_forgotten(plugin: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    cell = store_predictions(out, "sft", SFT)
    score_learned(out, [cell], str(plugin), Score())
    asked(plugin)
    model = plugin.with_name("model.txt")
    model.write_text("2")
    score_learned(out, [cell], str(plugin), Score())
    assert set(asked(plugin)) == pairs(SFT)
    assert stored(cell, "overlap")["signature"] == "model:2"
    model.write_text("1")
    assert score_learned(out, [cell], str(plugin), Score()).cells == 1
    assert asked(plugin) == []
    assert stored(cell, "overlap")["signature"] == "model:1"
    assert [path.name for path in (cell / "scores").iterdir()] == ["overlap"]  # nothing aside is left


def test_what_was_scored_before_a_failure_is_kept(plugin: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    cell = store_predictions(out, "sft", [*SFT[:3], "mat", SFT[4]])
    model = plugin.with_name("model.txt")
    model.write_text("broken")
    with pytest.raises(RuntimeError, match="out of memory"):
        score_learned(out, [cell], str(plugin), Score())
    before = asked(plugin)
    assert 0 < len(before) < 6
    assert not (cell / "scores").exists()
    (folder,) = (out / "cache").iterdir()
    known = read_cache(folder)
    assert len(known) == len(before)
    # The same model in the same state, now with enough memory.
    source = plugin.read_text()
    plugin.write_text(source.replace('"mat" in', '"nothing" in'))
    tally = score_learned(out, [cell], str(plugin), Score())
    assert tally.cached == len(before)
    assert not set(asked(plugin)) & set(before)


def test_a_score_that_is_not_finite_is_refused_with_its_text(plugin: Path, tmp_path: Path) -> None:
    cell = store_predictions(tmp_path / "out", "sft", SFT)
    plugin.with_name("model.txt").write_text("nan")
    with pytest.raises(UserError, match="no finite score for 'a red mat on the house'"):
        score_learned(tmp_path / "out", [cell], str(plugin), Score())
    assert not (cell / "scores").exists()


def test_a_damaged_cache_is_named_and_not_used(plugin: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    cell = store_predictions(out, "sft", SFT)
    score_learned(out, [cell], str(plugin), Score())
    (part,) = (out / "cache").glob("*/*/scores.parquet")
    damaged = bytearray(part.read_bytes())
    damaged[60] ^= 1
    part.write_bytes(damaged)
    shutil.rmtree(cell / "scores")
    with pytest.raises(CorruptError, match=str(part)):
        score_learned(out, [cell], str(plugin), Score())


def test_segments_are_told_apart_by_every_text() -> None:
    from warmup_bench.contracts.learned_metric import Segment

    different = [
        Segment("a"),
        Segment("a", "b"),
        Segment("a", None, "b"),
        Segment("b", "a"),
        Segment("a", "b", "c"),
        Segment("a", "bc", ""),
        Segment("a", "", "bc"),
        Segment("\ud800"),  # half a character, as a byte-level model may write
    ]
    assert len({digest(segment) for segment in different}) == len(different)


def test_plain_metrics_score_what_is_stored_and_only_once(tmp_path: Path) -> None:
    cell = store_predictions(tmp_path, "sft", SFT)
    score_cell(cell, ["chrf++", "bleu"], Score())
    streams = [[golds[k] if k < len(golds) else None for golds in GOLDS] for k in range(2)]
    expected = sacrebleu.CHRF(word_order=2).corpus_score(SFT, streams).score
    assert stored(cell, "chrf++")["score"] == pytest.approx(expected, abs=1e-9)
    before = {path: path.stat().st_mtime_ns for path in cell.rglob("*.*")}
    score_cell(cell, ["chrf++", "bleu"], Score())
    assert {path: path.stat().st_mtime_ns for path in cell.rglob("*.*")} == before


def test_a_metric_that_some_cells_lack_is_left_out_and_said_so(tmp_path: Path) -> None:
    from warmup_bench.contracts.settings import Stats
    from warmup_bench.report.build import build_tables

    stats = Stats(randomizations=99)
    sft, warmup = (store_predictions(tmp_path, name, t) for name, t in (("sft", SFT), ("warmup", WARMUP)))
    score_cell(sft, ["chrf++", "bleu"], Score())
    score_cell(warmup, ["chrf++"], Score())
    (table,) = build_tables(read_results(tmp_path), stats)
    assert "not scored with BLEU" in _reason(table, "warmup", "bleu")
    score_cell(warmup, ["bleu"], Score())
    path = score_folder(warmup, "bleu") / "score.json"
    content = {**json.loads(path.read_text()), "signature": "version:0.0"}
    manifest = path.with_name("DONE.json")
    size = len(text := json.dumps(content))
    path.write_text(text)
    import hashlib

    files = json.loads(manifest.read_text())
    files["files"]["score.json"] = [size, hashlib.sha256(text.encode()).hexdigest()]
    manifest.write_text(json.dumps(files))
    (table,) = build_tables(read_results(tmp_path), stats)
    assert "another signature" in _reason(table, "warmup", "bleu") + _reason(table, "sft", "bleu")
    score_cell(warmup, ["bleu"], Score())  # another signature than today's: scored anew
    (table,) = build_tables(read_results(tmp_path), stats)
    assert _reason(table, "warmup", "bleu") == ""


def _reason(table, method: str, column: str) -> str:
    """Why a number is not in a table; "" where it is."""
    (row,) = [row for group in table.groups for row in group.rows if row.method == method]
    return getattr(row.cells[column], "reason", "")


def test_two_processes_that_score_one_folder_lose_and_tear_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each score is written once, by one process at a time, and no writer loses its temporary folder."""
    metrics = ("chrf++", "bleu")
    cells = [store_predictions(tmp_path, name, SFT, metrics=metrics) for name in ("a", "b", "c")]
    real, told = scoring._write, tmp_path / "told"

    def write(cell: Path, reference: str, *arguments: Any) -> None:
        with (cell / "writing").open("x"):  # fails where somebody else is at it
            time.sleep(0.05)
            real(cell, reference, *arguments)
        (cell / "writing").unlink()
        with told.open("a") as file:
            file.write(f"{cell.name} {reference}\n")

    monkeypatch.setattr(scoring, "_write", write)
    context = multiprocessing.get_context("fork")
    together = context.Barrier(2)

    def score() -> None:
        together.wait()
        for cell in cells:
            score_cell(cell, metrics, Score())

    processes = [context.Process(target=score) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0, 0]
    assert sorted(told.read_text().splitlines()) == sorted(f"{c.name} {m}" for c in cells for m in metrics)
    for cell in cells:
        assert sorted(p.name for p in (cell / "scores").iterdir()) == ["bleu", "chrf++"]
        for metric in metrics:
            check(cell / "scores" / metric)


def test_what_a_killed_writer_left_is_removed_by_the_next(tmp_path: Path) -> None:
    cell = store_predictions(tmp_path, "a", SFT)
    left = cell / "scores" / ".chrf++.1234.tmp"
    left.mkdir(parents=True)
    score_cell(cell, ("chrf++",), Score())
    assert [p.name for p in (cell / "scores").iterdir()] == ["chrf++"]
