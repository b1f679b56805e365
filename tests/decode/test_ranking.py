"""Options ranked by their likelihood, against the plain model in fp64, one sequence at a time."""

import pytest
import torch

from tiny import EOS, Reference, make, source_of
from warmup_bench.decode import rank_options
from warmup_bench.decode.choice import likeliest

VOCABULARY, CAP = 12, 3
CONTENTS = ([4, 5, 6, 7], [8], [9, 10, 11, 4])
OPTIONS = (["A", "B", "C", "D"], ["A", "B", "C", "D", "E"], ["B", "A"])
WARMUPS = ([5, 6], [], [4, 4, 7])  # the last one as long as the cap


class Speller:
    """A to E as two tokens each: what a letter is to a tokenizer that marks the start of a word."""

    all_special_ids = (0, 1, 2)
    unk_token_id = None

    def __call__(self, text, **_):
        return {"input_ids": [[5, 6 + "ABCDE".index(letter)] for letter in text]}


@pytest.fixture(params=["t5", "llama"])
def speller(request):
    backbone = make(request.param, vocabulary=VOCABULARY, seed=3)
    backbone.tokenizer = Speller()
    return backbone


def ranked(backbone, warmups, batch_size=2):
    sources = [source_of(backbone, content) for content in CONTENTS]
    return rank_options(backbone, sources, OPTIONS, warmups=warmups, batch_size=batch_size)


@torch.no_grad()
def expected(backbone, warmups):
    reference = Reference(backbone)
    table = []
    for i, options in enumerate(OPTIONS):
        source = source_of(backbone, CONTENTS[i])
        row = []
        for option in options:
            (y,) = backbone.tokenizer([option])["input_ids"]
            if warmups is None:
                row.append(float(reference.log_direct(source, y)))
            else:
                row.append(float(reference.log_c_and_y(source, warmups[i], CAP, y)[1]))
        table.append(row)
    return table


@pytest.mark.parametrize("warmups", [None, WARMUPS], ids=["direct", "after warmups"])
def test_four_or_five_options_against_the_plain_model(speller, warmups):
    ranking, table = ranked(speller, warmups), expected(speller, warmups)
    assert [len(row) for row in ranking.log_probs] == [4, 5, 2]
    for ours, theirs in zip(ranking.log_probs, table, strict=True):
        assert ours == pytest.approx(theirs, abs=1e-4)
    best = [options[row.index(max(row))] for options, row in zip(OPTIONS, table, strict=True)]
    assert ranking.best == best
    assert all(
        max(row) - sorted(row)[-2] > 1e-3 for row in table
    )  # so that the order is not a matter of bits


def test_batches_do_not_matter(speller):
    one, many = ranked(speller, WARMUPS, batch_size=1), ranked(speller, WARMUPS, batch_size=64)
    for a, b in zip(one.log_probs, many.log_probs, strict=True):
        assert a == pytest.approx(b, abs=1e-4)
    assert one.flops == many.flops > 0


def test_the_warmup_changes_what_options_get(speller):
    direct, after = ranked(speller, None), ranked(speller, WARMUPS)
    assert max(abs(a - b) for a, b in zip(direct.log_probs[0], after.log_probs[0], strict=True)) > 1e-2
    assert after.flops > direct.flops


def test_ties_go_to_the_first():
    assert likeliest([-2.0, -1.0, -1.0]) == 1
    assert likeliest([-1.0]) == 0


def test_the_end_is_scored_too(speller):
    # else an option that is the beginning of another would always be at least as likely as that one
    row = ranked(speller, None).log_probs[0]
    reference = Reference(speller)
    source = source_of(speller, CONTENTS[0])
    with torch.no_grad():
        logits = reference.logits(source, [5, 6, EOS]).log_softmax(-1)
    without_end = float(logits[[0, 1], [5, 6]].sum())
    assert row[0] < without_end - 1e-3
