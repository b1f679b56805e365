"""The choice among outputs, by hand and by sacreBLEU."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sacrebleu import sentence_chrf

from warmup_bench.decode.choice import by_marginal, by_minimum_bayes_risk, by_vote, derangement, log_mean_exp


def test_marginal_weighs_each_warmup_by_its_count():
    table = np.log([[0.5, 0.1], [0.2, 0.3]])
    once, twice = np.array([1.0, 1.0]), np.array([1.0, 3.0])
    assert np.exp(log_mean_exp(table, once)) == pytest.approx([0.3, 0.25])
    assert np.exp(log_mean_exp(table, twice)) == pytest.approx([0.2, 0.275])
    assert by_marginal(table, once) == (0, 0)
    assert by_marginal(table, twice) == (1, 1)


def test_marginal_of_long_outputs_does_not_underflow():
    table = np.array([[-5000.0, -4000.0], [-4001.0, -4001.0]])
    assert log_mean_exp(table, np.ones(2)) == pytest.approx([-4000 - np.log(2), -4001])
    assert by_marginal(table, np.ones(2)) == (0, 1)
    assert by_marginal(np.zeros((3, 2)), np.ones(2)) == (0, 0)  # ties to the first


def test_vote_takes_the_first_of_the_most_frequent():
    assert by_vote(["b", "a", "c", "a"]) == 1
    assert by_vote(["b", "a", "a", "b"]) == 0
    assert by_vote(["a"]) == 0


def test_minimum_bayes_risk_against_sacrebleu():
    texts = ["a man walks home", "the man walks home", "a man ran", "the man walks home", "zzz"]
    gains = [
        np.mean([sentence_chrf(text, [other]).score for k, other in enumerate(texts) if k != i])
        for i, text in enumerate(texts)
    ]
    assert gains[1] == pytest.approx(gains[3])  # equal texts
    assert gains[1] > max(gains[0], gains[2], gains[4]) + 1
    assert by_minimum_bayes_risk(texts) == 1
    assert by_minimum_bayes_risk(texts[::-1]) == 1  # the first of the two again
    assert by_minimum_bayes_risk(["zzz", "a man walks", "a man walked"]) in (1, 2)
    assert by_minimum_bayes_risk(["alone"]) == 0


@given(st.integers(2, 60), st.integers(0, 2**32))
def test_a_derangement_moves_every_place(count, seed):
    moved = derangement(count, seed)
    assert sorted(moved) == list(range(count))
    assert all(i != j for i, j in enumerate(moved))
    assert moved == derangement(count, seed)


def test_derangements_differ_by_seed():
    assert derangement(20, 0) != derangement(20, 1)
