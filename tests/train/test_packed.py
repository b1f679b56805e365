"""What rows share is read once, and equal warmups are scored once: the same loss and the same gradients.

The plainest way is the reference: every row has its own copy of its input's keys, nothing is merged, and
transformers runs the layers.
"""

import pytest
import torch
import transformers

import spelled_out
from tiny import EOS, draws_of, make, source_of
from warmup_bench.baselines import warmup
from warmup_bench.contracts.settings import Warmup
from warmup_bench.models import device
from warmup_bench.models.batching import Encoded, collate
from warmup_bench.models.stacks import rotary
from warmup_bench.models.stacks.choose import any_stack
from warmup_bench.train.loss import batch_loss
from warmup_bench.train.objective import Objective
from warmup_bench.train.rounds import Memory, Turn

pytestmark = pytest.mark.usefixtures("precise_norms")
SAMPLES, CAP = 6, 3
CPU = torch.device("cpu")
WAYS = {
    "packed": {},
    "packed, merged": {"merges": True},
    "packed, merged, part by part": {"merges": True, "at_once": 4},
    "packed, part by part": {"at_once": 4},
    "packed by twos": {"packed": 18},
    "micro-batches": {"inputs": 1, "merges": True},
    "copied, merged": {"stack": any_stack, "merges": True},
    "copied, part by part": {"stack": any_stack, "at_once": 4},
}


def loss_and_gradients(monkeypatch, name, dtype, dropout, *, stack=None, merges=False, at_once=None, **way):
    monkeypatch.setattr(device, "AHEAD", frozenset() if merges else frozenset({"cpu"}))
    monkeypatch.setattr(rotary, "PACKED", way.get("packed", 512))
    backbone = make(name, dropout=dropout, seed=3)
    if stack is not None:
        backbone.stack = stack(backbone.model, backbone.start)
    backbone.model.to(dtype).train()
    contents, targets = ([4, 5, 5], [5], [4, 4, 5, 5, 4]), ([5, 4, 4], [4], [])
    items = [Encoded(source_of(backbone, x), [*y, EOS]) for x, y in zip(contents, targets, strict=True)]
    draws = draws_of(torch.rand((3, SAMPLES, CAP), generator=torch.Generator().manual_seed(4)))
    objective = Objective(warmup.METHOD, Warmup(samples=SAMPLES, max_tokens=CAP, direct_weight=0.2))
    size, values, equal = way.get("inputs", 3), [], 0
    for start in range(0, 3, size):
        part = slice(start, start + size)
        batch = collate(items[part], 0, CPU)
        turn = Turn(1.0, range(3)[part], Memory(), at_once)
        loss = batch_loss(backbone, batch, objective, draws[part], dropout=dropout, turn=turn)
        loss.value.backward()
        values.append(loss.value.detach())
        equal += int((~loss.rollout.distinct).sum())
    assert equal > 3  # there was something to merge
    assert loss.rollout.ly.dtype == dtype
    return sum(values), {key: p.grad for key, p in backbone.model.named_parameters()}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(("name", "dropout"), [("t5", 0.0), ("t5", 0.3), ("llama", 0.0)])
@pytest.mark.parametrize("way", WAYS)
def test_every_way_has_the_same_loss_and_gradients(monkeypatch, way, name, dropout, dtype):
    if dropout:
        spelled_out.instead(monkeypatch)
    # transformers 4 takes T5's softmax in fp32.
    rough = dtype == torch.float32 or (name == "t5" and transformers.__version__.startswith("4."))
    tolerance = 1e-5 if rough else 1e-10
    plain = loss_and_gradients(monkeypatch, name, dtype, dropout, stack=any_stack)
    loss, gradients = loss_and_gradients(monkeypatch, name, dtype, dropout, **WAYS[way])
    torch.testing.assert_close(loss, plain[0], rtol=tolerance, atol=0)
    for key, expected in plain[1].items():
        scale = float(expected.abs().max())
        assert scale > 0, key
        torch.testing.assert_close(gradients[key], expected, atol=10 * tolerance * max(1.0, scale), rtol=0)
