"""Warmups or outputs drawn from the model for every input, with the sampler of training."""

import copy
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from warmup_bench.models.base import Backbone
from warmup_bench.models.batching import Encoded, collate
from warmup_bench.models.costs import Meter
from warmup_bench.models.parallel import ALONE, RankGroup
from warmup_bench.models.rollout import sample_warmups
from warmup_bench.models.state import SpecialTokens


def uniforms(inputs: int, samples: int, cap: int, seed: int) -> Tensor:
    """Uniform draws [inputs, samples, cap] on the CPU: an input's own, whatever its batch and device."""
    return torch.rand((inputs, samples, cap), generator=torch.Generator().manual_seed(seed))


def writing_outputs(backbone: Backbone) -> Backbone:
    """The same model for :func:`draw` to draw outputs: eos ends them as the separator ends a warmup."""
    tokens, twin = backbone.tokens, copy.copy(backbone)
    # What a warmup may not hold is then exactly what an output may not hold.
    barred = tokens.separator
    twin.tokens = SpecialTokens(
        pad=barred, eos=barred, separator=tokens.eos, never=tuple(tokens.banned_in_output)
    )
    return twin


@torch.no_grad()
def draw(
    backbone: Backbone,
    sources: Sequence[list[int]],
    draws: Tensor,
    *,
    temperature: float,
    batch_size: int,
    dtype: str,
    group: RankGroup = ALONE,
) -> tuple[list[list[list[int]]], float]:
    """Draw warmups for every input.

    Args:
        backbone: The model.
        sources: Ids of the inputs.
        draws: Uniform draws, [inputs, n, cap]; a warmup has at most ``cap`` tokens.
        temperature: Sampling temperature.
        batch_size: Rows at once, the n of an input always together.
        dtype: "float32" or "bfloat16".
        group: The ranks that share the batches.

    Returns:
        The n warmups of each input, as ids (one of ``cap`` tokens did not end by itself), and the forward
        floating-point operations, each input encoded once.
    """
    backbone.model.eval()
    tokens, device = backbone.tokens, backbone.device
    n, cap = draws.shape[1:]
    size = max(1, batch_size // n)
    order = sorted(range(len(sources)), key=lambda i: -len(sources[i]))

    def work(picked: list[int]) -> tuple[list[list[list[int]]], float]:
        batch = collate([Encoded(sources[i], [tokens.eos]) for i in picked], tokens.pad, device)
        with backbone.autocast(dtype):
            state = backbone.encode(batch.source, batch.mask)
            rows = draws[picked].flatten(0, 1).to(device)
            found = sample_warmups(backbone, state, rows, temperature=temperature)
        counts = found.lengths.tolist()
        ids = [row[:length] for row, length in zip(found.tokens.tolist(), counts, strict=True)]
        lengths = np.array([len(sources[i]) for i in picked])
        # Each token drawn is a prediction, its end included; the last one is never fed back.
        predicted = np.minimum(np.array(counts) + 1, cap)
        meter = Meter(backbone.costs)
        meter.read(lengths)
        meter.write(lengths.repeat(n), predicted - 1, float(predicted.sum()))
        return [ids[place * n : (place + 1) * n] for place in range(len(picked))], meter.flops

    batches = [order[start : start + size] for start in range(0, len(order), size)]
    found = group.spread(batches, work, lambda done: None)
    drawn = dict(zip(order, (of_input for rows, _ in found for of_input in rows), strict=True))
    return [drawn[i] for i in range(len(sources))], sum((flops for _, flops in found), 0.0)
