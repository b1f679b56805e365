"""What a GPU would be asked for does not grow: kernels a token, shapes, waits."""

import pytest
import torch
from benchmarks.counting import Operators, as_on_a_gpu, host_reads
from benchmarks.launches import step_reads, token_signatures
from benchmarks.models import EOS, SIZES, Size, make_llama, make_t5

from warmup_bench.baselines import sft, warmup
from warmup_bench.contracts.settings import Budget, Train, Warmup
from warmup_bench.models.batching import Encoded
from warmup_bench.train.loop import train
from warmup_bench.train.objective import Objective

DEEP = Size(width=16, heads=2, head_size=8, feed_forward=32, layers=6, vocabulary=64, batch=3)


@pytest.mark.parametrize(("make", "layers"), [(make_t5, 6), (make_llama, 12)])
def test_a_token_is_few_kernels_and_every_token_the_same(make, layers):
    tokens = token_signatures(make(DEEP), DEEP)
    assert len(tokens) == 15  # the first of 16 is drawn from what was read
    assert len(set(tokens)) == 1
    assert len(tokens[0]) <= 16 * layers  # 15.3 a layer


@pytest.mark.parametrize("make", [make_t5, make_llama])
def test_a_training_step_waits_for_nothing(make):
    backbone = make(SIZES["tiny"])
    with as_on_a_gpu():
        assert step_reads(backbone) == {}
    assert sum(step_reads(backbone).values()) > 10  # on a CPU, where reading is free, it looks


@pytest.mark.parametrize("method", [warmup.METHOD, sft.METHOD], ids=["warmup", "sft"])
@pytest.mark.parametrize("make", [make_t5, make_llama])
def test_a_training_waits_for_its_log_alone(make, method, tmp_path):
    """Of any number of steps between two lines, nothing is read; a new epoch's order is drawn on the CPU."""
    items = [Encoded([5, 6, 7][: 1 + i % 3], [8, 9, EOS][: 1 + i % 3]) for i in range(40)]
    reads = []
    for steps in (3, 8):
        settings = Train(batch_size=4, lr_warmup_steps=1, dtype="bfloat16", log_every=100)
        with as_on_a_gpu(), host_reads() as found:
            train(
                make(SIZES["tiny"]),
                items,
                Objective(method, Warmup(samples=3, max_tokens=4)),
                settings,
                budget=Budget(steps=steps),
                learning_rate=1e-3,
                seed=1,
                log=tmp_path / "log.jsonl",
                report=lambda *_: None,
            )
        reads.append(sum(found.values()))
    assert reads[0] == reads[1]


def test_what_is_counted():
    x = torch.arange(6.0).view(2, 3)
    with Operators() as counting:
        (x.t() @ x).relu_()
        x[:, 1:]
        x[x > 2]
    assert dict(counting.launched) == {"mm.default": 1, "relu_.default": 1, "gt.Scalar": 1, "index.Tensor": 1}
    assert dict(counting.sized) == {"index.Tensor": 1}
    with host_reads() as reads:
        assert bool(x.sum() > 1)
        x.nonzero()
        x[0].tolist()
    assert dict(reads) == {"_local_scalar_dense.default": 1, "nonzero.default": 1, "tolist": 1}
