"""What a GPU would be asked for, counted on a CPU: kernels a token, waits in a training step, shapes.

A GPU that trains a small model waits for the processor, which sends one kernel at a time and stops wherever
it reads a number. Both can be counted without one. The norm counts as one operator: it is one kernel on a GPU
and six operators on a CPU.
"""

from collections.abc import Callable
from unittest.mock import patch

import torch

from benchmarks.counting import Operators, as_on_a_gpu, host_reads
from benchmarks.inputs import CAP, SAMPLES, draws, random_batch
from benchmarks.models import SIZES, Size, make_llama, make_t5
from benchmarks.record import Options, Record, judge
from warmup_bench.baselines import warmup
from warmup_bench.contracts.settings import Train, Warmup
from warmup_bench.models.base import Backbone
from warmup_bench.models.rollout import sample_warmups
from warmup_bench.models.stacks.base import Writer
from warmup_bench.models.stacks.choose import any_stack
from warmup_bench.train.loss import batch_loss
from warmup_bench.train.objective import Objective
from warmup_bench.train.optimizer import make_optimizer, update
from warmup_bench.train.weights import Weights

SIZE = "t5-small"


def measure(options: Options) -> list[Record]:
    """Records of a T5 and a Llama: kernels a token and layer, different steps, waits in a training step."""
    size = "tiny" if options.sizes == ("tiny",) else SIZE
    return [
        record
        for name, make in (("T5", make_t5), ("Llama", make_llama))
        for record in _counted(name, make, size)
    ]


def _counted(name: str, make: Callable[[Size], Backbone], size: str) -> list[Record]:
    backbone = make(SIZES[size])
    layers, ours = _layers(backbone), token_signatures(backbone, SIZES[size])
    backbone.stack = any_stack(backbone.model, backbone.start)
    theirs = token_signatures(backbone, SIZES[size])
    a_layer = len(ours[-1]) / layers
    different = [len(set(tokens)) for tokens in (ours, theirs)]
    tiny = make(SIZES["tiny"])  # how often a step waits does not depend on its size
    with as_on_a_gpu():
        reads = step_reads(tiny)
    waits = [sum(found.values()) for found in (reads, step_reads(tiny))]
    return [
        judge(
            f"kernels a sampled token and layer, through transformers, {name} {size}",
            a_layer,
            len(theirs[-1]) / layers,
            "kernels",
            ratio=a_layer,
            aim="<= 20",
            detail={"kernels_a_token": len(ours[-1]), "layers": layers},
        ),
        judge(
            f"shapes of a step over {CAP} tokens, through transformers, {name} {size}",
            *different,
            "shapes",
            ratio=different[0],
            aim="<= 1",
            detail={},
        ),
        judge(
            f"waits in a training step, as a CPU may, {name}",
            *waits,
            "reads",
            ratio=waits[0],
            aim="<= 0",
            detail=reads,
        ),
    ]


def _layers(backbone: Backbone) -> int:
    decoder = backbone.model.get_decoder()
    return len(getattr(decoder, "block", None) or decoder.layers)


def token_signatures(backbone: Backbone, size: Size) -> list[tuple[object, ...]]:
    """For every token that is fed while warmups are sampled: its operators with their shapes, in order."""
    batch, found = random_batch(size), []
    uniform = draws(size, torch.Generator().manual_seed(2))[..., :-1].flatten(0, 1)
    with as_on_a_gpu(), torch.no_grad():
        state = backbone.encode(batch.source, batch.mask)
        kind = type(backbone.writer(state, 1, 1))
        feed = kind.feed

        def counted(writer: Writer, tokens: torch.Tensor) -> None:
            counting.signature.clear()
            feed(writer, tokens)
            found.append(tuple(counting.signature))

        with patch.object(kind, "feed", counted), Operators() as counting:
            sample_warmups(backbone, state, uniform)
    return found


def step_reads(backbone: Backbone) -> dict[str, int]:
    """Host reads of a training step: loss, backward pass, clipping, optimiser."""
    size = SIZES["tiny"]
    batch, uniform = random_batch(size), draws(size, torch.Generator().manual_seed(2))
    objective = Objective(warmup.METHOD, Warmup(samples=SAMPLES, max_tokens=CAP))
    backbone.model.train()
    weights = Weights(backbone, "bfloat16")
    optimizer = make_optimizer(weights.masters, Train(), 1e-3)
    with host_reads() as reads:
        loss = batch_loss(backbone, batch, objective, uniform)
        loss.value.backward()
        weights.collect()
        update(optimizer, weights, loss.value.detach(), 1.0)
    weights.give_back()
    return dict(reads)
