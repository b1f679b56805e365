"""Every method on a tiny T5 and a tiny Llama: its gradient against autograd of -(A lc + B ly) in fp64.

A and B are made by the method from numbers of the reference; that they are the right ones for an objective is
proven on the toy.
"""

from dataclasses import replace

import pytest
import torch

from enumeration import CAP, Enumeration
from tiny import EOS, PAD, Reference, distance, gradients_of, make, warmups_of
from toy import rollout_of
from warmup_bench.contracts.method import Coefficients
from warmup_bench.contracts.registry import methods
from warmup_bench.contracts.resolve import resolve_method
from warmup_bench.contracts.settings import Warmup
from warmup_bench.models.batching import Encoded, collate
from warmup_bench.models.rollout import first_of_equals
from warmup_bench.train.loss import batch_loss
from warmup_bench.train.objective import Objective

NAMES = methods().names()
OPTIONS = ["warmup-jensen:kl=0.7", "warmup-garl:q=0", "warmup-garl:q=0.75", "warmup-em:q=0.75"]
DRAWN = torch.tensor([[0, 4, 1, 4], [6, 2, 2, 5]])
"""Two inputs' warmups, as indices of the enumeration: the empty one, some cut at the cap, repetitions."""
NOISE = torch.tensor([[0.7, 0.1, 0.95, 0.4], [0.3, 0.6, 0.2, 0.8]])


def test_all_methods_of_the_design_are_registered():
    warmups = ["vimco", "jensen", "garl", "em", "joint", "frozen"]
    controls = ["filler", "random", "shuffled", "oracle", "draft"]
    assert {"sft", "warmup", *(f"warmup-{name}" for name in warmups), *controls} <= set(NAMES)


@pytest.fixture(scope="module", params=["t5", "llama"])
def tiny(request):
    """As everywhere, but made once: no test here changes a weight."""
    return make(request.param)


@pytest.fixture(scope="module")
def inputs(tiny):
    return [Enumeration(tiny, [5, 4, 4], [4, 5]), Enumeration(tiny, [4], [5])]


@pytest.fixture(scope="module")
def other(tiny):
    """Another model of the same kind, for a frozen reference."""
    name = "t5" if tiny.architecture == "encoder-decoder" else "llama"
    return make(name, seed=1)


def loss_and_rows(tiny, inputs, method, frozen):
    """The harness's loss, and the warmup of each of its rows as an index, [batch, samples]; None: direct."""
    n = DRAWN.shape[1] if method.warmup == "sampled" else 1
    rows = None if method.warmup == "none" else DRAWN[:, :n]
    items = [Encoded(one.source, [*one.target, EOS]) for one in inputs]
    draws = torch.zeros(2, n, CAP + 1)
    if method.warmup == "given":
        items = [
            replace(item, warmup=one.every[int(row)])
            for item, one, row in zip(items, inputs, rows[:, 0], strict=True)
        ]
    if method.warmup == "sampled":
        uniforms = torch.stack([one.uniforms[row] for one, row in zip(inputs, rows, strict=True)])
        draws = torch.cat([uniforms, NOISE[..., None]], dim=2)
    tiny.model.train()
    objective = Objective(method, Warmup(samples=4, max_tokens=CAP), frozen)
    return batch_loss(tiny, collate(items, PAD, torch.device("cpu")), objective, draws), rows


def values_of(inputs, rows):
    """(lc, ly) by the reference, with their graphs."""
    if rows is None:
        ly = torch.stack([one.reference.log_direct(one.source, one.target)[None] for one in inputs])
        return torch.zeros_like(ly), ly
    pick = [(one.lc[row], one.ly[row]) for one, row in zip(inputs, rows, strict=True)]
    lc, ly = (torch.stack(values) for values in zip(*pick, strict=True))
    return lc, ly


@pytest.mark.parametrize("reference", [*NAMES, *OPTIONS])
def test_the_gradient_is_that_of_the_surrogate(tiny, inputs, other, reference):
    method = resolve_method(reference).value
    loss, rows = loss_and_rows(tiny, inputs, method, other if method.reference else None)
    loss.value.backward()
    ours = gradients_of(tiny)
    assert all(gradient.isfinite().all() for gradient in ours.values())

    # Two enumerations hold two copies of the model: their gradients add up.
    lc, ly = values_of(inputs, rows)
    lc_reference, distinct = None, None
    if rows is not None:
        warmups = [one.every[int(i)] for one, row in zip(inputs, rows, strict=True) for i in row]
        distinct = torch.tensor([[i not in row[:at] for at, i in enumerate(row)] for row in rows.tolist()])
        assert torch.equal(distinct, first_of_equals(warmups_of(warmups, CAP), rows.shape[1]))
        frozen = Reference(other)
        with torch.no_grad():
            theirs = [
                [frozen.log_c_and_y(one.source, one.every[int(i)], CAP, one.target)[0] for i in row]
                for one, row in zip(inputs, rows, strict=True)
            ]
        lc_reference = torch.tensor(theirs, dtype=torch.float64)
    noise = NOISE[:, : ly.shape[1]]
    independent = rollout_of(
        ly.detach(), lc.detach(), distinct=distinct, noise=noise, lc_reference=lc_reference
    )
    coefficients = method.coefficients(independent)
    value = -(coefficients.a * lc + coefficients.b * ly).sum()
    gradients = [each.reference.gradient(value) for each in inputs]
    total = {name: gradients[0][name] + gradients[1][name] for name in gradients[0]}
    assert distance(ours, total) < 5e-5
    assert float(loss.value.detach()) == pytest.approx(float(value.detach()), rel=1e-4)
    torch.testing.assert_close(loss.rollout.ly.double(), ly.detach(), atol=1e-5, rtol=0)
    torch.testing.assert_close(loss.rollout.lc.double(), lc.detach(), atol=1e-5, rtol=0)
    if method.reference:
        torch.testing.assert_close(loss.rollout.lc_reference.double(), lc_reference, atol=1e-5, rtol=0)
        assert float((lc_reference - lc.detach()).abs().min()) > 0.01  # it is another model's
        assert all(parameter.grad is None for parameter in other.model.parameters())
    else:
        assert loss.rollout.lc_reference is None


@pytest.mark.parametrize("reference", NAMES)
def test_a_method_is_a_pure_function_of_its_rollout(reference):
    method = resolve_method(reference).value
    n = 4 if method.warmup == "sampled" else 1
    generator = torch.Generator().manual_seed(0)
    ly, lc = (-torch.rand(3, n, generator=generator) * 5 for _ in range(2))
    rollout = rollout_of(ly, lc, noise=torch.rand(3, n, generator=generator))
    kept = ly.clone(), lc.clone(), rollout.noise.clone()
    first, again = method.coefficients(rollout), method.coefficients(rollout)
    assert isinstance(first, Coefficients)
    assert torch.equal(first.a, again.a)
    assert torch.equal(first.b, again.b)
    for now, before in zip((rollout.ly, rollout.lc, rollout.noise), kept, strict=True):
        assert torch.equal(now, before)


def test_a_penalty_without_its_reference_is_refused(tiny, inputs):
    method = resolve_method("warmup-jensen:kl=0.7").value
    with pytest.raises(ValueError, match="needs the frozen reference"):
        loss_and_rows(tiny, inputs, method, None)


@pytest.mark.parametrize("name", [name for name in NAMES if resolve_method(name).value.warmup == "given"])
def test_a_given_method_without_its_warmups_is_refused(tiny, inputs, name):
    method = resolve_method(name).value
    items = [Encoded(one.source, [*one.target, EOS]) for one in inputs]
    batch = collate(items, PAD, torch.device("cpu"))
    with pytest.raises(ValueError, match="holds none"):
        batch_loss(tiny, batch, Objective(method, Warmup(max_tokens=CAP)), torch.zeros(2, 1, CAP + 1))
