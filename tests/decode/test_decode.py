"""Greedy decoding, against transformers' ``generate`` and against a loop of full forward passes."""

import pytest
import torch
from talkers import QUIETLY, VOCABULARY, generated, sources_of

from tiny import ANSWER, EOS, PAD, SEPARATOR, Reference, counting_costs, make
from warmup_bench.decode import Decoded, decode_all, greedy

OUTPUT_CAP = 9


def test_the_direct_path_equals_generate(talker):
    sources = sources_of(talker)
    found = greedy(talker, sources, warmup_cap=0, output_cap=OUTPUT_CAP)
    for source, decoded in zip(sources, found, strict=True):
        expected = generated(talker, source, OUTPUT_CAP, num_beams=1)
        assert decoded.output == [token for token in expected if token != EOS]
        assert decoded.finished == (expected[-1] == EOS)
        assert decoded.warmup == []
        assert not decoded.forced
    lengths = {len(decoded.output) for decoded in found}
    assert len(lengths) > 2  # rows that end at different times
    assert {decoded.finished for decoded in found} == {True, False}


@torch.no_grad()
def naive(backbone, source, warmup_cap, output_cap):
    """The definition: full forward passes of one sequence, no cache."""
    reference = Reference(backbone)
    written, warmup, forced = [], [], False
    while True:
        if len(warmup) == warmup_cap:
            forced = True
            break
        token = int(reference.policy(reference.logits(source, [*written, PAD])[-1]).argmax())
        if token == SEPARATOR:
            break
        warmup.append(token)
        written.append(token)
    written.append(SEPARATOR)
    output = []
    while len(output) < output_cap:
        logits = reference.logits(source, [*written, PAD])[-1]
        logits[[PAD, SEPARATOR, ANSWER]] = -torch.inf
        token = int(logits.argmax())
        if token == EOS:
            return Decoded(warmup, forced, output, finished=True)
        output.append(token)
        written.append(token)
    return Decoded(warmup, forced, output, finished=False)


@pytest.mark.parametrize("warmup_cap", [1, 5])
def test_a_warmup_and_its_output_equal_full_forward_passes(talker, warmup_cap):
    sources = sources_of(talker)
    found = greedy(talker, sources, warmup_cap=warmup_cap, output_cap=OUTPUT_CAP)
    assert found == [naive(talker, source, warmup_cap, OUTPUT_CAP) for source in sources]
    if warmup_cap == 5:  # the case is a rich one
        assert {decoded.forced for decoded in found} == {True, False}
        assert len({len(decoded.warmup) for decoded in found}) > 1
        assert {decoded.finished for decoded in found} == {True, False}


@pytest.mark.parametrize("warmup_cap", [0, 5])
def test_company_does_not_matter(talker, warmup_cap):
    sources = sources_of(talker)
    together = greedy(talker, sources, warmup_cap=warmup_cap, output_cap=OUTPUT_CAP)
    alone = [greedy(talker, [s], warmup_cap=warmup_cap, output_cap=OUTPUT_CAP)[0] for s in sources]
    assert together == alone


def test_a_tokenizer_that_pads_with_eos_can_end_its_output():
    """GPT-2's and many others have no pad token; eos then serves for both."""
    from warmup_bench.models.state import SpecialTokens

    tokens = SpecialTokens(pad=1, eos=1, separator=2, never=(3,))
    assert set(tokens.banned_in_output) == {2, 3}
    assert set(tokens.banned_in_warmup) == {1, 3}
    separate = SpecialTokens(pad=0, eos=1, separator=2)
    assert set(separate.banned_in_output) == {0, 2}
    assert set(separate.banned_in_warmup) == {0, 1}


@pytest.mark.parametrize("output_cap", [1, 2, 3, 4, 5, 8])
def test_no_output_is_longer_than_its_cap(talker, output_cap):
    sources = sources_of(talker)
    found = greedy(talker, sources, warmup_cap=3, output_cap=output_cap)
    long = greedy(talker, sources, warmup_cap=3, output_cap=20)
    assert [d.output for d in found] == [d.output[:output_cap] for d in long]
    assert max(len(d.output) for d in found) == output_cap


COUNTER = counting_costs()


@pytest.mark.parametrize("warmup_cap", [0, 5])
def test_decode_all_keeps_the_order_and_counts_the_operations(warmup_cap):
    backbone = make("llama", vocabulary=VOCABULARY, seed=6, costs=COUNTER)
    sources = sources_of(backbone)
    calls = []
    noting = QUIETLY | {"report": lambda done, total: calls.append((done, total))}
    caps = {"warmup_cap": warmup_cap, "output_cap": OUTPUT_CAP}
    found, flops = decode_all(backbone, sources, batch_size=3, **caps, **noting)
    assert found == greedy(backbone, sources, **caps)
    assert calls == [(3, 7), (6, 7), (7, 7)]
    # Every token written is one prediction; all but the last are fed back, and so is the prompt.
    written = [len(d.warmup) + (warmup_cap > 0) + len(d.output) + d.finished for d in found]
    fed = [len(s) + w - 1 for s, w in zip(sources, written, strict=True)]
    assert flops == 2 * sum(fed) + 2000 * sum(written)
