import math
import random
from dataclasses import replace

import numpy as np
import pytest
import sacrebleu.metrics
from hypothesis import given, settings
from hypothesis import strategies as st

from warmup_bench.contracts.errors import UserError
from warmup_bench.contracts.metric import MetricContext
from warmup_bench.score import bleu
from warmup_bench.score.bleu import BLEU

EN = MetricContext(target_language="en")
WORDS = ("the", "cat", "sat", "on", "a", "mat", "is", "here.", "&quot;hi&quot;", "3,000", "naïve", "don't")
SENTENCES = st.lists(st.sampled_from(WORDS), max_size=9).map(" ".join)
CHINESE = st.text(alphabet="我们的猫在垫子上。，3kg ", max_size=12)


def score(metric, hypotheses, references):
    statistics = metric.segment_statistics(hypotheses, references, [""] * len(hypotheses))
    return float(metric.aggregate(statistics.sum(axis=0)))


def test_counts_and_score_worked_out_by_hand():
    metric = BLEU(EN)
    statistics = metric.segment_statistics(["the cat sat on mat"], [["the cat sat on the mat"]], [""])
    # lengths 5 and 6; matches of 1- to 4-grams 5, 3, 2, 1 of 5, 4, 3, 2
    assert statistics.tolist() == [[5, 6, 5, 3, 2, 1, 5, 4, 3, 2]]
    assert statistics.dtype == np.float64
    by_hand = 100 * math.exp(1 - 6 / 5) * (1 * 3 / 4 * 2 / 3 * 1 / 2) ** 0.25
    assert float(metric.aggregate(statistics[0])) == pytest.approx(by_hand, abs=1e-12)


def test_exponential_smoothing_by_hand():
    # no 3-gram and no 4-gram matches: the first counts as 1/2, the second as 1/4
    counts = np.array([8.0, 8, 6, 3, 0, 0, 8, 7, 6, 5])
    by_hand = 100 * (6 / 8 * 3 / 7 * (1 / 2) / 6 * (1 / 4) / 5) ** 0.25
    assert float(BLEU(EN).aggregate(counts)) == pytest.approx(by_hand, abs=1e-12)


@pytest.mark.parametrize(
    "hypotheses",
    [["dog"], [""], ["the cat sat"], ["", "the"], ["the cat sat on the mat"], ["mat the on sat cat the"]],
)
def test_degenerate_corpora_equal_sacrebleu(hypotheses):
    references = ["the cat sat on the mat"] * len(hypotheses)
    expected = sacrebleu.metrics.BLEU().corpus_score(hypotheses, [references]).score
    assert score(BLEU(EN), hypotheses, [[r] for r in references]) == pytest.approx(expected, abs=1e-9)


def test_nothing_scores_zero_exactly():
    metric = BLEU(EN)
    assert score(metric, ["dog"], [["the cat"]]) == 0.0
    assert score(metric, ["", ""], [["the cat"], ["sat"]]) == 0.0
    assert score(metric, ["the cat sat"], [["the cat sat"]]) == 0.0  # no 4-gram at all
    assert float(metric.aggregate(np.zeros(10))) == 0.0


@pytest.mark.parametrize(
    ("language", "tokenizer", "texts"), [("en", "13a", SENTENCES), ("zh", "zh", CHINESE)]
)
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_equals_sacrebleu_on_random_texts(language, tokenizer, texts, data):
    pairs = data.draw(st.lists(st.tuples(texts, texts), min_size=1, max_size=6))
    hypotheses, references = zip(*pairs, strict=True)
    expected = sacrebleu.metrics.BLEU(tokenize=tokenizer).corpus_score(hypotheses, [references]).score
    metric = BLEU(MetricContext(target_language=language))
    assert score(metric, hypotheses, [[r] for r in references]) == pytest.approx(expected, abs=1e-9)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(SENTENCES, st.lists(SENTENCES, min_size=1, max_size=3)), min_size=1, max_size=5))
def test_equals_sacrebleu_with_a_varying_number_of_references(examples):
    hypotheses, references = zip(*examples, strict=True)
    streams = [[golds[k] if k < len(golds) else None for golds in references] for k in range(3)]
    expected = sacrebleu.metrics.BLEU().corpus_score(hypotheses, streams).score
    assert score(BLEU(EN), hypotheses, references) == pytest.approx(expected, abs=1e-9)


def test_aggregate_keeps_leading_axes_and_equals_one_by_one():
    rng = random.Random(5)
    sides = [[" ".join(rng.choices(WORDS, k=rng.randint(0, 9))) for _ in range(24)] for _ in range(2)]
    statistics = BLEU(EN).segment_statistics(sides[0], [[r] for r in sides[1]], [""] * 24)
    sums = statistics.reshape(2, 3, 4, 10).sum(axis=2)
    together = BLEU(EN).aggregate(sums)
    assert together.shape == (2, 3)
    scorer = sacrebleu.metrics.BLEU()
    one_by_one = [[scorer._compute_score_from_stats(row.tolist()).score for row in part] for part in sums]
    assert together == pytest.approx(np.array(one_by_one), abs=1e-9)


def test_tokenizer_follows_the_target_language():
    assert "tok:13a" in BLEU(EN).signature()
    assert "tok:zh" in BLEU(MetricContext(target_language="zh")).signature()


def test_the_tokenizer_goes_by_the_language_and_not_by_how_it_is_spelled():
    hypothesis, gold = "今天天气很好", "今天天气真好"
    scores = [
        score(BLEU(MetricContext(target_language=language)), [hypothesis], [[gold]])
        for language in ("zh", "zh-CN", "zh_TW", "zho", "cmn_Hans")
    ]
    assert scores[0] > 20
    assert scores == [scores[0]] * 5


@pytest.mark.parametrize("language", ["th", "tha_Thai", "lo", "km", "my"])
def test_scripts_without_spaces_are_not_one_word(language):
    metric = BLEU(MetricContext(target_language=language))
    assert "tok:char" in metric.signature()  # the model of FLORES-200 is not in the cache
    assert score(metric, ["ฉันรักแมวตัวนี้"], [["ฉันรักแมวตัวนั้น"]]) > 50


def test_the_model_of_flores_serves_where_it_is(monkeypatch, tmp_path):
    monkeypatch.setattr("sacrebleu.utils.SACREBLEU_DIR", str(tmp_path))
    assert not bleu._has_flores_model()
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "flores200sacrebleuspm").touch()
    assert bleu._has_flores_model()


def test_japanese_without_mecab_falls_back_on_characters(monkeypatch):
    real = sacrebleu.metrics.BLEU

    def without_mecab(tokenize):
        if tokenize == "ja-mecab":
            raise RuntimeError("Japanese tokenization requires extra dependencies")
        return real(tokenize=tokenize)

    monkeypatch.setattr(sacrebleu.metrics, "BLEU", without_mecab)
    bleu._scorer.cache_clear()
    try:
        assert "tok:char" in BLEU(MetricContext(target_language="ja")).signature()
    finally:
        bleu._scorer.cache_clear()


def test_signature_is_sacrebleus():
    scorer = sacrebleu.metrics.BLEU()
    scorer.corpus_score(["a b"], [["a b"]])
    full = str(scorer.get_signature())
    assert full.startswith("nrefs:1|") and full.endswith(f"version:{sacrebleu.__version__}")
    assert BLEU(replace(EN, references=1)).signature() == full
    assert BLEU(EN).signature() == full.removeprefix("nrefs:1|")
    assert BLEU(replace(EN, references=-1)).signature().startswith("nrefs:var|")


def test_empty_test_set_has_no_rows():
    assert BLEU(EN).segment_statistics([], [], []).shape == (0, 10)


def test_unequal_numbers_and_missing_references_are_refused():
    with pytest.raises(UserError, match="2 hypotheses but references for 1"):
        BLEU(EN).segment_statistics(["a", "b"], [["a"]], [])
    with pytest.raises(UserError, match="example number 1 has no reference"):
        BLEU(EN).segment_statistics(["a", "b"], [["a"], []], [])
