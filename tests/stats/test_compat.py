"""sacreBLEU's PairedTest is the reference: every digit of score, p, mean and interval must be its own."""

import random

import numpy as np
import pytest
import sacrebleu.metrics
from sacrebleu.significance import PairedTest

from harness.errors import UserError
from harness.metrics.base import MetricContext
from harness.metrics.bleu import BLEU
from harness.metrics.chrf import ChrF
from harness.stats import compat
from harness.stats.compat import compat_signature, sacrebleu_paired_test

pytestmark = pytest.mark.skipif(
    np.__version__.startswith("1."), reason="sacreBLEU's own float32 sums are rounded otherwise by numpy 1"
)
WORDS = ["a", "cat", "sat", "on", "the", "red", "mat", "and", "then", "slept", "(again),", "so", "what?"]


def corpus(n, shares, seed=3, references=1):
    rng = random.Random(seed)
    golds = [
        [" ".join(rng.choices(WORDS, k=rng.randint(1, 14))) for _ in range(n)] for _ in range(references)
    ]
    systems = [
        [
            " ".join(w if rng.random() < share else rng.choice(WORDS) for w in gold.split())
            for gold in golds[0]
        ]
        for share in shares
    ]
    return systems, golds


def theirs(monkeypatch, systems, golds, test, rounds, resamples, seed):
    monkeypatch.setenv("SACREBLEU_SEED", str(seed))
    metrics = {
        "bleu": sacrebleu.metrics.BLEU(references=golds),
        "chrf++": sacrebleu.metrics.CHRF(word_order=2, references=golds),
    }
    named = [(f"s{i}", lines) for i, lines in enumerate(systems)]
    signatures, results = PairedTest(
        named, metrics, None, test, rounds if test == "ar" else resamples, resamples or -1
    )()
    return {
        "bleu": (results["BLEU"], str(signatures["BLEU"])),
        "chrf++": (results["chrF2++"], str(signatures["chrF2++"])),
    }


def check(monkeypatch, systems, golds, test, rounds=300, resamples=120, seed=12345):
    expected = theirs(monkeypatch, systems, golds, test, rounds, resamples, seed)
    by_example = [list(golds_of) for golds_of in zip(*golds, strict=True)]
    for key, make in (("bleu", BLEU), ("chrf++", ChrF)):
        metric = make(MetricContext(references=len(golds)))
        statistics = [metric.segment_statistics(lines, by_example, []) for lines in systems]
        got = sacrebleu_paired_test(
            statistics, compat.SCORERS[key], test=test, rounds=rounds, resamples=resamples, seed=seed
        )
        results, signature = expected[key]
        for mine, their in zip(got, results, strict=True):
            assert (mine.score, mine.p_value) == (their.score, their.p_value)
            assert (mine.mean, mine.ci) == (their.mean, their.ci)
        assert compat_signature(metric.signature(), test, rounds, resamples, seed) == signature


@pytest.mark.parametrize("test", ["ar", "bs"])
@pytest.mark.parametrize("seed", [12345, 7])
def test_every_digit_is_sacrebleus(test, seed, monkeypatch):
    systems, golds = corpus(61, [0.7, 0.72, 0.6, 0.7])
    systems.append(list(systems[0]))  # an identical system, which sacreBLEU finds significant under ar
    check(monkeypatch, systems, golds, test, seed=seed)


def test_without_intervals_and_with_several_references(monkeypatch):
    systems, golds = corpus(40, [0.7, 0.6], references=3)
    check(monkeypatch, systems, golds, "ar", resamples=0)
    check(monkeypatch, systems, golds, "bs")


def test_the_size_of_a_block_changes_nothing(monkeypatch):
    monkeypatch.setattr(compat, "BLOCK_CELLS", 32)
    systems, golds = corpus(33, [0.8, 0.7])
    for test in ("ar", "bs"):
        check(monkeypatch, systems, golds, test)


@pytest.mark.parametrize("texts", [["", "", ""], ["zz", "qq", ""], ["a cat", "", "x"]])
def test_degenerate_texts(texts, monkeypatch):
    golds = [["a cat sat", "on the mat", "a"]]
    for test in ("ar", "bs"):
        check(monkeypatch, [texts, ["a cat sat", "the", "a"], texts], golds, test)


def test_sums_that_float32_rounds_are_rounded_alike(monkeypatch):
    monkeypatch.setattr(compat, "EXACT_FLOAT32", 5)  # every sum goes the library's way
    systems, golds = corpus(20, [0.8, 0.7])
    check(monkeypatch, systems, golds, "bs")
    statistics = np.random.default_rng(1).integers(2**18, 2**20, size=(50, 24)).astype(float)
    monkeypatch.setattr(compat, "EXACT_FLOAT32", 2**24)
    got = compat._bootstrap_scores(statistics, lambda totals: totals[:, 0], np.random.default_rng(5), 9)
    drawn = np.random.default_rng(5).choice(50, size=(9, 50), replace=True)
    assert got.tolist() == [float(rows.sum(0)[0]) for rows in statistics.astype("float32")[drawn]]


def test_seed_0_is_refused_since_sacrebleu_does_not_fix_it():
    with pytest.raises(UserError, match="without a seed"):
        sacrebleu_paired_test([np.ones((2, 24))], compat.chrf_scores, seed=0)
