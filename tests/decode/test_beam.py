"""Beam search, against transformers' ``generate`` and against enumeration."""

import itertools

import pytest
import torch
from talkers import QUIETLY, VOCABULARY, generated

from tiny import EOS, SEPARATOR, Reference, counting_costs, make, source_of
from warmup_bench.decode.beam import beam_outputs

CAP = 9


def inputs(backbone, count, vocabulary=VOCABULARY):
    generator = torch.Generator().manual_seed(count)
    lengths = torch.randint(1, 8, (count,), generator=generator).tolist()
    return [
        source_of(backbone, torch.randint(4, vocabulary, (n,), generator=generator).tolist()) for n in lengths
    ]


def search(backbone, sources, warmups=None, **changes):
    search = {"warmup_cap": 5, "output_cap": CAP, "beams": 3, "length_penalty": 1.0, "batch_size": 12}
    return beam_outputs(backbone, sources, warmups, **(QUIETLY | search | changes))


@pytest.mark.parametrize("penalty", [1.0, 0.0, -0.7])
@pytest.mark.parametrize("beams", [2, 4])
@pytest.mark.parametrize(("name", "seed"), [("t5", 10), ("llama", 6)])
def test_the_direct_path_equals_generate(name, seed, beams, penalty):
    backbone = make(name, vocabulary=VOCABULARY, seed=seed)
    backbone.model.eval()
    sources = inputs(backbone, 8)
    found, _ = search(backbone, sources, beams=beams, length_penalty=penalty)
    for source, decoded in zip(sources, found, strict=True):
        expected = generated(
            backbone, source, CAP, num_beams=beams, early_stopping=False, length_penalty=penalty
        )
        assert decoded.output == [token for token in expected if token != EOS]
        assert decoded.finished == (expected[-1] == EOS)
        assert decoded.warmup == []
        assert not decoded.forced
    greedy, _ = search(backbone, sources, beams=1)
    assert [d.output for d in greedy] != [d.output for d in found]
    assert len({len(d.output) for d in found}) > 1


def log_y(reference, source, prefix, y):
    """log p(y | x, prefix) in fp64, y with its eos or cut."""
    written = [*prefix, *y]
    logp = reference.logits(source, written)[len(prefix) :].log_softmax(-1)
    return float(logp[range(len(y)), list(y)].sum())


@torch.no_grad()
@pytest.mark.parametrize("penalty", [0.0, 1.0, 3.0])
def test_a_search_wider_than_the_space_finds_the_best_of_all(tiny, penalty):
    """15 outputs of at most 3 tokens out of two, with eos, or cut; after ragged warmups."""
    sources = [source_of(tiny, content) for content in ([4, 5, 5, 4], [5], [4, 4], [5, 4, 5])]
    warmups = [[4], [], [5, 5], [4, 5]]
    found, _ = search(
        tiny, sources, warmups, warmup_cap=2, output_cap=3, beams=16, length_penalty=penalty, batch_size=64
    )
    reference = Reference(tiny)
    every = [[*y, EOS] for size in range(3) for y in itertools.product((4, 5), repeat=size)]
    every += [list(y) for y in itertools.product((4, 5), repeat=3)]
    assert len(every) == 15
    for source, c, decoded in zip(sources, warmups, found, strict=True):
        worth = [log_y(reference, source, [*c, SEPARATOR], y) / len(y) ** penalty for y in every]
        best = every[worth.index(max(worth))]
        assert [*decoded.output, *[EOS] * decoded.finished] == best
        assert (decoded.warmup, decoded.forced) == (c, len(c) == 2)


@pytest.mark.parametrize(("name", "seed"), [("t5", 10), ("llama", 6)])
def test_company_does_not_matter(name, seed):
    backbone = make(name, vocabulary=VOCABULARY, seed=seed)
    sources = inputs(backbone, 11)
    warmups = [list(range(4, 4 + i % 4)) for i in range(11)]
    together, flops = search(backbone, sources, warmups, batch_size=64)
    alone, same_flops = search(backbone, sources, warmups, batch_size=1)
    assert together == alone
    assert flops == pytest.approx(same_flops, rel=1e-12)
    assert [d.warmup for d in together] == warmups


def test_operations_are_counted_by_hand():
    """One input, a cap of 3 and no early end: 1 row predicts at first, then 2 rows twice."""
    counter = counting_costs(decoder_attention=10)
    backbone = make("llama", vocabulary=VOCABULARY, seed=6, costs=counter)
    source = source_of(backbone, [4, 5, 6])
    _, flops = search(backbone, [source], [[7, 8]], output_cap=3, beams=2)
    fed = 4 + 3 + 2 * 2  # prompt, warmup and separator, two beams for two steps
    pairs = 4 * 4 + 3 * (4 + 3) + 2 * 2 * (4 + 3 + 3 + 2)  # 4 d t (past + t) summed as Costs does
    assert flops == 2 * fed + 4 * 10 * pairs + 2000 * (1 + 2 + 2)
