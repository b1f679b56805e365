"""Warmups or outputs drawn from the model for every input, with the sampler of training."""

import copy
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from warmup_bench.decode.loop import gathered, longest_first, parts_of
from warmup_bench.models.base import Backbone
from warmup_bench.models.batching import encode_sources
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
    group: RankGroup = ALONE,
) -> tuple[list[list[list[int]]], float]:
    """Draw warmups for every input.

    Args:
        backbone: The model.
        sources: Ids of the inputs.
        draws: Uniform draws, [inputs, n, cap]; a warmup has at most ``cap`` tokens.
        temperature: Sampling temperature.
        batch_size: Rows at once, the n of an input always together.
        group: The ranks that share the batches.

    Returns:
        The n warmups of each input, as ids (one of ``cap`` tokens did not end by itself), and the forward
        floating-point operations, each input encoded once.
    """
    backbone.model.eval()
    n, cap = draws.shape[1:]

    def work(picked: Sequence[int]) -> tuple[list[list[list[int]]], float]:
        state = encode_sources(backbone, [sources[i] for i in picked])
        rows = draws[picked].flatten(0, 1).to(backbone.device)
        warmups = sample_warmups(backbone, state, rows, temperature=temperature)
        counts = warmups.lengths.tolist()
        ids = [row[:length] for row, length in zip(warmups.tokens.tolist(), counts, strict=True)]
        lengths = np.array([len(sources[i]) for i in picked])
        # Each token drawn is a prediction, its end included; the last one is never fed back.
        predicted = np.minimum(np.array(counts) + 1, cap)
        meter = Meter(backbone.costs)
        meter.read(lengths)
        meter.write(lengths.repeat(n), predicted - 1, float(predicted.sum()))
        return [ids[place * n : (place + 1) * n] for place in range(len(picked))], meter.flops

    return gathered(group, parts_of(longest_first(sources), max(1, batch_size // n)), work)
