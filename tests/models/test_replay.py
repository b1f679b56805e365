"""Loops that are captured once and replayed find what they find when they run as they are."""

from contextlib import contextmanager

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from tiny import EOS, PAD, make
from warmup_bench.decode.beam import beam_search
from warmup_bench.decode.loop import greedy
from warmup_bench.models import device, replay
from warmup_bench.models.base import Backbone
from warmup_bench.models.rollout import sample_warmups

TEXT = [4, 9, 5, 7, 5, 10, 4, 6]


class Tape(TorchDispatchMode):
    """What a CUDA graph is: the operators of a while, which later run again on the same memory."""

    def __init__(self):
        super().__init__()
        self.operators = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        self.operators.append((func, args, kwargs or {}, out))
        return out

    def replay(self):
        for func, args, kwargs, out in self.operators:
            again = func(*args, **kwargs)
            before, after = (x if isinstance(x, (tuple, list)) else [x] for x in (out, again))
            for old, new in zip(before, after, strict=True):
                if isinstance(old, torch.Tensor) and old.data_ptr() != new.data_ptr():
                    old.copy_(new)


@pytest.fixture(params=["t5", "llama"])
def model(request):
    backbone = make(request.param, vocabulary=12, seed=14)
    backbone.model.eval()
    return backbone


@pytest.fixture
def captured(monkeypatch):
    """The tapes of everything that is captured; this processor is taken for a GPU."""
    tapes = []

    @contextmanager
    def graph(tape, **_):
        tapes.append(tape)
        with tape:
            yield

    monkeypatch.setattr(device, "AHEAD", frozenset({"cpu"}))
    monkeypatch.setattr(Backbone, "captures", property(lambda backbone: backbone.stack.fixed))
    monkeypatch.setattr(torch.cuda, "graph_pool_handle", lambda: None)
    monkeypatch.setattr(torch.cuda, "CUDAGraph", Tape)
    monkeypatch.setattr(torch.cuda, "graph", graph)
    return tapes


def batches(backbone):
    """Three batches of one shape: other tokens, and other lengths behind the same padding."""
    for lengths in ((5, 2, 4), (3, 5, 5), (5, 5, 1)):
        rows = [[*TEXT[i : i + n - 1], EOS, *[PAD] * (5 - n)] for i, n in enumerate(lengths)]
        yield torch.tensor(rows), (torch.arange(5) < torch.tensor(lengths)[:, None]).long()


def sampled(backbone, number):
    with torch.no_grad():
        for source, mask in batches(backbone):
            state = backbone.encode(source, mask)
            uniforms = torch.rand((6, 5), generator=torch.Generator().manual_seed(number))
            drawn = sample_warmups(backbone, state, uniforms)
            yield drawn.tokens, drawn.lengths, drawn.ended, drawn.logp
            number += 1


def searched(backbone, number):
    with torch.no_grad():
        for source, mask in batches(backbone):
            state = backbone.encode(source, mask)
            yield beam_search(backbone, state, beams=3, length_penalty=float(number), output_cap=7)


def written(backbone, number):
    for lengths in ((5, 2, 4), (3, 5, 5), (5, 4, 1)):
        sources = [[*TEXT[: n - 1], EOS] for n in lengths]
        given = [[4], [5, 5], []] if number else None
        yield greedy(backbone, sources, warmup_cap=3, output_cap=6, given=given)


def listed(found):
    return [t.tolist() for t in found] if isinstance(found, tuple) else found


@pytest.mark.parametrize("number", [0, 1])
@pytest.mark.parametrize("work", [sampled, searched, written])
def test_a_replayed_loop_finds_the_same(model, captured, work, number, monkeypatch):
    replayed = [listed(found) for found in work(model, number)]
    assert len(captured) == 2  # the beginning and the step, once, for the second batch
    assert not model.graphs.problem
    monkeypatch.setattr(device, "AHEAD", frozenset())
    monkeypatch.setattr(Backbone, "captures", False)
    plain = [listed(found) for found in work(model, number)]
    if work is sampled:
        for one, other in zip(replayed, plain, strict=True):
            assert one[:3] == other[:3]
            assert one[3] == pytest.approx(other[3], abs=1e-5)
    else:
        assert replayed == plain
    assert plain[1] != plain[2]


def test_weights_that_have_moved_on_are_read_anew(model, captured):
    """The writer's merged weights are made of the model's at every beginning."""
    source, mask = next(batches(model))

    def drawn():
        with torch.no_grad():
            state = model.encode(source, mask)
            uniforms = torch.rand((6, 5), generator=torch.Generator().manual_seed(0))
            return sample_warmups(model, state, uniforms).logp

    first, second = drawn(), drawn()
    assert len(captured) == 2
    torch.testing.assert_close(second, first)
    for parameter in model.model.parameters():
        parameter.data += 0.1 * torch.sign(parameter.data)
    replayed = drawn()
    assert len(captured) == 2
    model.graphs.clear()
    torch.testing.assert_close(replayed, drawn())
    assert (replayed - first).abs().max() > 0.01


@pytest.mark.parametrize("error", [torch.OutOfMemoryError("CUDA out of memory."), RuntimeError("no\nhow")])
def test_what_cannot_be_captured_runs_as_it_is(model, captured, error, monkeypatch):
    expected = [listed(found) for found in sampled(model, 0)]
    model.graphs.clear()

    @contextmanager
    def graph(tape, **_):
        yield
        raise error

    monkeypatch.setattr(torch.cuda, "graph", graph)
    assert [listed(found) for found in sampled(model, 0)] == expected
    assert model.graphs.problem == str(error).splitlines()[0]


def test_only_the_loops_used_last_are_kept(model, captured, monkeypatch):
    monkeypatch.setattr(replay, "KEPT", 2)
    source, mask = next(batches(model))
    for cap in (2, 2, 3, 3, 4, 4, 3, 2):
        with torch.no_grad():
            sample_warmups(model, model.encode(source, mask), torch.rand(6, cap))
    assert len(captured) == 2 * 4  # 2, 3, 4, and 2 again, which had been let go
