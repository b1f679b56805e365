"""Master weights in fp32 beside those that the layers compute with, in bfloat16."""

import json

import pytest
import torch

from tiny import make_llama, make_t5
from warmup_bench.baselines import sft
from warmup_bench.contracts.settings import Budget, Train, Warmup
from warmup_bench.models.batching import Encoded
from warmup_bench.train.loop import train
from warmup_bench.train.objective import Objective
from warmup_bench.train.weights import Weights

BF16 = torch.bfloat16


def test_in_fp32_there_is_one_set_of_weights(tiny):
    weights = Weights(tiny, "float32")
    assert all(a is b for a, b in zip(weights.masters, tiny.model.parameters(), strict=True))
    assert {p.data_ptr() for p in weights.named().values()} == {
        t.data_ptr() for t in (*tiny.model.parameters(), *tiny.model.buffers())
    }


def test_small_updates_add_up_in_the_masters_alone(tiny):
    """256 updates of 2^-10 on a weight of 1: each is lost in bfloat16, whose next number is 1 + 2^-7."""
    for parameter in tiny.model.parameters():
        parameter.data.fill_(1.0)
    buffers = {name: (b.dtype, b.clone()) for name, b in tiny.model.named_buffers()}
    weights = Weights(tiny, "bfloat16")
    optimizer = torch.optim.SGD(weights.masters, lr=2**-10)
    for _ in range(256):
        for parameter in tiny.model.parameters():
            assert parameter.dtype == BF16
            parameter.grad = torch.full_like(parameter, -1.0)
        weights.collect()
        assert all(p.grad is None for p in tiny.model.parameters())
        optimizer.step()
        weights.forget_gradients()
        weights.publish()
    assert all(bool((p == 1.25).all()) for p in (*weights.masters, *tiny.model.parameters()))
    weights.give_back()
    assert all(p.dtype == torch.float32 and bool((p == 1.25).all()) for p in tiny.model.parameters())
    assert buffers.keys() == dict(tiny.model.named_buffers()).keys()
    for name, buffer in tiny.model.named_buffers():
        assert buffer.dtype == buffers[name][0]
        assert torch.equal(buffer, buffers[name][1])


def test_gradients_of_micro_batches_add_up_in_fp32(tiny_t5):
    weights = Weights(tiny_t5, "bfloat16")
    layer = next(tiny_t5.model.parameters())
    for gradient in (1.0, 2**-10, 2**-10):
        layer.grad = torch.full_like(layer, gradient)
        weights.collect()
    assert float(weights.masters[0].grad.flatten()[0]) == 1 + 2**-9
    assert weights.masters[1].grad is None


@pytest.mark.parametrize("make", [make_t5, make_llama], ids=["t5", "llama"])
def test_a_training_in_bfloat16_learns_and_leaves_fp32(make, tmp_path):
    """It goes on from its checkpoint with the same numbers: what is stored are the masters."""
    items = [Encoded([4, 5, 1], [5, 4, 1]), Encoded([5, 5, 4, 1], [4, 1])] * 4

    def run(steps, name, checkpoints):
        backbone = make()
        settings = Train(batch_size=8, lr_warmup_steps=0, dtype="bfloat16", log_every=1, checkpoint_every=3)

        def stop(step, *_):
            if step == steps:
                raise KeyboardInterrupt

        log = tmp_path / f"{name}.jsonl"
        arguments = (backbone, items, Objective(sft.METHOD, Warmup()), settings)
        options = {"budget": Budget(steps=8), "learning_rate": 0.02, "seed": 3, "log": log, "report": stop}
        if steps is None:
            train(*arguments, **options, checkpoints=checkpoints)
            return backbone, [json.loads(line)["loss"] for line in log.read_text().splitlines()]
        with pytest.raises(KeyboardInterrupt):
            train(*arguments, **options, checkpoints=checkpoints)
        return None

    whole, losses = run(None, "whole", tmp_path / "a")
    assert losses[-1] < 0.85 * losses[0]
    assert {p.dtype for p in whole.model.parameters()} == {torch.float32}
    assert any(not torch.equal(p, p.to(BF16).float()) for p in whole.model.parameters())
    run(4, "stopped", tmp_path / "b")
    again, rest = run(None, "stopped", tmp_path / "b")
    assert rest == losses
    for one, other in zip(whole.model.parameters(), again.model.parameters(), strict=True):
        assert torch.equal(one, other)
