"""What a CPU can only imitate: real CUDA graphs, real waits, real kernels. Run with ``-m gpu`` on a GPU."""

import pytest
import torch

from tiny import EOS, draws_of, make, source_of
from warmup_bench.baselines import warmup
from warmup_bench.contracts.settings import Budget, Train, Warmup
from warmup_bench.decode.beam import beam_search
from warmup_bench.decode.loop import greedy
from warmup_bench.models.batching import Encoded, collate
from warmup_bench.models.device import repeatable
from warmup_bench.models.rollout import sample_warmups
from warmup_bench.train.loop import train
from warmup_bench.train.loss import batch_loss
from warmup_bench.train.objective import Objective
from warmup_bench.train.optimizer import make_optimizer, update
from warmup_bench.train.weights import Weights

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU"),
]
CONTENTS = [[4, 9, 5], [7, 5, 10, 4, 6], [8]]


@pytest.fixture(params=["t5", "llama"])
def pair(request):
    """The same model on the CPU and on the GPU."""
    here, there = (make(request.param, vocabulary=12, seed=14) for _ in range(2))
    there.model.to("cuda")
    for backbone in (here, there):
        backbone.model.eval()
    return here, there


def items_of(backbone):
    return [Encoded(source_of(backbone, c), [5, 4, EOS]) for c in CONTENTS]


def test_replayed_loops_find_what_a_cpu_finds(pair):
    found = []
    for backbone in pair:
        batch = collate(items_of(backbone), 0, backbone.device)
        sources = [item.source for item in items_of(backbone)]
        runs = []
        for _ in range(3):  # as they are, captured, replayed
            with torch.no_grad():
                state = backbone.encode(batch.source, batch.mask)
                uniforms = torch.rand((9, 6), generator=torch.Generator().manual_seed(1)).to(backbone.device)
                drawn = sample_warmups(backbone, state, uniforms)
                best = beam_search(backbone, state, beams=3, length_penalty=0.0, output_cap=8)
            written = [d.plain for d in greedy(backbone, sources, warmup_cap=4, output_cap=6)]
            runs.append((drawn.tokens.tolist(), drawn.ended.tolist(), best.outputs, written))
        assert runs[0] == runs[1] == runs[2]
        found.append(runs[0])
    assert not pair[1].graphs.problem
    assert found[0] == found[1]


def test_a_step_never_waits_for_the_gpu(pair):
    """PyTorch itself raises where a call would synchronise."""
    backbone = pair[1]
    weights = Weights(backbone, "bfloat16")
    optimizer = make_optimizer(weights.masters, Train(), 1e-3)
    objective = Objective(warmup.METHOD, Warmup(samples=4, max_tokens=6))
    batch = collate(items_of(backbone), 0, backbone.device)
    draws = draws_of(torch.rand((3, 4, 6))).to("cuda")
    for step in range(4):
        torch.cuda.set_sync_debug_mode("error" if step == 3 else "default")  # the first ones capture
        try:
            loss = batch_loss(backbone, batch, objective, draws)
            loss.value.backward()
            weights.collect()
            norm = update(optimizer, weights, loss.value.detach(), 1.0)
        finally:
            torch.cuda.set_sync_debug_mode("default")
    assert bool(norm.isfinite())


def test_losses_and_gradients_are_those_of_a_cpu(pair):
    objective = Objective(warmup.METHOD, Warmup(samples=5, max_tokens=3))
    draws = draws_of(torch.rand((3, 5, 3), generator=torch.Generator().manual_seed(2)))
    found = []
    for backbone in pair:
        batch = collate(items_of(backbone), 0, backbone.device)
        loss = batch_loss(backbone, batch, objective, draws.to(backbone.device))
        loss.value.backward()
        found.append([loss.value.detach().cpu(), *(p.grad.cpu() for p in backbone.model.parameters())])
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_deterministic_training_repeats_itself(dtype, tmp_path):
    def run():
        backbone = make("t5", vocabulary=12, seed=14)
        backbone.model.to("cuda")
        train(
            backbone,
            items_of(backbone) * 4,
            Objective(warmup.METHOD, Warmup(samples=4, max_tokens=5)),
            Train(batch_size=6, lr_warmup_steps=0, dtype=dtype),
            budget=Budget(steps=10),
            learning_rate=0.01,
            seed=3,
            log=tmp_path / "log.jsonl",
            report=lambda *_: None,
        )
        return [p.detach().cpu() for p in backbone.model.parameters()]

    with repeatable():
        assert all(map(torch.equal, run(), run()))
