import random

import numpy as np
import pytest
from rouge_score.rouge_scorer import RougeScorer

from warmup_bench.contracts.errors import UserError
from warmup_bench.contracts.metric import MetricContext
from warmup_bench.score.rouge import ROUGE1, ROUGE2, ROUGEL, ROUGELSUM, sentences, unicode_tokens

EN = MetricContext(target_language="en")
VARIANTS = {"rouge1": ROUGE1, "rouge2": ROUGE2, "rougeL": ROUGEL, "rougeLsum": ROUGELSUM}
WORDS = ("Running", "runs", "arrays", "array", "return", "returned", "a", "the", "2d", "x:", "(shape)", "-")


def texts(seed, n):
    rng = random.Random(seed)
    return [" ".join(rng.choices(WORDS, k=rng.randint(0, 12))) for _ in range(n)]


@pytest.mark.parametrize("variant", VARIANTS)
def test_equals_rouge_score_with_stemmer(variant):
    hypotheses, references = texts(1, 40), texts(2, 40)
    statistics = VARIANTS[variant](EN).segment_statistics(hypotheses, [[r] for r in references], [])
    library = RougeScorer([variant], use_stemmer=True)
    expected = [library.score(r, h)[variant].fmeasure for h, r in zip(hypotheses, references, strict=True)]
    assert statistics[:, 0].tolist() == expected
    assert statistics[:, 1].tolist() == [1.0] * 40
    assert len(set(expected)) > 5
    score = float(VARIANTS[variant](EN).aggregate(statistics.sum(axis=0)))
    assert score == pytest.approx(100 * np.mean(expected), abs=1e-9)


@pytest.mark.parametrize("variant", VARIANTS)
def test_several_references_take_the_best(variant):
    hypotheses, first, second = texts(3, 30), texts(4, 30), texts(5, 30)
    golds = [[r, s] if i % 2 else [r] for i, (r, s) in enumerate(zip(first, second, strict=True))]
    metric = VARIANTS[variant](EN)
    got = metric.segment_statistics(hypotheses, golds, [])[:, 0]
    apart = [metric.segment_statistics(hypotheses, [[r] for r in refs], [])[:, 0] for refs in (first, second)]
    best = [max(apart[0][i], apart[1][i]) if i % 2 else apart[0][i] for i in range(30)]
    assert got.tolist() == best


def test_values_worked_out_by_hand():
    hypotheses, golds = ["the cat ran home"], [["the cats ran home today"]]
    by_variant = {
        variant: float(make(EN).segment_statistics(hypotheses, golds, [])[0, 0])
        for variant, make in VARIANTS.items()
    }
    # "cats" stems to "cat": 4 of 4 and 4 of 5 words, 3 of 3 and 3 of 4 pairs, a common subsequence of 4
    assert by_variant["rouge1"] == pytest.approx(2 * 1 * 0.8 / 1.8)
    assert by_variant["rouge2"] == pytest.approx(2 * 1 * 0.75 / 1.75)
    assert by_variant["rougeL"] == pytest.approx(2 * 1 * 0.8 / 1.8)


def test_lsum_takes_the_union_over_the_sentences_of_a_reference():
    hypothesis, gold = "The cat sleeps. The dog ran home!", "The dog ran home.\nThe cat sleeps now."
    by_variant = {
        name: float(make(EN).segment_statistics([hypothesis], [[gold]], [])[0, 0])
        for name, make in VARIANTS.items()
    }
    # 7 and 8 words. As one text the longest common subsequence is "the dog ran home"; by sentences all 4 and
    # then "the cat sleeps" are found.
    assert by_variant["rougeL"] == pytest.approx(2 * (4 / 7) * (4 / 8) / (4 / 7 + 4 / 8))
    assert by_variant["rougeLsum"] == pytest.approx(2 * 1 * (7 / 8) / (1 + 7 / 8))
    library = RougeScorer(["rougeLsum"], use_stemmer=True)
    lines = "The cat sleeps.\nThe dog ran home!"
    assert by_variant["rougeLsum"] == library.score(gold, lines)["rougeLsum"].fmeasure


def test_sentences():
    assert sentences("One. Two? 3.5 times!  Four") == "One.\nTwo?\n3.5 times!\nFour"
    assert sentences("One. Two.\nThree. Four.") == "One. Two.\nThree. Four."
    assert sentences("一。二！ 三") == "一。\n二！\n三"
    assert sentences(" One. ") == "One."
    assert sentences("") == ""


def test_other_scripts_are_not_dropped():
    russian = MetricContext(target_language="ru")
    hypothesis, gold = "Кошка сидит дома", "кошка сидит на окне"
    assert RougeScorer(["rouge1"]).score(gold, hypothesis)["rouge1"].fmeasure == 0.0
    # 2 of 3 and 2 of 4 words
    assert ROUGE1(russian).segment_statistics([hypothesis], [[gold]], [])[0, 0] == pytest.approx(4 / 7)
    chinese = MetricContext(target_language="zh")
    # characters: 3 of 4 and 3 of 3; pairs: 1 of 3 and 1 of 2
    assert ROUGE1(chinese).segment_statistics(["我爱小猫"], [["我爱猫"]], [])[0, 0] == pytest.approx(6 / 7)
    assert ROUGE2(chinese).segment_statistics(["我爱小猫"], [["我爱猫"]], [])[0, 0] == pytest.approx(2 / 5)


def test_only_english_is_stemmed_and_loses_its_accents():
    hypothesis, gold = "die Größe der Karten", "eine Größe für Karte"
    german = ROUGE1(MetricContext(target_language="de_DE"))
    # 1 of 4 words on either side; rouge-score would take "gr" and "e" for two words and stem the cards
    assert german.segment_statistics([hypothesis], [[gold]], [])[0, 0] == pytest.approx(1 / 4)


def test_unicode_tokens():
    assert unicode_tokens("Größe, 10km: ДА!") == ["größe", "10km", "да"]
    assert unicode_tokens("猫猫 is ねこ") == ["猫", "猫", "is", "ね", "こ"]
    assert unicode_tokens("हिन्दी भाषा") == ["हिन्दी", "भाषा"]  # vowel signs stay in their words
    assert unicode_tokens(" ...") == []


def test_signatures_name_the_tokeniser():
    assert "|sents:nl-or-punct|refs:max|" in ROUGELSUM(EN).signature()
    assert "sents" not in ROUGEL(EN).signature()
    assert "tok:rouge-score|stem:porter" in ROUGE1(EN).signature()
    assert "tok:rouge-score|stem:porter" in ROUGE1(MetricContext(target_language="en-GB")).signature()
    for language in ("de", "ru", "zh", "ja", "ko", "hi", "ar"):
        assert "tok:unicode|stem:none" in ROUGE1(MetricContext(target_language=language)).signature()


def test_names_and_refusals():
    names = ["ROUGE-1", "ROUGE-2", "ROUGE-L", "ROUGE-Lsum"]
    assert [make(EN).name for make in VARIANTS.values()] == names
    with pytest.raises(UserError, match="1 hypotheses but references for 2"):
        ROUGEL(EN).segment_statistics(["a"], [["a"], ["b"]], [])
