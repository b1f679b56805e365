"""COMET against its own command on the same file, with tiny models in COMET's own layout.

The tests marked ``comet`` need an interpreter that has COMET: the one in WARMUP_BENCH_COMET_PYTHON, or this
one. The others check what is said where something is missing.
"""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import yaml

from stored_predictions import SFT, SOURCES, WARMUP, WORDS, store_predictions
from warmup_bench.contracts.errors import UserError
from warmup_bench.contracts.metric import MetricContext
from warmup_bench.contracts.settings import CometOptions, Score
from warmup_bench.score.cells import score_learned
from warmup_bench.score.comet import COMET, VARIABLE, WORKER

FIRST_GOLDS = ["the cat ran", "the dog", "the red house", "red", "the cat"]


def metric(model: Path | str | None = None, **options: object) -> COMET:
    chosen = CometOptions(**({} if model is None else {"model": str(model)}), **options)
    return COMET(MetricContext(settings=Score(comet=chosen)))


@pytest.fixture(scope="module")
def comet_python() -> str:
    python = os.environ.get(VARIABLE)
    if python is None and importlib.util.find_spec("comet") is None:
        pytest.skip(f"COMET is not installed here, and {VARIABLE} names no interpreter that has it")
    return python or sys.executable


@pytest.fixture(scope="module")
def models(comet_python: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two models, and what COMET's own command says of a file."""
    root = tmp_path_factory.mktemp("comet")
    texts = {"words": WORDS, "source": SOURCES, "hypothesis": SFT, "reference": FIRST_GOLDS}
    for name, lines in texts.items():
        (root / f"{name}.txt").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    script = Path(__file__).with_name("comet_models.py")
    done = subprocess.run([comet_python, str(script), str(root)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return root


def score_in_order(scorer: COMET) -> list[float]:
    """The file's scores, asked in the order of COMET's command (by the length of the source), in one batch.

    Half precision, in which the command computes, gives the same bits for the same batch only.
    """
    order = sorted(range(len(SOURCES)), key=lambda i: len(SOURCES[i]))
    texts = ([SFT[i] for i in order], [[FIRST_GOLDS[i]] for i in order], [SOURCES[i] for i in order])
    scores = dict(zip(order, scorer.segment_statistics(*texts)[:, 0].tolist(), strict=True))
    return [scores[i] for i in range(len(SOURCES))]


@pytest.mark.comet
def test_scores_are_those_of_comets_own_command(models: Path, comet_python: str) -> None:
    expected = json.loads((models / "regression.json").read_text())
    assert max(expected) - min(expected) > 0.01  # the model tells texts apart
    scorer = metric(models / "regression", python=comet_python, dtype="float16")
    assert score_in_order(scorer) == pytest.approx(expected, abs=1e-7)
    assert "refs:max|dtype:float16|scale:100|version:2." in scorer.signature()


@pytest.mark.comet
def test_a_reference_free_model_that_holds_more_than_weights_scores_where_it_is_trusted(
    models: Path, comet_python: str
) -> None:
    unsure = metric(models / "referenceless", python=comet_python, dtype="float16")
    with pytest.raises(UserError, match=r"score\.comet\.trust_checkpoint=true"):
        score_in_order(unsure)
    trusted = metric(models / "referenceless", python=comet_python, dtype="float16", trust_checkpoint=True)
    expected = json.loads((models / "referenceless.json").read_text())
    assert max(expected) - min(expected) > 0.01
    assert score_in_order(trusted) == pytest.approx(expected, abs=1e-7)
    assert "refs:none" in trusted.signature()


@pytest.mark.comet
def test_cells_are_scored_once_with_the_interpreter_of_this_environment(
    models: Path, comet_python: str, tmp_path: Path
) -> None:
    # The model has moved, so that the encoder's path in its checkpoint leads nowhere.
    model = shutil.copytree(models / "regression", tmp_path / "model")
    hparams = yaml.safe_load((model / "hparams.yaml").read_text())
    (model / "hparams.yaml").write_text(
        yaml.safe_dump({**hparams, "pretrained_model": str(tmp_path / "enc")})
    )
    # No interpreter is named: the variable's, or this very one where it has COMET.
    settings = metric(model).context.settings.model_copy(update={"batch_size": 3})
    assert f"set pretrained_model in {model / 'hparams.yaml'}" in metric(model).missing()
    shutil.copytree(models / "encoder", tmp_path / "enc")
    out = tmp_path / "out"
    cells = [store_predictions(out, name, texts) for name, texts in (("sft", SFT), ("warmup", WARMUP))]
    seen: list[tuple[int, int]] = []
    tally = score_learned(
        out, cells, "comet", settings, progress=lambda done, total: seen.append((done, total))
    )
    assert (tally.cells, tally.segments, tally.cached) == (2, 11, 0)
    assert seen == [(0, 11), (3, 11), (6, 11), (9, 11), (11, 11)]
    stored = [json.loads((cell / "scores" / "comet-model" / "score.json").read_text()) for cell in cells]
    assert "dtype:float32" in stored[0]["signature"]
    assert stored[0]["notes"] == ["1 of 5 hypotheses are empty; the model scores them"]
    # In float32, as COMET's predict: near what its command says in half precision.
    expected = json.loads((models / "regression.json").read_text())
    table = pq.read_table(cells[0] / "scores" / "comet-model" / "statistics.parquet")
    assert table["s0"].to_pylist()[1:] == pytest.approx(
        expected[1:], abs=5e-3
    )  # the first has two references
    assert table["s0"].to_pylist()[0] >= expected[0] - 5e-3
    shutil.rmtree(cells[0] / "scores")
    again = score_learned(out, cells, "comet", settings)
    assert (again.cells, again.segments, again.cached) == (1, 6, 6)
    restored = json.loads((cells[0] / "scores" / "comet-model" / "score.json").read_text())
    assert restored == stored[0]


def interpreter(folder: Path, lines: str) -> str:
    """An "interpreter" that answers as told, whatever it is asked."""
    path = folder / "python"
    path.write_text(f"#!/bin/sh\n{lines}\n")
    path.chmod(0o755)
    return str(path)


INSTALLED = """echo '{"unbabel-comet": "2.2.7", "transformers": "4.57.6", "torch": "2.13.0"}'"""


def test_an_environment_without_comet_is_told_how_to_get_it(tmp_path: Path) -> None:
    bare = interpreter(tmp_path, """echo '{"unbabel-comet": null}'""")
    reason = metric(python=bare).missing()
    assert "not installed in the environment of" in reason
    assert "pip install 'warmup-bench[comet]'" in reason
    assert "--comet-python" in reason
    assert "not a Python interpreter that runs" in metric(python=str(tmp_path / "nothing")).missing()


def test_the_worker_tells_versions_without_comet() -> None:
    done = subprocess.run(
        [sys.executable, str(WORKER), "--versions"], capture_output=True, text=True, check=True
    )
    assert set(json.loads(done.stdout)) == {"unbabel-comet", "transformers", "torch"}


def test_a_missing_model_is_told_with_the_command_that_fetches_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "no-cache"))
    python = interpreter(tmp_path, INSTALLED)
    reason = metric(python=python).missing()
    assert reason.endswith("fetch it with: warmup-bench score --fetch --metrics comet")
    other = metric("Unbabel/wmt22-cometkiwi-da", python=python)
    assert other.missing().endswith("--metrics comet --set score.comet.model=Unbabel/wmt22-cometkiwi-da")
    assert other.key == "comet-wmt22-cometkiwi-da"
    assert other.name == "COMET (wmt22-cometkiwi-da)"
    assert "is not a folder with hparams.yaml" in metric("./nowhere", python=python).missing()
    with pytest.raises(UserError, match="is not a folder"):
        list(metric("./nowhere", python=python).score([], device="cpu"))


def test_fetch_takes_the_model_and_only_small_files_of_its_encoder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub = {"Unbabel/wmt22-comet-da": tmp_path / "model", "xlm-roberta-large": tmp_path / "encoder"}
    downloads: dict[str, list[str] | None] = {}

    def snapshot_download(reference, *, local_files_only=False, allow_patterns=None):
        if local_files_only and reference not in downloads:
            raise FileNotFoundError
        if not local_files_only:
            downloads[reference] = allow_patterns
            (hub[reference] / "checkpoints").mkdir(parents=True)
            (hub[reference] / "checkpoints" / "model.ckpt").write_text("")
            (hub[reference] / "hparams.yaml").write_text(
                "pretrained_model: xlm-roberta-large\nclass_identifier: regression_metric\n"
            )
            (hub[reference] / "config.json").write_text("{}")
            (hub[reference] / "tokenizer.json").write_text("{}")
        return str(hub[reference])

    monkeypatch.setattr("huggingface_hub.snapshot_download", snapshot_download)
    scorer = metric(python=interpreter(tmp_path, INSTALLED))
    assert "--fetch" in scorer.missing()
    assert scorer.fetch() == list(hub)
    assert downloads["Unbabel/wmt22-comet-da"] is None
    assert "config.json" in (downloads["xlm-roberta-large"] or [])
    assert not any("safetensors" in pattern for pattern in downloads["xlm-roberta-large"] or [])
    assert scorer.missing() == ""


@pytest.mark.parametrize(
    ("hparams", "reads"),
    [
        ({"class_identifier": "regression_metric"}, True),
        ({"class_identifier": "referenceless_regression_metric"}, False),
        ({"class_identifier": "unified_metric", "input_segments": ["mt", "src"]}, False),
        ({"class_identifier": "unified_metric", "input_segments": ["mt", "src", "ref"]}, True),
    ],
)
def test_references_are_read_where_the_model_reads_them(
    tmp_path: Path, hparams: dict[str, object], reads: bool
) -> None:
    (tmp_path / "hparams.yaml").write_text(yaml.safe_dump(hparams))
    segments = metric(tmp_path).segments(["a"], [["b", "c"]], ["d"])
    assert [(s.source, s.reference) for s in segments[0]] == (
        [("d", "b"), ("d", "c")] if reads else [("d", None)]
    )


def test_a_worker_that_fails_is_told_by_its_last_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from warmup_bench.score.comet import _ask_worker

    monkeypatch.setenv("PYTHONPATH", "/of/this/environment")
    python = interpreter(tmp_path, 'test -z "$PYTHONPATH" && echo "[0.5]"\necho "no memory" >&2\nexit 3')
    answers = _ask_worker(python, {"segments": []}, trusted=False)
    assert next(answers) == [0.5]
    with pytest.raises(UserError, match="COMET failed: no memory"):
        next(answers)
