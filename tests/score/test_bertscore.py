"""BERTScore against the bert_score package's own call, on encoders that are made here."""

import json
import shutil
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest

from stored_predictions import GOLDS, SFT, WARMUP, WORDS, make_encoder, make_tokenizer, store_predictions
from warmup_bench.contracts.errors import UserError
from warmup_bench.contracts.learned_metric import Segment
from warmup_bench.contracts.metric import MetricContext
from warmup_bench.contracts.settings import BertscoreOptions, Score
from warmup_bench.score.bertscore import BERTScore

KINDS = ("bert", "roberta", "t5")


@pytest.fixture(scope="module")
def encoders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("encoders")
    return {kind: make_encoder(root / f"tiny-{kind}", kind) for kind in KINDS}


def metric(model: Path | str | None, **options: object) -> BERTScore:
    chosen = BertscoreOptions(model=None if model is None else str(model), **options)
    return BERTScore(MetricContext(settings=Score(batch_size=2, bertscore=chosen)))


def package(folder: Path, kind: str, layer: int, **options: object):
    """The package's own F1; it needs a finite length, and RoBERTa's first word marked as the others.

    One pair a batch: more would let padding into the match.
    """
    import bert_score

    scorer = bert_score.BERTScorer(model_type=str(folder), num_layers=layer, batch_size=64, **options)
    if kind == "roberta":
        from transformers import AutoTokenizer

        scorer._tokenizer = AutoTokenizer.from_pretrained(folder, add_prefix_space=True)
    scorer._tokenizer.model_max_length = 40
    return lambda texts, golds, batch_size=1: scorer.score(texts, golds, batch_size=batch_size)[2].numpy()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("layer", [1, 3])
def test_scores_are_those_of_the_package(encoders: dict[str, Path], kind: str, layer: int) -> None:
    expected = package(encoders[kind], kind, layer)(WARMUP, GOLDS)
    found = metric(encoders[kind], layer=layer).segment_statistics(WARMUP, GOLDS, [""] * len(GOLDS))
    assert found[:, 0] == pytest.approx(expected, abs=1e-6)
    assert found[:, 1].tolist() == [1.0] * len(GOLDS)
    assert np.ptp(expected) > 0.003  # the encoder tells texts apart
    total = metric(encoders[kind]).aggregate(found.sum(axis=0))
    assert float(total) == pytest.approx(100 * expected.mean(), abs=1e-4)


def test_a_score_does_not_depend_on_the_batch(encoders: dict[str, Path]) -> None:
    texts = [word for word in WORDS for _ in WORDS] + ["the red house ran on the mat"]
    golds = [word for _ in WORDS for word in WORDS] + ["a red cat sat on a mat"]
    segments = [Segment(text, reference=gold) for text, gold in zip(texts, golds, strict=True)]
    scorer = metric(encoders["bert"], layer=3)
    found = [value for batch in scorer.score(segments, device="cpu") for value in batch]
    library = package(encoders["bert"], "bert", 3)
    assert found == pytest.approx(library(texts, golds), abs=1e-4)
    assert min(found) < 0  # where padding, of similarity 0, would win
    assert np.abs(library(texts, golds, batch_size=len(texts)) - found).max() > 0.1  # as it does there


def test_a_first_word_is_marked_as_the_others_for_roberta(encoders: dict[str, Path]) -> None:
    (score,) = metric(encoders["roberta"]).score([Segment("red", reference="red")], device="cpu")
    assert score == pytest.approx([1.0])
    from warmup_bench.score.encoder import load_encoder

    _, tokenizer = load_encoder(encoders["roberta"], 3)
    spaced = tokenizer.convert_ids_to_tokens(tokenizer("red")["input_ids"])
    plain = make_tokenizer("roberta")
    assert spaced == plain.convert_ids_to_tokens(plain(" red")["input_ids"])
    assert spaced != plain.convert_ids_to_tokens(plain("red")["input_ids"])


def test_empty_texts_score_0_and_are_told(encoders: dict[str, Path]) -> None:
    hypotheses = ["", "the dog", " ", "red", "the cat"]
    golds = [["the cat"], [""], ["red"], ["red"], ["", "the cat"]]
    scorer = metric(encoders["bert"])
    found = scorer.segment_statistics(hypotheses, golds, [""] * 5)[:, 0]
    assert found[:3].tolist() == [0.0, 0.0, 0.0]
    assert found[3:] == pytest.approx([1.0, 1.0])
    assert scorer.notes(hypotheses, golds) == ["3 of 5 examples have an empty text and score 0"]
    assert "empty:0" in scorer.signature()
    assert scorer.notes(WARMUP, GOLDS) == []


def test_a_baseline_file_rescales(encoders: dict[str, Path], tmp_path: Path) -> None:
    baseline = tmp_path / "baseline.tsv"
    baseline.write_text("LAYER,P,R,F\n" + "".join(f"{i},0.1,0.1,{0.1 * i}\n" for i in range(4)))
    options = {"rescale_with_baseline": True, "lang": "en", "baseline_path": str(baseline)}
    expected = package(encoders["bert"], "bert", 2, **options)(WARMUP, GOLDS)
    ours = metric(encoders["bert"], layer=2, rescale=True, baseline=baseline)
    found = ours.segment_statistics(WARMUP, GOLDS, [""] * 5)[:, 0]
    assert found == pytest.approx(expected, abs=1e-6)
    assert (
        ours.segment_statistics(SFT, GOLDS, [""] * 5)[2, 0] == 0.0
    )  # empty: not below what a random pair has
    assert "baseline:no" in metric(encoders["bert"]).signature()
    assert "baseline:no" not in ours.signature()
    assert "no baseline file" in metric(encoders["bert"], rescale=True).missing()


def test_a_long_text_is_cut_where_the_positions_of_the_encoder_end(encoders: dict[str, Path]) -> None:
    long = " ".join(["red"] * 700)
    for kind in ("bert", "roberta"):
        (score,) = metric(encoders[kind]).score([Segment(long, reference=long)], device="cpu")
        assert score == pytest.approx([1.0])


def test_the_signature_names_layer_model_and_versions(encoders: dict[str, Path], tmp_path: Path) -> None:
    import transformers

    signature = dict(part.split(":", 1) for part in metric(encoders["bert"]).signature().split("|"))
    assert signature["model"] == "tiny-bert"
    assert signature["layer"] == "3"  # the last one where the package has no choice
    assert signature["version"] == version("bert-score")
    assert signature["transformers"] == transformers.__version__
    moved = shutil.copytree(encoders["bert"], tmp_path / "moved")
    assert metric(moved).identity() == metric(encoders["bert"]).identity()
    other = make_encoder(tmp_path / "other", "bert", seed=1)
    assert metric(other).identity()["hash"] != signature["hash"] == metric(moved).identity()["hash"]
    assert metric(moved, layer=1).identity() != metric(moved).identity()


def test_a_known_model_has_the_layer_of_the_package() -> None:
    from bert_score.utils import lang2model

    assert metric("roberta-large").layer == 17
    for language in ("en", "zh", "de", "tr", "ru"):
        context = MetricContext(target_language=language)
        assert BERTScore(context).model == lang2model[language]


def test_what_is_missing_is_told_with_the_command_that_fetches_it(
    encoders: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "no-cache"))
    command = "--fetch --metrics bertscore --set score.bertscore.model=some/encoder"
    assert command in metric("some/encoder").missing()
    assert "save_pretrained" in metric("./nowhere").missing()
    assert "has 3 layers, not 9" in metric(encoders["bert"], layer=9).missing()
    bare = shutil.copytree(
        encoders["bert"], tmp_path / "bare", ignore=shutil.ignore_patterns("*.safetensors")
    )
    assert "safetensors" in metric(bare).missing()
    with pytest.raises(UserError, match="save_pretrained"):
        metric("./nowhere").segment_statistics(["a"], [["b"]], ["c"])


def test_fetch_downloads_the_encoder_and_says_so(
    encoders: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    downloads: list[tuple[str, list[str] | None]] = []

    def snapshot_download(reference, *, local_files_only=False, allow_patterns=None):
        if local_files_only and not downloads:
            raise FileNotFoundError
        if not local_files_only:
            downloads.append((reference, allow_patterns))
        return str(encoders["bert"])

    monkeypatch.setattr("huggingface_hub.snapshot_download", snapshot_download)
    assert metric("some/encoder").fetch() == ["some/encoder"]
    ((reference, patterns),) = downloads
    assert reference == "some/encoder"
    assert "*.safetensors" in patterns and "config.json" in patterns
    assert metric("some/encoder").missing() == ""
    assert metric("some/encoder").fetch() == ["some/encoder"]
    assert len(downloads) == 1  # nothing is downloaded twice


def test_several_cells_are_scored_and_reported(encoders: dict[str, Path], tmp_path: Path) -> None:
    from warmup_bench.contracts.settings import Stats
    from warmup_bench.report.build import build_tables
    from warmup_bench.score.cells import score_cell, score_learned
    from warmup_bench.store.results import read_results

    settings = Score(bertscore=BertscoreOptions(model=str(encoders["bert"])))
    cells = [store_predictions(tmp_path, name, texts) for name, texts in (("sft", SFT), ("warmup", WARMUP))]
    for cell in cells:
        score_cell(cell, ["chrf++"], settings)
    tally = score_learned(tmp_path, cells, "bertscore", settings)
    assert tally.cells == 2
    (table,) = build_tables(read_results(tmp_path), Stats(randomizations=99))
    assert [column.key for column in table.columns] == ["chrf++", "bertscore-tiny-bert"]
    expected = package(encoders["bert"], "bert", 3)(WARMUP, GOLDS).mean()
    (row,) = [row for group in table.groups for row in group.rows if row.method == "warmup"]
    assert row.cells["bertscore-tiny-bert"].mean == pytest.approx(100 * float(expected), abs=1e-3)
    stored = json.loads((cells[0] / "scores" / "bertscore-tiny-bert" / "score.json").read_text())
    assert stored["notes"] == ["1 of 5 examples have an empty text and score 0"]
