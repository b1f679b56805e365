"""The sampler and the teacher-forced score, against enumeration and plain forward passes."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from tiny import (
    ANSWER,
    CONTENT,
    EOS,
    PAD,
    SEPARATOR,
    Reference,
    batch_of,
    distance,
    every_warmup,
    gradients_of,
    source_of,
    warmups_of,
)
from warmup_bench.models import token_logp
from warmup_bench.models.rollout import Warmups, lay_out, no_warmups, sample_warmups, score
from warmup_bench.models.stacks.rows import Rows
from warmup_bench.models.token_logp import policy_logits

CAP = 2
TARGET = [5, 4, 4]


def scored(backbone, sources, targets, warmups, n, *, temperature=1.0):
    """(lc, ly) of given warmups, n a source, through the harness."""
    batch = batch_of(sources, targets)
    state = backbone.encode(batch.source, batch.mask)
    repeated = batch.target.repeat_interleave(n, 0), batch.target_lengths.repeat_interleave(n)
    sequences = lay_out(backbone, warmups, *repeated, direct=False)
    rows = Rows.regular(batch.size, n, batch.source.device)
    return score(backbone, state, sequences, rows, temperature=temperature)


def enumerated(backbone, sources, targets, *, temperature=1.0):
    """(lc, ly) of every warmup of every source, [sources, warmups]."""
    every = every_warmup(CAP)
    warmups = warmups_of(every * len(sources), CAP)
    lc, ly = scored(backbone, sources, targets, warmups, len(every), temperature=temperature)
    return lc.view(len(sources), -1), ly.view(len(sources), -1)


@pytest.mark.parametrize("temperature", [1.0, 0.6])
@torch.no_grad()
def test_enumerated_warmups_and_the_marginal_likelihood(tiny, temperature):
    sources = [source_of(tiny, content) for content in ([4, 5, 5, 4], [5], [4, 4])]
    targets = [TARGET, [4], []]
    lc, ly = enumerated(tiny, sources, targets, temperature=temperature)
    reference = Reference(tiny, temperature=temperature)
    # The seven warmups of at most two tokens out of two, those cut at the cap included.
    assert lc.shape == (3, 7)
    torch.testing.assert_close(lc.exp().sum(dim=1), torch.ones(3), atol=1e-5, rtol=0)
    for row, (source, target) in enumerate(zip(sources, targets, strict=True)):
        pairs = [reference.log_c_and_y(source, c, CAP, target) for c in every_warmup(CAP)]
        log_c, log_y = (torch.stack(values) for values in zip(*pairs, strict=True))
        torch.testing.assert_close(lc[row].double(), log_c, atol=1e-5, rtol=0)
        torch.testing.assert_close(ly[row].double(), log_y, atol=1e-5, rtol=0)
        ours, theirs = (lc[row] + ly[row]).exp().sum(), (log_c.exp() * log_y.exp()).sum()
        assert float(ours) == pytest.approx(float(theirs), rel=1e-5)


@torch.no_grad()
def test_a_forced_separator_is_not_scored_and_a_written_one_is(tiny):
    source = source_of(tiny, [4, 5])
    reference = Reference(tiny)
    lc, _ = scored(tiny, [source], [TARGET], warmups_of([[4], [4]], 2), 2)
    cut, _ = scored(tiny, [source], [TARGET], warmups_of([[4]], 1), 1)
    policy = reference.policy(reference.logits(source, [4, SEPARATOR]))
    assert float(cut[0]) == pytest.approx(float(policy[0, 4]), abs=1e-5)
    assert float(lc[0]) == pytest.approx(float(policy[0, 4] + policy[1, SEPARATOR]), abs=1e-5)


@torch.no_grad()
def test_the_direct_path_has_no_separator_and_no_warmup(tiny):
    sources, targets = [source_of(tiny, [4]), source_of(tiny, [5, 5, 4])], [TARGET, [4, 5]]
    batch = batch_of(sources, targets)
    state = tiny.encode(batch.source, batch.mask)
    none = no_warmups(2, torch.device("cpu"))
    sequences = lay_out(tiny, none, batch.target, batch.target_lengths, direct=True)
    lc, ly = score(tiny, state, sequences, Rows.regular(2, 1, batch.source.device))
    reference = Reference(tiny)
    assert lc.tolist() == [0.0, 0.0]
    expected = torch.stack([reference.log_direct(s, y) for s, y in zip(sources, targets, strict=True)])
    torch.testing.assert_close(ly.double(), expected, atol=1e-5, rtol=0)


lists = st.lists(st.integers(4, 9), max_size=4)


@given(st.lists(st.tuples(lists, lists, st.booleans()), min_size=1, max_size=5), st.booleans())
def test_lay_out_is_concatenation(rows, direct):
    from warmup_bench.models.state import SpecialTokens

    class Special:
        tokens = SpecialTokens(PAD, EOS, SEPARATOR)

    width = max(len(y) for _, y, _ in rows) + 1
    targets = torch.tensor([[*y, EOS] + [PAD] * (width - 1 - len(y)) for _, y, _ in rows])
    lengths = torch.tensor([len(y) + 1 for _, y, _ in rows])
    warmups = warmups_of([c for c, _, _ in rows], 4)
    ended = torch.tensor([e for *_, e in rows])
    warmups = Warmups(warmups.tokens, warmups.lengths, ended, warmups.logp)
    if direct:
        warmups = no_warmups(len(rows), torch.device("cpu"))
    sequences = lay_out(Special, warmups, targets, lengths, direct=direct)
    for i, (c, y, wrote_separator) in enumerate(rows):
        head = [] if direct else [*c, SEPARATOR]
        written = [*head, *y, EOS]
        row = sequences.tokens[i].tolist()
        assert row == written + [PAD] * (len(row) - len(written))
        in_c = 0 if direct else len(c) + wrote_separator
        assert sequences.in_warmup[i].nonzero().flatten().tolist() == list(range(in_c))
        assert sequences.in_target[i].nonzero().flatten().tolist() == list(range(len(head), len(written)))


def test_the_policy_bans_and_scales_in_fp32():
    logits = torch.tensor([[1.0, 2.0, 3.0, 4.0]], dtype=torch.bfloat16)
    policy = policy_logits(logits, (0, 2), temperature=2.0)
    assert policy.dtype == torch.float32
    assert policy.tolist() == [[-torch.inf, 1.0, -torch.inf, 2.0]]


@torch.no_grad()
def draws(backbone, source, uniforms, temperature=1.0):
    state = backbone.encode(torch.tensor([source]), torch.ones(1, len(source), dtype=torch.long))
    return sample_warmups(backbone, state, uniforms, temperature=temperature)


def as_lists(warmups):
    pairs = zip(warmups.tokens.tolist(), warmups.lengths.tolist(), strict=True)
    return [row[:length] for row, length in pairs]


@pytest.mark.parametrize("temperature", [1.0, 1.7])
def test_sampled_warmups_follow_the_enumerated_probabilities(tiny, temperature):
    source = source_of(tiny, [5, 4, 4])
    uniforms = torch.rand((20_000, CAP), generator=torch.Generator().manual_seed(1))
    sampled = [tuple(c) for c in as_lists(draws(tiny, source, uniforms, temperature))]
    every = [tuple(c) for c in every_warmup(CAP)]
    assert set(sampled) <= set(every)  # nothing but content: no eos, no pad, no separator inside c
    reference = Reference(tiny, temperature=temperature)
    with torch.no_grad():
        p = np.array([reference.log_c_and_y(source, list(c), CAP, [])[0].exp().item() for c in every])
    observed = np.array([sampled.count(c) for c in every])
    assert p.min() * 20_000 > 5  # the chi-square approximation holds
    assert stats.chisquare(observed, p * 20_000).pvalue > 0.01


def test_the_sampler_inverts_the_cumulative_distribution(tiny):
    source = source_of(tiny, [4, 5])
    grid = (torch.arange(40) + 0.5) / 40
    uniforms = torch.cartesian_prod(grid, grid)
    sampled = as_lists(draws(tiny, source, uniforms))
    reference = Reference(tiny)

    @torch.no_grad()
    def next_token(written, u):
        edges = reference.policy(reference.logits(source, [*written, PAD])[-1]).exp().cumsum(0).numpy()
        if np.abs(edges - u).min() < 1e-5:
            return None  # an edge: fp32 may fall on either side
        return int(np.searchsorted(edges, u, side="right"))

    first = {float(u): next_token([], float(u)) for u in grid}
    second = {(a, float(u)): next_token([a], float(u)) for a in CONTENT for u in grid}
    compared = 0
    for (u, v), c in zip(uniforms.tolist(), sampled, strict=True):
        one = first[u]
        two = None if one in (SEPARATOR, None) else second[one, v]
        if one == SEPARATOR:
            assert c == []
        elif two is not None:
            assert c == ([one] if two == SEPARATOR else [one, two])
        compared += one == SEPARATOR or two is not None
    assert compared > 1500


def test_the_smallest_and_the_largest_uniform_draw_an_allowed_token(tiny):
    source = source_of(tiny, [4, 5])
    extremes = torch.tensor([[0.0, 0.0], [1 - 2**-24, 1 - 2**-24]])
    warmups = draws(tiny, source, extremes)
    # The separator is the first allowed id, and pad and eos before it have no share of [0, 1).
    assert as_lists(warmups) == [[], [CONTENT[-1], CONTENT[-1]]]
    assert warmups.ended.tolist() == [True, False]
    assert warmups.logp.isfinite().all()


@pytest.mark.parametrize("temperature", [1.0, 0.5, 2.0])
def test_log_probabilities_of_the_sampler_equal_the_teacher_forced_ones(tiny, temperature):
    sources = [source_of(tiny, content) for content in ([4], [5, 4, 5, 5], [4, 4])]
    batch = batch_of(sources, [[4], [5, 5], []])
    n, cap = 40, 6
    uniforms = torch.rand((3 * n, cap), generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        state = tiny.encode(batch.source, batch.mask)
        warmups = sample_warmups(tiny, state, uniforms, temperature=temperature)
        lc, _ = scored(tiny, sources, [[4], [5, 5], []], warmups, n, temperature=temperature)
    assert warmups.ended.any()
    assert not warmups.ended.all()
    assert len(set(warmups.lengths.tolist())) > 3
    torch.testing.assert_close(warmups.logp, lc, atol=1e-5, rtol=0)
    assert not set(torch.cat([torch.tensor(c) for c in as_lists(warmups)]).tolist()) & {PAD, EOS, ANSWER, 2}


def tensors_of(state):
    keys = [t for pair in (*state.cache.own, *state.cache.encoder) for t in pair]
    return [state.hidden, state.source_mask, state.position, *keys]


def test_sampling_leaves_the_encoded_state_as_it_was(tiny):
    source = source_of(tiny, [4, 5])
    state = tiny.encode(torch.tensor([source]), torch.ones(1, len(source), dtype=torch.long))
    before = [t.detach().clone() for t in tensors_of(state)]
    sample_warmups(tiny, state, torch.rand(3, 4))
    after = tensors_of(state)
    assert len(after) == len(before) > 5
    assert all(torch.equal(a, b) for a, b in zip(after, before, strict=True))


@torch.no_grad()
def test_padding_and_company_change_no_number(tiny):
    sources = [source_of(tiny, content) for content in ([4, 5], [5, 4, 4, 5, 5, 4, 4], [5])]
    targets = [[4], [5, 5, 4, 4, 5, 4], []]
    lc, ly = enumerated(tiny, sources, targets)
    for row, (source, target) in enumerate(zip(sources, targets, strict=True)):
        alone_c, alone_y = enumerated(tiny, [source], [target])
        torch.testing.assert_close(lc[row], alone_c[0], atol=1e-5, rtol=0)
        torch.testing.assert_close(ly[row], alone_y[0], atol=1e-5, rtol=0)
    order = [2, 0, 1]
    moved_c, moved_y = enumerated(tiny, [sources[i] for i in order], [targets[i] for i in order])
    torch.testing.assert_close(moved_c, lc[order], atol=1e-5, rtol=0)
    torch.testing.assert_close(moved_y, ly[order], atol=1e-5, rtol=0)


def test_gradients_through_the_shared_encoding_equal_those_of_rows_apart(tiny):
    sources, targets = [source_of(tiny, [4, 5, 5]), source_of(tiny, [5])], [TARGET, [4]]
    every = every_warmup(CAP)
    n = len(every)
    weights = torch.linspace(-1, 2, 4 * n).view(2, -1)  # of lc and of ly
    lc, ly = scored(tiny, sources, targets, warmups_of(every * 2, CAP), n)
    (weights[0] * lc + weights[1] * ly).sum().backward()
    shared = gradients_of(tiny)

    for i, (source, target) in enumerate(zip(sources, targets, strict=True)):
        for j, c in enumerate(every):
            lc, ly = scored(tiny, [source], [target], warmups_of([c], CAP), 1)
            k = i * n + j
            (weights[0, k] * lc + weights[1, k] * ly).sum().backward()
    apart = gradients_of(tiny)

    reference = Reference(tiny)
    total = 0
    for i, (source, target) in enumerate(zip(sources, targets, strict=True)):
        for j, c in enumerate(every):
            log_c, log_y = reference.log_c_and_y(source, c, CAP, target)
            total = total + weights[0, i * n + j] * log_c + weights[1, i * n + j] * log_y
    plain = reference.gradient(total)

    assert distance(shared, apart) < 1e-5
    assert distance(shared, plain) < 5e-5
    if tiny.architecture == "encoder-decoder":
        encoder = [g for name, g in shared.items() if name.startswith("encoder.") and g.dim() == 2]
        assert min(float(g.abs().max()) for g in encoder if g.shape[0] > 2) > 1e-4


BLOCKS = {"kept": {}, "pieces": {"CACHED": 9}, "blocks": {"KEPT": 1, "CACHED": 60}, "block": {"KEPT": 1}}
"""How the head goes about it: at once, a few rows at a time, and block by block of the vocabulary."""


@pytest.mark.parametrize("way", [*BLOCKS, "checkpointed"])
@pytest.mark.parametrize("temperature", [1.0, 0.6])
def test_log_probabilities_in_pieces_equal_those_at_once(tiny, monkeypatch, way, temperature):
    sources, targets = [source_of(tiny, [4, 5, 5]), source_of(tiny, [5])], [TARGET, [4]]
    warmups = warmups_of(every_warmup(CAP) * 2, CAP)

    def run():
        lc, ly = scored(tiny, sources, targets, warmups, 7, temperature=temperature)
        (lc.sum() + 2 * ly.sum()).backward()
        return lc.detach(), ly.detach(), gradients_of(tiny)

    whole = run()
    assert tiny.head_weight is not None
    for name, size in BLOCKS.get(way, {"CHUNK": 9}).items():
        monkeypatch.setattr(token_logp, name, size)
    if way == "checkpointed":  # a head with a bias or an adapter
        monkeypatch.setattr(type(tiny), "head_weight", None)
    pieces = run()
    torch.testing.assert_close(pieces[0], whole[0], atol=1e-5, rtol=0)
    torch.testing.assert_close(pieces[1], whole[1], atol=1e-5, rtol=0)
    assert distance(pieces[2], whole[2]) < 1e-5


@pytest.mark.parametrize("way", BLOCKS)
@pytest.mark.parametrize("banned", [(), (0, 3), (1,)])
def test_the_log_probability_of_a_token_and_its_gradient(banned, way, monkeypatch):
    """Against PyTorch's chain of head, ban, log-softmax and gather, and against finite differences."""
    for name, size in BLOCKS[way].items():
        monkeypatch.setattr(token_logp, name, size // 4)
    generator = torch.Generator().manual_seed(5)
    hidden, weight = (
        torch.randn(shape, generator=generator, dtype=torch.float64).requires_grad_()
        for shape in ((7, 3), (5, 3))
    )
    tokens, sampled = torch.tensor([2, 4, 2, 2, 1, 4, 0]), torch.tensor([1, 1, 0, 1, 0, 1, 0]).bool()

    def ours(h, w):
        return token_logp._HeadLogp.apply(h, w, tokens, sampled, banned)

    logits = hidden @ weight.t()
    own = torch.where(sampled[:, None], policy_logits(logits, banned), logits)
    expected = own.log_softmax(dim=-1).gather(1, tokens[:, None]).squeeze(1)
    torch.testing.assert_close(ours(hidden, weight), expected, atol=1e-12, rtol=0)
    assert torch.autograd.gradcheck(ours, (hidden, weight))


@pytest.mark.parametrize("way", BLOCKS)
def test_a_graph_that_is_kept_gives_its_gradient_twice(way, monkeypatch):
    for name, size in BLOCKS[way].items():
        monkeypatch.setattr(token_logp, name, size // 4)
    generator = torch.Generator().manual_seed(6)
    hidden, weight = (torch.randn(shape, generator=generator).requires_grad_() for shape in ((7, 3), (5, 3)))
    tokens, sampled = torch.tensor([2, 4, 2, 1, 4, 2, 3]), torch.zeros(7, dtype=torch.bool)
    total = token_logp._HeadLogp.apply(hidden, weight, tokens, sampled, ()).sum()
    first, second = (torch.autograd.grad(total, (hidden, weight), retain_graph=True) for _ in range(2))
    for one, other in zip(first, second, strict=True):
        assert torch.equal(one, other)
