"""``warmup-bench score``, and ``run`` with learned metrics, on tiny encoders that are made here."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from plugin_files import TASK, write_plugins
from stored_predictions import SFT, WARMUP, make_encoder, store_predictions
from warmup_bench.contracts.errors import UserError

Call = Callable[..., tuple[int, str, str]]


@pytest.fixture
def call(call: Call, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Call:
    """The command in this process, where nothing is cached and COMET is not installed."""
    monkeypatch.setenv("COLUMNS", "400")
    monkeypatch.setenv("WARMUP_BENCH_COMET_PYTHON", without_comet(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "no-cache"))
    return call


def without_comet(folder: Path) -> str:
    """An interpreter that has no COMET, whatever this environment has."""
    path = folder / "bare-python"
    path.write_text("""#!/bin/sh\necho '{"unbabel-comet": null}'\n""")
    path.chmod(0o755)
    return str(path)


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_encoder(tmp_path_factory.mktemp("encoder") / "tiny-bert", "bert")


@pytest.fixture
def results(tmp_path: Path) -> Path:
    for name, texts in (("sft", SFT), ("warmup", WARMUP)):
        store_predictions(tmp_path / "out", name, texts, metrics=("chrf++", "comet"))
    return tmp_path / "out"


def test_stored_predictions_get_a_column_and_what_can_not_score_is_told(
    results: Path, encoder: Path, call: Call
) -> None:
    model = ("--set", f"score.bertscore.model={encoder}")
    code, shown, _ = call("score", str(results), "--metrics", "chrf++,comet,bertscore", *model)
    assert code == 1  # something was left out
    assert "COMET is left out: it is not installed in the environment of" in shown
    assert "BERTScore (tiny-bert): 2 cells, 11 segments: 11 scored, 0 from the cache." in shown
    assert "done   2/2" in shown
    code, shown, _ = call("report", str(results), "--format", "md")
    assert code == 0
    assert "|  | chrF++ | BERTScore (tiny-bert) |" in shown
    assert "COMET" not in shown
    code, shown, _ = call("score", str(results), "--metrics", "bertscore", *model)
    assert code == 0
    assert "every cell is scored already" in shown


def test_without_a_choice_the_metrics_of_the_task_are_scored(results: Path, call: Call) -> None:
    code, shown, _ = call("score", str(results))
    assert code == 1
    assert "COMET is left out" in shown
    for cell in (results / "cells").iterdir():
        assert [path.name for path in (cell / "scores").iterdir()] == ["chrf++"]


BAD = [
    (["score"], "no results folder was given"),
    (["score", "nowhere"], "nowhere holds no predictions to score"),
    (["score", "out", "--metrics", "comte"], "Did you mean comet"),
    (["score", "out", "--metrics", "comet"], "none of the metrics can score here"),
    (["score", "out", "--set", "train.batch_size=3"], "only keys under 'score' are read"),
    (["score", "out", "--set", "score.comet.modell=x"], "score.comet.model"),
    (["score", "out", "--set", "score.batch_size=0"], "score.batch_size"),
    (["score", "out", "--device", "tpu"], "unknown device 'tpu'"),
    (["score", "--fetch"], "no results folder was given"),
    (["run", "--task", "wmt", "--set", "score.metrics=comet"], "metric 'comet' can't score here: it is not"),
    (["run", "--task", "wmt", "--set", "score.metrics=bertscore"], "warmup-bench score --fetch --metrics"),
    (["run", "--task", "wmt", "--set", "score.bertscore.modle=x"], "score.bertscore.model"),
]


@pytest.mark.parametrize(("arguments", "message"), BAD, ids=[" ".join(a) for a, _ in BAD])
def test_bad_input_gets_one_clear_line(
    arguments: list[str], message: str, results: Path, call: Call, tmp_path: Path
) -> None:
    before = sorted(tmp_path.rglob("*"))
    code, _, error = call(*arguments)
    assert code == 2
    assert message in error
    assert error.count("\n") == 1
    assert sorted(tmp_path.rglob("*")) == before


def run_with(metrics: str, encoder: Path, folder: Path, scale: str = "mini") -> list[str]:
    """Arguments of a run of a task whose card names these metrics and this scale."""
    files = write_plugins(folder)
    text = TASK.replace('("chrf++", "bleu")', metrics).replace('"mini"', f'"{scale}"')
    Path(files["task"]).write_text(text)
    arguments = ["run", "--task", files["task"], "--backbone", files["backbone"], "--seeds", "1"]
    arguments += ["--workers", "1", "--set", f"score.bertscore.model={encoder}", "--out", "out"]
    return [*arguments, "--set", "stats.randomizations=99"]


def test_a_run_scores_learned_metrics_when_all_cells_are_decoded(
    encoder: Path, call: Call, tmp_path: Path
) -> None:
    # Scale small is one where a missing metric is told.
    arguments = run_with('("bertscore", "chrf++", "comet")', encoder, tmp_path, scale="small")
    code, shown, _ = call(*arguments)
    assert code == 0
    # Before the first step: what will be missing, and how to get it.
    assert shown.index("COMET is left out: it is not installed") < shown.index("cells to run")
    assert "BERTScore (tiny-bert): 2 cells" in shown
    for cell in (tmp_path / "out" / "cells").iterdir():
        assert {path.name for path in (cell / "scores").iterdir()} == {"chrf++", "bertscore-tiny-bert"}
        stored = json.loads((cell / "scores" / "bertscore-tiny-bert" / "score.json").read_text())
        assert -100 <= stored["score"] <= 100  # cosines of a random encoder
    code, table, _ = call("report", "out", "--format", "md")
    # The card's main metric leads, though scored last.
    assert "|  | BERTScore (tiny-bert) | chrF++ |" in table
    code, again, _ = call(*arguments)
    assert code == 0
    assert "All 2 cells are stored already; nothing is trained." in again
    assert "BERTScore (tiny-bert): every cell is scored already." in again


def test_a_learned_metric_that_fails_costs_the_others_nothing(
    encoder: Path, call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worker of a model may die after hours of training: some failed, which is not a bad request."""
    from warmup_bench.score.bertscore import BERTScore

    def dies(self: BERTScore, *arguments: object, **options: object) -> None:
        raise UserError("the process of the model has died", hint="Look at its log.")

    arguments = run_with('("chrf++", "bertscore")', encoder, tmp_path)
    with monkeypatch.context() as broken:
        broken.setattr(BERTScore, "score", dies)
        code, shown, _ = call(*arguments)
        assert code == 1
        assert "failed: BERTScore (tiny-bert): the process of the model has died. Look at its log." in shown
        assert "'warmup-bench score out' tries it again" in shown
        assert "chrF++" in shown  # the table of the other metric
        for cell in (tmp_path / "out" / "cells").iterdir():
            assert [path.name for path in (cell / "scores").iterdir()] == ["chrf++"]
        code, shown, _ = call("score", "out")
        assert code == 1
        assert "failed: BERTScore (tiny-bert)" in shown
    code, shown, _ = call("score", "out")
    assert (code, "BERTScore (tiny-bert): 2 cells" in shown) == (0, True)


def test_models_are_fetched_by_the_command_that_is_told(
    encoder: Path, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def snapshot_download(reference, *, local_files_only=False, allow_patterns=None):
        if local_files_only and not asked:
            raise FileNotFoundError
        if not local_files_only:
            asked.append(reference)
        return str(encoder)

    monkeypatch.setattr("huggingface_hub.snapshot_download", snapshot_download)
    model = ("--set", "score.bertscore.model=some/encoder")
    code, shown, _ = call("score", "--fetch", "--metrics", "bertscore", *model)
    assert code == 0
    assert asked == ["some/encoder"]
    assert "BERTScore (encoder): some/encoder in the cache." in shown
