"""Cells that a version of schema 1 has stored (its own bytes lie in ``stored/``) are read, and never changed.

They were made by commit bcffcfc from the plugin files of the tests: T5 of width 4, one step, 3 test examples
(only "platform" was shortened, in provenance.json and its manifest).
"""

import hashlib
import json
import shutil
from pathlib import Path

import pytest
import sacrebleu

from harness.errors import UserError
from harness.scoring import is_scored, read_facts, score_cell
from harness.storage.results import read_results
from harness.storage.store import DONE, SCHEMA_VERSION, CorruptError, check, read_json, read_table

STORED = Path(__file__).parents[1] / "stored" / "schema-1"


def hashes(folder: Path) -> dict[str, str]:
    files = (p for p in folder.rglob("*") if p.is_file())
    return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def test_results_of_schema_1_are_read_with_their_numbers() -> None:
    before = hashes(STORED)
    results = read_results(STORED)
    assert [r.cell.method for r in results] == ["sft", "warmup"]
    for result in results:
        assert [(s["key"], s["name"]) for s in result.scores] == [("chrf++", "chrF++"), ("bleu", "BLEU")]
        rows = read_table(result.folder / "decode" / "predictions.parquet").to_pylist()
        hypotheses, golds = [r["hypothesis"] for r in rows], [[r["references"][0] for r in rows]]
        expected = {
            "chrf++": sacrebleu.corpus_chrf(hypotheses, golds, word_order=2).score,
            "bleu": sacrebleu.corpus_bleu(hypotheses, golds).score,
        }
        for score in result.scores:
            assert score["score"] == pytest.approx(expected[score["key"]], abs=1e-9)
            ids, statistics = result.statistics(score["key"])
            assert ids == [row["id"] for row in rows]
            metric = result.metric(score["key"])
            assert metric.aggregate(statistics.sum(axis=0)) == pytest.approx(score["score"])
        assert result.ledger["steps"] == 1
        assert result.provenance["git_commit"].startswith("bcffcfc")
    assert hashes(STORED) == before


def test_a_cell_of_schema_1_is_scored_again_without_its_model(tmp_path: Path) -> None:
    out = shutil.copytree(STORED, tmp_path / "out")
    before = hashes(out)
    cell = next((out / "cells").glob("*.warmup.*"))
    (old,) = [r for r in read_results(out) if r.folder == cell]
    context, metrics = read_facts(cell)
    assert (context.target_language, metrics) == ("en", ("chrf++", "bleu"))
    from harness.registry import metrics as registry
    from harness.settings import Score

    score_cell(cell, metrics, Score())
    for name in metrics:
        entry = registry().load(name)
        assert is_scored(cell, entry, entry.value(context))
    (new,) = [r for r in read_results(out) if r.folder == cell]
    assert [s["score"] for s in new.scores] == [s["score"] for s in old.scores]
    assert all(s["code"] for s in new.scores)  # those of today are read now
    after = hashes(out)
    assert {name: after[name] for name in before} == before
    assert read_json(cell / "scores" / "bleu" / DONE)["schema_version"] == SCHEMA_VERSION == 2


def test_damage_in_an_old_cell_is_named(tmp_path: Path) -> None:
    out = shutil.copytree(STORED, tmp_path / "out")
    victim = next((out / "cells").glob("*.sft.*")) / "score" / "bleu.parquet"
    victim.write_bytes(victim.read_bytes()[:-1])
    with pytest.raises(CorruptError, match=r"bleu\.parquet"):
        read_results(out)


def test_an_old_cell_whose_scores_lack_what_they_need_is_named(tmp_path: Path) -> None:
    out = shutil.copytree(STORED, tmp_path / "out")
    folder = next((out / "cells").glob("*.sft.*")) / "score"
    content = json.loads((folder / "scores.json").read_text())
    del content["context"]["labels"]
    text = json.dumps(content)
    (folder / "scores.json").write_text(text)
    manifest = read_json(folder / DONE)
    manifest["files"]["scores.json"] = [len(text), hashlib.sha256(text.encode()).hexdigest()]
    (folder / DONE).write_text(json.dumps(manifest))
    with pytest.raises(CorruptError, match=r"sft.*is not readable"):
        read_results(out)


@pytest.mark.parametrize(
    ("version", "message"), [(SCHEMA_VERSION + 1, "schema version 3"), (0, "names no"), ("2", "names no")]
)
def test_a_newer_schema_is_refused_by_name(version: object, message: str, tmp_path: Path) -> None:
    out = shutil.copytree(STORED, tmp_path / "out")
    folder = next((out / "cells").glob("*.sft.*")) / "decode"
    (folder / DONE).write_text(json.dumps(read_json(folder / DONE) | {"schema_version": version}))
    with pytest.raises(UserError, match=message) as refused:
        check(folder)
    assert str(folder) in str(refused.value)
