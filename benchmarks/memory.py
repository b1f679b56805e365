"""Peak memory of a warmup training step with mT5's vocabulary, against the naive loss.

Both sides sample the same warmups with the harness, score them, weigh them and run backward; no optimiser,
whose state is the same for both. The naive loss is the usual one: the model's own forward pass over all B*n
rows, the whole vocabulary of every position in fp32, a log-softmax over all of it, and a gather. Each side
runs in a fresh process. Peaks are those of the process (resident memory) on a CPU, and those of PyTorch's
allocator on a GPU; the net figure leaves out what was there before the step: libraries and weights.
"""

import gc
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from benchmarks.inputs import CAP, SAMPLES, draws, random_batch
from benchmarks.models import SIZES, Size, make_t5, parameters
from benchmarks.process import run_fresh
from benchmarks.record import Options, Record, judge
from benchmarks.training_step import autocast, loss_by_hand
from warmup_bench.baselines import warmup
from warmup_bench.contracts.settings import Warmup
from warmup_bench.models.batching import Batch
from warmup_bench.models.families import EncoderDecoder
from warmup_bench.models.rollout import sample_warmups
from warmup_bench.train.ledger import peak_memory, process_memory, reset_peak_memory
from warmup_bench.train.loss import batch_loss
from warmup_bench.train.objective import Objective

VOCABULARY = 250_112
"""Rows of mT5's embedding (google/mt5-small's configuration)."""
BATCH = 16
"""Inputs: 64 rows of 41 tokens, whose logits are 2.4 GiB in fp32. Half the default batch of the harness, so
that the naive loss fits into 8 GiB."""
MIB = 2**20


def measure(options: Options) -> list[Record]:
    """A record of every size: the net peak of the two losses."""
    return [_compare(name, options) for name in options.sizes]


def large(name: str) -> Size:
    """A size with mT5's vocabulary (the tests' size keeps its own)."""
    if name == "tiny":
        return SIZES[name]
    return replace(SIZES[name], vocabulary=VOCABULARY, batch=BATCH)


def _compare(name: str, options: Options) -> Record:
    ours = run_fresh(peak, name, "ours", options)
    naive = run_fresh(peak, name, "naive", options)
    # Nearly the same: with 250,112 tokens so close together that rounding may draw a neighbour.
    if not abs(ours["loss"] - naive["loss"]) <= 1e-2 * abs(naive["loss"]):
        raise AssertionError(f"the two losses differ: {ours['loss']} and {naive['loss']}")
    size = large(name)
    return judge(
        f"net peak memory of a step, vocabulary of {size.vocabulary:,}, T5 {name}",
        ours["net"] / MIB,
        naive["net"] / MIB,
        "MiB",
        ratio=ours["net"] / naive["net"],
        aim="<= 0.15" if name != "tiny" else "",
        detail={"batch": size.batch, "samples": SAMPLES, "cap": CAP, "ours": ours, "naive": naive},
    )


def peak(name: str, loss: str, options: Options) -> dict[str, Any]:
    """Bytes of a step in this process, which must be a fresh one.

    Returns:
        ``before``: in use after the model was loaded; ``peak``: during the step; ``net``: their difference;
        ``gradients``: those of the weights, which any loss leaves behind; ``loss``: its value.

    Raises:
        AssertionError: The step needed no more than loading the model, so its peak can't be read.
    """
    torch.set_num_threads(1)
    size, device = large(name), options.device
    backbone, batch = make_t5(size, device=device), random_batch(size, device)
    backbone.model.train()
    uniform = draws(size, torch.Generator().manual_seed(2), device)
    step = {"ours": our_loss, "naive": naive_loss}[loss]
    if loss == "ours":
        backbone.compute_in(options.dtype)
    gc.collect()
    reset_peak_memory(device)
    before, loaded = in_use(device), peak_memory(device)
    with autocast(options if loss == "naive" else Options()):
        value = step(backbone, batch, uniform)
    value.backward()
    reached = peak_memory(device)
    if not reached > loaded:
        raise AssertionError(f"loading the model took {loaded} bytes, the step no more: enlarge the batch")
    gradients = sum(
        p.grad.numel() * p.grad.element_size() for p in backbone.model.parameters() if p.grad is not None
    )
    return {
        "before": before,
        "peak": reached,
        "net": reached - before,
        "gradients": gradients,
        "loss": float(value.detach()),
        "parameters": parameters(backbone.model),
    }


def in_use(device: str) -> int:
    """Bytes in use now: those that are allocated on a GPU, else those of this process in memory."""
    if device == "cuda":
        return torch.cuda.memory_allocated()
    return process_memory("VmRSS") or peak_memory(device)


def our_loss(backbone: EncoderDecoder, batch: Batch, uniform: Tensor) -> Tensor:
    """The harness's loss."""
    objective = Objective(warmup.METHOD, Warmup(samples=SAMPLES, max_tokens=CAP))
    return batch_loss(backbone, batch, objective, uniform).value


def naive_loss(backbone: EncoderDecoder, batch: Batch, uniform: Tensor) -> Tensor:
    """The loss of the same warmups by :func:`benchmarks.training_step.loss_by_hand`."""
    backbone.model.eval()
    with torch.no_grad():
        state = backbone.encode(batch.source, batch.mask)
        warmups = sample_warmups(backbone, state, uniform[..., :-1].flatten(0, 1))
        del state
    backbone.model.train()
    loss, *_ = loss_by_hand(backbone, batch, warmups.tokens)
    return loss
