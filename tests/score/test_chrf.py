import random

import numpy as np
import pytest
import sacrebleu.metrics
from hypothesis import given, settings
from hypothesis import strategies as st

from warmup_bench.contracts.errors import UserError
from warmup_bench.contracts.metric import MetricContext
from warmup_bench.score.chrf import ChrF

METRIC = ChrF(MetricContext(target_language="de"))
TEXTS = st.text(alphabet="abcü .,()我猫", max_size=14)


def score(hypotheses, references):
    return float(METRIC.aggregate(METRIC.segment_statistics(hypotheses, references, []).sum(axis=0)))


def library():
    return sacrebleu.metrics.CHRF(word_order=2)


def test_counts_and_score_worked_out_by_hand():
    statistics = METRIC.segment_statistics(["ab"], [["abc"]], [""])
    # hypothesis, reference, match: 1 to 6 characters, then 1 and 2 words. sacreBLEU counts no hypothesis
    # n-grams of an order that the reference lacks.
    orders = [(2, 3, 2), (1, 2, 1), (0, 1, 0), (0, 0, 0), (0, 0, 0), (0, 0, 0), (1, 1, 0), (0, 0, 0)]
    assert statistics.tolist() == [[count for order in orders for count in order]]
    precision, recall = (1 + 1 + 0) / 3, (2 / 3 + 1 / 2 + 0) / 3  # over the three orders that both have
    by_hand = 100 * 5 * precision * recall / (4 * precision + recall)
    assert float(METRIC.aggregate(statistics[0])) == pytest.approx(by_hand, abs=1e-12)
    assert by_hand == pytest.approx(100 * 14 / 33)


def test_nothing_scores_zero_and_the_same_scores_100():
    assert score(["xyz"], [["abc"]]) == 0.0
    assert score([""], [["abc"]]) == 0.0
    assert score(["abc"], [[""]]) == 0.0
    assert score(["the cat sat"], [["the cat sat"]]) == pytest.approx(100.0, abs=1e-12)


@settings(max_examples=80, deadline=None)
@given(st.lists(st.tuples(TEXTS, TEXTS), min_size=1, max_size=6))
def test_equals_sacrebleu_on_random_texts(pairs):
    hypotheses, references = zip(*pairs, strict=True)
    expected = library().corpus_score(hypotheses, [references]).score
    assert score(hypotheses, [[r] for r in references]) == pytest.approx(expected, abs=1e-9)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(TEXTS, st.lists(TEXTS, min_size=1, max_size=3)), min_size=1, max_size=5))
def test_equals_sacrebleu_with_a_varying_number_of_references(examples):
    hypotheses, references = zip(*examples, strict=True)
    streams = [[golds[k] if k < len(golds) else None for golds in references] for k in range(3)]
    expected = library().corpus_score(hypotheses, streams).score
    assert score(hypotheses, references) == pytest.approx(expected, abs=1e-9)


def test_aggregate_keeps_leading_axes_and_equals_one_by_one():
    rng = random.Random(3)
    sides = [["".join(rng.choices("abc de", k=rng.randint(0, 20))) for _ in range(24)] for _ in range(2)]
    statistics = METRIC.segment_statistics(sides[0], [[r] for r in sides[1]], [])
    sums = statistics.reshape(2, 3, 4, 24).sum(axis=2)
    together = METRIC.aggregate(sums)
    assert together.shape == (2, 3)
    one_by_one = [[library()._compute_f_score(row.tolist()) for row in part] for part in sums]
    assert together == pytest.approx(np.array(one_by_one), abs=1e-9)


def test_signature_is_sacrebleus():
    scorer = library()
    scorer.corpus_score(["a b"], [["a b"]])
    full = str(scorer.get_signature())
    assert "nc:6" in full and "nw:2" in full and full.startswith("nrefs:1|")
    assert ChrF(MetricContext(references=1)).signature() == full
    assert METRIC.signature() == full.removeprefix("nrefs:1|")


def test_bad_and_empty_input():
    assert METRIC.segment_statistics([], [], []).shape == (0, 24)
    with pytest.raises(UserError, match="example number 0 has no reference"):
        METRIC.segment_statistics(["a"], [[]], [])
