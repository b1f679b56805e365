"""A decoder-only warmup step with a long prompt: its keys once for all samples, against a copy for each.

The other side is how most code does it: the prompt's cache is repeated for every sample, and transformers'
own forward pass scores them. Both sides draw the same warmups with the same code.
"""

import gc
from collections.abc import Callable

import torch

from benchmarks.inputs import CAP, SAMPLES, draws, random_batch
from benchmarks.models import SIZES, make_llama
from benchmarks.process import run_fresh
from benchmarks.record import Options, Record, judge
from benchmarks.timing import interleave, timed
from warmup_bench.baselines import warmup
from warmup_bench.contracts.settings import Warmup
from warmup_bench.models.base import Backbone
from warmup_bench.models.stacks.any_family import AnyDecoderOnly
from warmup_bench.models.stacks.attention import Keys
from warmup_bench.models.stacks.base import Writer
from warmup_bench.models.stacks.rotary import RotaryStack
from warmup_bench.models.state import State
from warmup_bench.train.ledger import peak_memory, reset_peak_memory
from warmup_bench.train.loss import batch_loss
from warmup_bench.train.objective import Objective

PROMPT = 256
MIB = 2**20


class Copied(AnyDecoderOnly):
    """Rows that have copies of their prompt's keys while they are scored, and write as ours do."""

    def writer(self, state: State, width: int, room: int) -> Writer:
        """See :meth:`warmup_bench.models.stacks.base.Stack.writer`."""
        keys = Keys([(layer.keys, layer.values) for layer in state.cache.layers], [])
        ours = State(keys, state.hidden, state.source_mask, state.position)
        return RotaryStack(self.model, self.start).writer(ours, width, room)


def measure(options: Options) -> list[Record]:
    """Records of every size: seconds of a step, and its net peak of memory."""
    return [record for name in options.sizes for record in _compare(name, options)]


def _compare(name: str, options: Options) -> list[Record]:
    sides = {kind: _step(name, kind, options) for kind in ("packed", "copied")}
    losses = {kind: step() for kind, step in sides.items()}
    if not abs(losses["packed"] - losses["copied"]) <= 1e-2 * abs(losses["copied"]):
        raise AssertionError(f"the two losses differ: {losses}")
    times = interleave(
        {kind: timed(step, options.device) for kind, step in sides.items()}, options.rounds, options.device
    )
    net = {kind: run_fresh(net_peak, name, kind, options) for kind in sides}
    what = f"prompt of {PROMPT} tokens, once against a copy a sample, Llama {name}"
    return [
        judge(
            f"warmup step, {what}",
            times.median("packed"),
            times.median("copied"),
            times.unit,
            ratio=times.ratio("packed", "copied"),
            aim="<= 0.6",
            detail=times.detail("packed", "copied"),
        ),
        judge(
            f"its net peak memory, {what}",
            net["packed"] / MIB,
            net["copied"] / MIB,
            "MiB",
            ratio=net["packed"] / net["copied"],
            aim="<= 0.5",
            detail={"bytes": net},
        ),
    ]


def _step(name: str, kind: str, options: Options) -> Callable[[], float]:
    size = SIZES[name]
    backbone: Backbone = make_llama(size, device=options.device)
    if kind == "copied":
        backbone.stack = Copied(backbone.model, backbone.start)
    backbone.compute_in(options.dtype)
    backbone.model.train()
    batch = random_batch(size, options.device, length=PROMPT)
    objective = Objective(warmup.METHOD, Warmup(samples=SAMPLES, max_tokens=CAP))
    uniform = draws(size, torch.Generator().manual_seed(2), options.device)

    def step() -> float:
        loss = batch_loss(backbone, batch, objective, uniform)
        loss.value.backward()
        backbone.model.zero_grad()
        return float(loss.value.detach())

    return step


def net_peak(name: str, kind: str, options: Options) -> int:
    """Bytes that a step needs beyond what was in use before, in this process, which must be a fresh one."""
    torch.set_num_threads(1)
    step = _step(name, kind, options)
    gc.collect()
    reset_peak_memory(options.device)
    before = peak_memory(options.device)
    step()
    return peak_memory(options.device) - before
