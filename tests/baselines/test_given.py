"""Warmups that the methods give, on examples small enough to work out by hand."""

import re

import pytest

from warmup_bench.baselines import draft, filler, oracle, random_tokens
from warmup_bench.contracts.method import Giving


class Pieces:
    """A tokenizer of pieces of at most three characters, each word by itself."""

    def __init__(self):
        self.known = ["unknown"]

    def encode(self, text):
        pieces = [piece for word in text.split() for piece in re.findall(r"\S{1,3}", "_" + word)]
        self.known += [piece for piece in pieces if piece not in self.known]
        return [self.known.index(piece) for piece in pieces]

    def decode(self, ids):
        return "".join(self.known[i] for i in ids).replace("_", " ").strip()


PIECES = Pieces()


def giving_of(targets, *, cap, sources=None, target_ids=(), drafts=(), seed=0):
    sources = ["x"] * len(targets) if sources is None else sources
    return Giving(sources, targets, target_ids, cap, PIECES.encode, lambda: [*drafts], seed)


def plans_of(targets, cap):
    plans = oracle.give(giving_of(targets, cap=cap))
    assert all(len(plan) <= cap for plan in plans)
    return [PIECES.decode(plan) for plan in plans]


# In documents: a 3, rd ct rn 2, st dg hm 1 of 3; log(4 / (1 + df)): 0, log 4/3 = 0.288, log 2 = 0.693.
# Weights: st 0.693, rd ct 0.288; dg 0.693, rn 2 x 0.288 = 0.575, rd 0.288; hm 0.693, ct rn 0.288; a 0.
DOCUMENTS = ["a rd ct st", "a rd dg rn rn", "a ct rn hm"]


@pytest.mark.parametrize(
    ("cap", "plans"),
    [
        (1, ["st", "dg", "hm"]),
        (2, ["rd st", "dg rn", "ct hm"]),  # a tie goes to the earlier word; the order is the target's
        (3, ["rd ct st", "rd dg rn", "ct rn hm"]),
        (9, ["a rd ct st", "a rd dg rn", "a ct rn hm"]),  # each word once
    ],
)
def test_the_keywords_of_oracle_by_hand(cap, plans):
    assert plans_of(DOCUMENTS, cap) == plans


def test_oracle_smooths_the_document_frequency():
    """rn 5 log 4/3 = 1.438 comes before dg 2 log 2 = 1.386; unsmoothed, 5 log 3/2 is under 2 log 3."""
    assert plans_of(["dg dg rn rn rn rn rn", "rn", "ct"], 1)[0] == "rn"


def test_oracle_writes_whole_words_only():
    """``thirteen`` is three pieces: where it does not fit, the next keyword takes its place."""
    targets = ["a thirteen dg", "a dg", "a ct"]  # thirteen 0.693, dg 0.288, a 0
    assert plans_of(targets, 4)[0] == "thirteen dg"
    assert plans_of(targets, 3)[0] == "thirteen"
    assert plans_of(targets, 2)[0] == "a dg"
    assert plans_of(targets, 1)[0] == "dg"


def test_oracle_counts_words_without_case_and_punctuation():
    """``it`` has 3 x log 3/2, ``ct`` and ``dg`` once that; it is written once, as it was first."""
    targets = ["ct: It, dg it (IT).", "st"]
    assert plans_of(targets, 1) == ["It", "st"]
    assert plans_of(targets, 9) == ["ct It dg", "st"]


def test_oracle_plans_an_empty_target_with_nothing():
    assert plans_of(["...", "", "dg"], 4) == ["", "", "dg"]


def test_oracle_needs_targets_and_lets_the_model_plan_at_inference():
    with pytest.raises(ValueError, match="targets"):
        oracle.give(giving_of(None, sources=["x"], cap=3))
    assert not oracle.METHOD.given_at_inference


@pytest.mark.parametrize("targets", [["y", "z"], None])
def test_filler_is_one_token_as_often_as_the_cap_allows(targets):
    warmups = filler.give(giving_of(targets, sources=["x", "xx"], cap=4))
    assert len(warmups) == 2
    assert warmups == [PIECES.encode(".") * 4] * 2
    assert filler.METHOD.given_at_inference


def test_random_draws_from_the_tokens_of_the_targets_as_often_as_they_come():
    target_ids = [[7, 7, 7], [], [9]]
    giving = giving_of(None, sources=["x"] * 500, cap=8, target_ids=target_ids, seed=3)
    warmups = random_tokens.give(giving)
    assert [len(ids) for ids in warmups] == [8] * 500
    flat = [token for ids in warmups for token in ids]
    assert set(flat) == {7, 9}
    assert flat.count(7) / 4000 == pytest.approx(3 / 4, abs=0.03)  # over four deviations of 0.0068
    assert len({tuple(ids) for ids in warmups}) > 50  # each example by itself


def test_random_is_a_function_of_the_seed():
    first, again, other = (
        random_tokens.give(giving_of(None, sources=["x"] * 5, cap=6, target_ids=[list(range(50))], seed=seed))
        for seed in (1, 1, 2)
    )
    assert first == again != other


def test_draft_is_the_output_of_the_warm_start_cut_at_the_cap():
    drafts = [[5, 6, 7, 8], [5], []]
    assert draft.give(giving_of(None, sources=["x"] * 3, cap=2, drafts=drafts)) == [[5, 6], [5], []]
    assert draft.METHOD.given_at_inference


def test_only_draft_decodes():
    """Drafts cost a pass over the data: the others must not ask for them."""

    def never():
        raise AssertionError("decoded")

    giving = Giving(["x"], ["dg rn"], [[4]], 2, PIECES.encode, never, 0)
    for method in (filler, random_tokens, oracle):
        assert len(method.give(giving)) == 1
    with pytest.raises(AssertionError, match="decoded"):
        draft.give(giving)
