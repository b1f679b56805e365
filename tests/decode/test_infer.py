"""The keys of ``decode`` on tiny models, against brute force with the independent reference."""

import numpy as np
import pytest
import torch
from talkers import CONTENTS, QUIETLY, VOCABULARY, Letters, sources_of

from tiny import ANSWER, EOS, PAD, SEPARATOR, Reference, counting_costs, make
from warmup_bench.contracts.errors import UserError
from warmup_bench.contracts.settings import Decode
from warmup_bench.decode import decode_all, infer
from warmup_bench.decode.beam import beam_outputs
from warmup_bench.decode.choice import by_minimum_bayes_risk, by_vote, derangement

WARMUP_CAP, OUTPUT_CAP, SEED = 3, 6, 5


def decoded(backbone, *, cap=WARMUP_CAP, given=None, seed=SEED, **keys):
    return infer(
        backbone,
        sources_of(backbone),
        Decode(max_tokens=OUTPUT_CAP, **{"batch_size": 16} | keys),
        warmup_cap=cap,
        seed=seed,
        given=given,
        **QUIETLY,
    )


def plain(backbone, cap):
    caps = {"warmup_cap": cap, "output_cap": OUTPUT_CAP}
    return decode_all(backbone, sources_of(backbone), batch_size=4, **caps, **QUIETLY)


def test_the_default_is_the_greedy_loop(talker):
    assert decoded(talker, batch_size=4) == plain(talker, WARMUP_CAP)


@pytest.mark.parametrize("beams", [1, 3])
def test_without_its_warmup_a_model_decodes_as_sft_does(talker, beams):
    ablated, flops = decoded(talker, warmup="none", beams=beams)
    assert (ablated, flops) == decoded(talker, cap=0, beams=beams)
    if beams == 1:
        assert ablated == plain(talker, 0)[0]
    assert all(d.warmup == [] for d in ablated)


@pytest.mark.parametrize("beams", [1, 3])
def test_shuffled_reads_the_greedy_warmup_of_another_input(talker, beams):
    warmups = [d.warmup for d in plain(talker, WARMUP_CAP)[0]]
    given = [warmups[i] for i in derangement(len(warmups), SEED)]
    found, flops = decoded(talker, warmup="shuffled", beams=beams)
    expected, reading = decoded(talker, given=given, beams=beams)
    assert found == expected
    assert [d.warmup for d in found] == given
    assert flops > reading  # writing the warmups is counted
    assert len({tuple(c) for c in warmups}) > 1


def test_beams_follow_the_greedy_warmups(talker):
    warmups = [d.warmup for d in plain(talker, WARMUP_CAP)[0]]
    search = {"beams": 4, "length_penalty": 0.5}
    caps = {"warmup_cap": WARMUP_CAP, "output_cap": OUTPUT_CAP}
    expected, _ = beam_outputs(
        talker, sources_of(talker), warmups, batch_size=99, **search, **caps, **QUIETLY
    )
    found, _ = decoded(talker, **search)
    assert found == expected
    assert [d.forced for d in found] == [d.forced for d in plain(talker, WARMUP_CAP)[0]]


class BruteForce:
    """One sequence at a time through the fp64 model, without cache."""

    def __init__(self, backbone, temperature):
        self.reference = Reference(backbone)
        self.temperature = temperature

    def drawn(self, source, prefix, draws, end, banned):
        """Inverse-CDF sampling after a prefix, until ``end`` or the draws are spent."""
        ids = []
        for u in draws.tolist():
            logits = self.reference.logits(source, [*prefix, *ids, PAD])[-1].clone()
            logits[banned] = -torch.inf
            cumulative = (logits / self.temperature).softmax(-1).cumsum(-1)
            token = int((cumulative <= u * cumulative[-1]).sum())
            if token == end:
                return ids
            ids.append(token)
        return ids

    def greedy(self, source, prefix):
        ids = []
        while len(ids) < OUTPUT_CAP:
            logits = self.reference.logits(source, [*prefix, *ids, PAD])[-1].clone()
            logits[[PAD, SEPARATOR, ANSWER]] = -torch.inf
            ids.append(int(logits.argmax()))
            if ids[-1] == EOS:
                break
        return tuple(ids)

    def log_y(self, source, prefix, y):
        logp = self.reference.logits(source, [*prefix, *y])[len(prefix) :].log_softmax(-1)
        return float(logp[range(len(y)), list(y)].sum())

    def warmups(self, source, draws):
        return [self.drawn(source, [], u, SEPARATOR, [PAD, EOS, ANSWER]) for u in draws]

    def outputs(self, source, draws):
        """Sampled on the direct path, with their eos unless cut."""
        found = [self.drawn(source, [], u, EOS, [PAD, SEPARATOR, ANSWER]) for u in draws]
        return [tuple(y) if len(y) == OUTPUT_CAP else (*y, EOS) for y in found]


def uniforms(samples, cap):
    generator = torch.Generator().manual_seed(SEED)
    return torch.rand(len(CONTENTS), samples, cap, generator=generator)


def bare(y):
    return [token for token in y if token != EOS]


@torch.no_grad()
@pytest.mark.parametrize(("samples", "temperature"), [(6, 1.0), (1, 1.0), (5, 0.7)])
def test_sampled_warmups_and_the_marginal_likelihood(talker, samples, temperature):
    found, _ = decoded(talker, warmup="sampled", samples=samples, temperature=temperature)
    brute = BruteForce(talker, temperature)
    several = later = 0
    for source, draws, d in zip(sources_of(talker), uniforms(samples, WARMUP_CAP), found, strict=True):
        cs = brute.warmups(source, draws)
        ys = [brute.greedy(source, [*c, SEPARATOR]) for c in cs]
        table = np.array([[brute.log_y(source, [*c, SEPARATOR], y) for c in cs] for y in ys])
        best = int(np.exp(table).mean(axis=1).argmax())
        under = int(table[best].argmax())
        assert d.output == bare(ys[best])
        assert d.finished == (ys[best][-1] == EOS)
        assert d.warmup == cs[under]
        assert d.forced == (len(cs[under]) == WARMUP_CAP)
        several += len(set(ys)) > 1
        later += ys[best] != ys[0]
    assert (several > 2 and later > 0) or samples == 1  # there was something to choose


@torch.no_grad()
@pytest.mark.parametrize(("select", "pick"), [("vote", by_vote), ("mbr", by_minimum_bayes_risk)])
def test_sampled_warmups_and_a_choice_by_text(talker, select, pick):
    found, _ = decoded(talker, warmup="sampled", samples=5, select=select)
    brute = BruteForce(talker, 1.0)
    for source, draws, d in zip(sources_of(talker), uniforms(5, WARMUP_CAP), found, strict=True):
        cs = brute.warmups(source, draws)
        outputs = [bare(brute.greedy(source, [*c, SEPARATOR])) for c in cs]
        best = pick([Letters().decode(y) for y in outputs])
        assert (d.warmup, d.output) == (cs[best], outputs[best])


@torch.no_grad()
@pytest.mark.parametrize("select", ["marginal", "vote", "mbr"])
def test_a_method_without_a_warmup_samples_outputs(talker, select):
    found, _ = decoded(talker, cap=0, warmup="sampled", samples=5, select=select, temperature=0.8)
    brute = BruteForce(talker, 0.8)
    ends = set()
    for source, draws, d in zip(sources_of(talker), uniforms(5, OUTPUT_CAP), found, strict=True):
        ys = brute.outputs(source, draws)
        texts = [Letters().decode(bare(y)) for y in ys]
        if select == "marginal":
            best = int(np.argmax([brute.log_y(source, [], y) for y in ys]))
        else:
            best = {"vote": by_vote, "mbr": by_minimum_bayes_risk}[select](texts)
        assert (d.warmup, d.forced, d.output) == ([], False, bare(ys[best]))
        assert d.finished == (ys[best][-1] == EOS)
        ends |= {y[-1] == EOS for y in ys}
    assert ends == {True, False}


KEYS = [
    {"warmup": "sampled", "samples": 4},
    {"warmup": "sampled", "samples": 4, "beams": 2, "select": "mbr"},
    {"warmup": "sampled", "samples": 4, "select": "vote", "cap": 0},
    {"warmup": "sampled", "samples": 4, "cap": 0},
    {"warmup": "shuffled", "beams": 2},
]


@pytest.mark.parametrize("keys", KEYS, ids=str)
def test_neither_batch_size_nor_repetition_changes_a_result(talker, keys):
    found, flops = decoded(talker, batch_size=64, **keys)
    for size in (5, 64):
        again, same_flops = decoded(talker, batch_size=size, **keys)
        assert again == found
        assert same_flops == pytest.approx(flops, rel=1e-12)


def test_the_seed_matters(talker):
    keys = {"warmup": "sampled", "samples": 1}
    assert decoded(talker, **keys)[0] != decoded(talker, seed=SEED + 1, **keys)[0]


def test_operations_of_sampling_and_scoring_are_counted_by_hand():
    """2 operations a token fed and 2000 a prediction, each pass reading every prompt once."""
    counter = counting_costs()
    backbone = make("llama", vocabulary=VOCABULARY, seed=6, costs=counter)
    brute = BruteForce(backbone, 1.0)
    fed = predicted = 0
    with torch.no_grad():
        for source, draws in zip(sources_of(backbone), uniforms(4, WARMUP_CAP), strict=True):
            prompt = len(source)
            cs = brute.warmups(source, draws)
            written = [min(len(c) + 1, WARMUP_CAP) for c in cs]
            fed += prompt + sum(w - 1 for w in written)
            predicted += sum(written)
            distinct = list(dict.fromkeys(map(tuple, cs)))
            ys = {c: brute.greedy(source, [*c, SEPARATOR]) for c in distinct}
            fed += sum(prompt + len(c) + 1 + len(y) - 1 for c, y in ys.items())
            predicted += sum(len(y) for y in ys.values())
            pairs = [(c, y) for y in set(ys.values()) for c in distinct]
            if len(pairs) > 1:
                fed += prompt + sum(len(c) + 1 + len(y) - 1 for c, y in pairs)
                predicted += sum(len(y) for _, y in pairs)
    _, flops = decoded(backbone, warmup="sampled", samples=4)
    assert flops == 2 * fed + 2000 * predicted


def test_one_input_has_no_other_warmup(talker):
    with pytest.raises(UserError, match="at least two"):
        infer(talker, sources_of(talker)[:1], Decode(warmup="shuffled"), warmup_cap=2, seed=0, **QUIETLY)


@pytest.mark.parametrize(
    ("keys", "warmup", "given", "key"),
    [
        ({"warmup": "sampled"}, "given", True, "decode.warmup=sampled"),
        ({"warmup": "none"}, "given", True, "decode.warmup=none"),
        ({"warmup": "shuffled"}, "given", True, "decode.warmup=shuffled"),
        ({"warmup": "sampled", "beams": 2}, "none", False, "decode.beams=2"),
    ],
)
def test_choices_that_make_no_sense(keys, warmup, given, key):
    with pytest.raises(UserError, match=key):
        Decode(**keys).check("mine", warmup, given=given)


def test_a_method_reads_only_the_keys_that_concern_it():
    assert Decode(warmup="shuffled", samples=3).read("none") == Decode()  # nothing to shuffle: as it is
    assert Decode(warmup="shuffled", samples=3).read("sampled") == Decode(warmup="shuffled")
    sampled = Decode(warmup="sampled", samples=3, select="vote", length_penalty=0.5)
    assert sampled.read("none") == Decode(warmup="sampled", samples=3, select="vote")
    assert Decode(beams=4, length_penalty=0.5).read("none") == Decode(beams=4, length_penalty=0.5)


@pytest.mark.parametrize("choice", ["greedy", "sampled", "none", "shuffled"])
def test_a_model_that_writes_its_own_warmups_has_every_choice(choice):
    Decode(warmup=choice, beams=4).check("mine", "sampled", given=False)
    Decode(warmup=choice, beams=4).check("oracle", "given", given=False)
