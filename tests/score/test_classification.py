import random

import numpy as np
import pytest

from warmup_bench.contracts.errors import UserError
from warmup_bench.contracts.metric import MetricContext
from warmup_bench.score.classification import (
    Accuracy,
    MacroF1,
    RankedAccuracy,
    RankedMacroF1,
    Unparsed,
    parse_label,
)
from warmup_bench.score.inputs import column_read

LETTERS = ("A", "B", "C", "D")
CONTEXT = MetricContext(labels=LETTERS)


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("A", "A"),
        ("  B\n", "B"),
        ("C.", "C"),
        ("A) a dog", "A"),
        ("D: because", "D"),
        ("(B)", "B"),
        ("(B) it follows", "B"),
        ("b", "B"),
        (" c ", "C"),
        ("b) no", None),
        ("A dog barks", None),
        ("AB", None),
        ("E", None),
        ("The answer is A", "A"),
        ("**A**", "A"),
        ("**A** It follows", "A"),
        ("$B$", "B"),
        ("$\\boxed{\\text{C}}$", "C"),
        ("`d`", None),
        ("'D'.", "D"),
        ("[A]", "A"),
        ("__B)__ it rains", "B"),
        ("D because it rains", "D"),
        ("A is the correct one", "A"),
        ("A is correct", "A"),
        ("A dog because of it", None),
        ("Let's see. The answer is (C), as it rains.", "C"),
        ("Therefore, the correct answer is: **D**.", "D"),
        ("Final answer: B", "B"),
        ("The correct option is A. The answer is A.", "A"),
        ("The answer is A. No, the answer is B.", None),
        ("The answer is A or B", None),
        ("The answer is A, B", None),
        ("The answer is not A", None),
        ("The answer is A dog", None),
        ("The answer is a", None),
        ("option A or the like", None),
        ("", None),
        ("Ä", None),
    ],
)
def test_reading_a_letter(text, label):
    assert parse_label(text, LETTERS) == label


@pytest.mark.parametrize(
    ("text", "labels", "label"),
    [
        ("not entailed, because", ("not", "not entailed"), "not entailed"),
        ("not at all", ("not", "not entailed"), "not"),
        ("yes it does", ("yes", "no"), "yes"),
        ("yesterday", ("yes", "no"), None),
        ("Yes", ("yes", "no"), None),
        ("a", ("a", "A"), "a"),
        ("A", ("a", "A"), "A"),
        ("1.5", ("0", "1"), None),
        ("1. It follows", ("0", "1"), "1"),
        ("*", ("*", "+"), "*"),
        ("+) plus", ("*", "+"), "+"),
        ("The answer is yes, it does", ("yes", "no"), "yes"),
        ("The answer is yes or no", ("yes", "no"), None),
        ("The answer is not entailed.", ("not", "not entailed"), "not entailed"),
        ("The answer is 1.5", ("0", "1"), None),
        ("**no**", ("yes", "no"), "no"),
    ],
)
def test_reading_other_label_sets(text, labels, label):
    assert parse_label(text, labels) == label


def test_unparsed_texts_are_counted():
    metric = Unparsed(CONTEXT)
    statistics = metric.segment_statistics(["A", "dunno", "(C)", ""], [["A"]] * 4, [])
    assert statistics.tolist() == [[0, 1], [1, 1], [0, 1], [1, 1]]
    assert float(metric.aggregate(statistics.sum(axis=0))) == 50.0
    assert (metric.name, metric.higher_is_better, metric.best) == ("unparsed", False, 0.0)


def test_what_states_no_label_is_told_beside_the_score():
    written = ["A", "dunno", "(C)", ""]
    (note,) = Accuracy(CONTEXT).notes(written, [["A"]] * 4)
    assert note == "2 of 4 outputs (50%) state no label and count as wrong, such as 'dunno'"
    assert (
        Accuracy(CONTEXT).notes(["A"], [["B"]]) == RankedAccuracy(CONTEXT).notes(written, [["A"]] * 4) == []
    )


def test_ranked_metrics_read_the_likeliest_option():
    columns = {"hypothesis": ["?", "A", "A"], "ranked": ["E", "A", "B"]}
    golds = [["E"], ["A"], ["A"]]
    context = MetricContext(labels=(*LETTERS, "E"))
    scores = {}
    for make in (Accuracy, RankedAccuracy, MacroF1, RankedMacroF1):
        metric = make(context)
        statistics = metric.segment_statistics(columns[column_read(metric, columns)], golds, [])
        scores[metric.name] = float(metric.aggregate(statistics.sum(axis=0)))
    # generated: A right twice; ranked: E and one A right. F1 of A and E: 1 and 0; 2/3 and 1
    assert scores == pytest.approx(
        {
            "accuracy": 200 / 3,
            "ranked accuracy": 200 / 3,
            "macro-F1": 100 * (1 + 0) / 5,
            "ranked macro-F1": 100 * (2 / 3 + 1) / 5,
        }
    )
    with pytest.raises(UserError, match="'ranked accuracy' reads the column 'ranked', which"):
        column_read(RankedAccuracy(context), ["hypothesis"])


def test_both_equal_scikit_learn():
    sklearn_metrics = pytest.importorskip("sklearn.metrics")
    rng = random.Random(8)
    for labels in (LETTERS, ("yes", "no"), ("x", "y", "z", "never seen")):
        golds = rng.choices(labels[:3], k=50)
        written = [rng.choice([g, g, *labels[:3], "dunno", ""]) for g in golds]
        context = MetricContext(labels=labels)
        got = {}
        for metric in (Accuracy(context), MacroF1(context)):
            statistics = metric.segment_statistics(written, [[g] for g in golds], [])
            got[metric.name] = float(metric.aggregate(statistics.sum(axis=0)))
        expected = {
            "accuracy": 100 * sklearn_metrics.accuracy_score(golds, written),
            "macro-F1": 100
            * sklearn_metrics.f1_score(golds, written, average="macro", labels=list(labels), zero_division=0),
        }
        assert got == pytest.approx(expected, abs=1e-9)


def test_counts_worked_out_by_hand():
    written, golds = ["A", "B", "what?"], [["A"], ["A"], ["B"]]
    context = MetricContext(labels=("A", "B"))
    assert Accuracy(context).segment_statistics(written, golds, []).tolist() == [[1, 1], [0, 1], [0, 1]]
    counts = MacroF1(context).segment_statistics(written, golds, [])
    # right A, B; predicted A, B; true A, B
    assert counts.tolist() == [[1, 0, 1, 0, 1, 0], [0, 0, 0, 1, 1, 0], [0, 0, 0, 0, 0, 1]]
    # F1 of A 2*1/(1+2), of B 0
    assert float(MacroF1(context).aggregate(counts.sum(axis=0))) == pytest.approx(100 / 3)


def test_aggregate_keeps_leading_axes():
    counts = np.array([[[2.0, 1, 3, 2, 2, 3]], [[0.0, 0, 0, 0, 0, 0]]])
    scores = MacroF1(MetricContext(labels=("A", "B"))).aggregate(counts)
    assert scores.shape == (2, 1)
    assert scores.ravel().tolist() == pytest.approx([100 * (4 / 5 + 2 / 5) / 2, 0.0])


def test_bad_input_is_refused():
    for metric in (Accuracy, MacroF1, Unparsed):
        with pytest.raises(UserError, match="needs a closed set of labels"):
            metric(MetricContext())
    for metric in (Accuracy, MacroF1):
        with pytest.raises(UserError, match=r"example number 1 .*'E'.*not one of the labels"):
            metric(CONTEXT).segment_statistics(["A", "A"], [["A"], ["E"]], [])
        with pytest.raises(UserError, match="example number 0"):
            metric(CONTEXT).segment_statistics(["A"], [["A", "B"]], [])


def test_signatures_name_what_changes_the_number():
    assert Accuracy(CONTEXT).signature() == Unparsed(CONTEXT).signature() == "labels:4|parse:strict-v2"
    assert RankedAccuracy(CONTEXT).signature() == "labels:4|rank:log-probability"
    assert MacroF1(CONTEXT).signature() == "average:macro|zero_division:0|labels:4|parse:strict-v2"


def test_macro_f1_says_which_labels_no_reference_has() -> None:
    metric = MacroF1(MetricContext("en", ("A", "B", "C", "D")))
    golds = [("A",), ("B",), ("A",)]
    (note,) = metric.notes(["A", "B", "A"], golds)
    assert note == "2 of 4 labels stand in no reference (C, D), so that right answers alone would have 50"
    statistics = metric.segment_statistics(["A", "B", "A"], golds, ())
    assert metric.aggregate(statistics.sum(axis=0)) == 50.0
    assert metric.notes(list("ABCD"), [(label,) for label in "ABCD"]) == []
