"""Beam search for the output, cached and batched, with the numbers of transformers' ``generate``.

The search is that of ``generate(num_beams=k, do_sample=False, early_stopping=False)``: log-probabilities of
the whole vocabulary with the banned tokens at -inf afterwards, 2k candidates a step, of which those among
the first k may finish; a hypothesis is worth its summed log-probability over length**penalty, eos counted.
An input is over once its best running beam, at its present length, is worth no more than its worst
hypothesis. Inputs that are over leave the batch, and the cross-attention cache is never reordered.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from warmup_bench.decode.loop import Decoded, Written, gathered, longest_first, parts_of
from warmup_bench.models.base import Backbone
from warmup_bench.models.batching import encode_sources
from warmup_bench.models.costs import Meter
from warmup_bench.models.parallel import ALONE, RankGroup
from warmup_bench.models.state import State

CHECK_EVERY = 4
"""Steps between two looks at which inputs are over: one synchronisation with the device each."""


@dataclass(frozen=True, slots=True)
class Found:
    """The best hypothesis of each input, as lists over the inputs.

    Attributes:
        outputs: Ids without eos.
        finished: False where the output reached its cap.
        steps: Steps for which the input was searched.
    """

    outputs: list[list[int]]
    finished: list[bool]
    steps: list[int]


@torch.no_grad()
def beam_search(
    backbone: Backbone, state: State, *, beams: int, length_penalty: float, output_cap: int
) -> Found:
    """The best of ``beams`` hypotheses for each row of ``state``, which has read all that stands before y.

    Args:
        backbone: The model, in eval mode.
        state: One row an input, [inputs]; used up.
        beams: Hypotheses an input, k.
        length_penalty: Power of the length that a summed log-probability is divided by.
        output_cap: Most tokens of an output, its eos counted.
    """
    inputs, device, eos = state.rows, backbone.device, backbone.tokens.eos
    best = torch.full((inputs, beams), -torch.inf, device=device)  # hypotheses, best first
    texts = torch.full((inputs, beams, output_cap), eos, dtype=torch.long, device=device)
    steps = torch.zeros(inputs, dtype=torch.long, device=device)
    alive = torch.arange(inputs, device=device)  # the inputs that are still in the batch
    is_open = torch.ones(inputs, dtype=torch.bool, device=device)  # of those alive
    scores = torch.zeros((inputs, 1), device=device)  # of the running beams, [alive, 1 and then k]
    running, hidden, writer = texts[:, :1], state.hidden, None
    for step in range(output_cap):
        steps[alive] += is_open.long()
        values, parents, tokens = _candidates(backbone, hidden, scores, 2 * beams)
        sequences = _gather(running, parents)
        sequences[:, :, step] = tokens
        ends = tokens == eos
        length = float(step + 1) ** length_penalty
        # As in generate: an ending that is not among the first k candidates is lost.
        may_finish = (ends | (step + 1 == output_cap))[:, :beams] & is_open[:, None]
        new = (values[:, :beams] / length).masked_fill(~may_finish, -torch.inf)
        best[alive], kept = torch.cat([best[alive], new], dim=1).topk(beams)
        texts[alive] = _gather(torch.cat([texts[alive], sequences[:, :beams]], dim=1), kept)
        if step + 1 == output_cap:
            break
        scores, goes_on = values.masked_fill(ends, -torch.inf).topk(beams)
        running, tokens = _gather(sequences, goes_on), tokens.gather(1, goes_on)
        parents = parents.gather(1, goes_on)
        is_open &= scores[:, 0] / length > best[alive].amin(dim=1)
        if step % CHECK_EVERY == CHECK_EVERY - 1:
            stays = is_open.nonzero()[:, 0]
            if stays.numel() == 0:
                break
            if stays.numel() < alive.numel():
                alive, is_open, scores, running = alive[stays], is_open[stays], scores[stays], running[stays]
                tokens, parents = tokens[stays], parents[stays]
                if writer is None:
                    state = state.select(stays)
                else:
                    writer.keep(stays)
        if writer is None:  # the first step had one row an input
            writer = backbone.writer(state, beams)
        else:
            first = torch.arange(alive.shape[0], device=device)[:, None] * beams
            writer.follow((first + parents).flatten())
        writer.feed(tokens.flatten())
        hidden = writer.hidden
    outputs = [ids[: ids.index(eos)] if eos in ids else ids for ids in texts[:, 0].tolist()]
    return Found(outputs, [len(ids) < output_cap for ids in outputs], steps.tolist())


def _candidates(
    backbone: Backbone, hidden: Tensor, scores: Tensor, count: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Summed log-probability, parent beam and token of the best continuations, each [inputs, count]."""
    inputs, width = scores.shape
    banned = torch.tensor(backbone.tokens.banned_in_output, device=hidden.device, dtype=torch.long)
    logp = backbone.logits(hidden).float().log_softmax(dim=-1).index_fill(-1, banned, -torch.inf)
    vocabulary = logp.shape[-1]
    total = (logp.view(inputs, width, vocabulary) + scores[:, :, None]).flatten(1)
    missing = count - total.shape[1]  # a vocabulary smaller than the search is wide
    if missing > 0:
        total = torch.nn.functional.pad(total, (0, missing), value=-torch.inf)
    values, index = total.topk(count)
    return values, (index // vocabulary).clamp(max=width - 1), index % vocabulary


def _gather(sequences: Tensor, index: Tensor) -> Tensor:
    """Rows of [inputs, beams, length] by [inputs, picked], a copy."""
    return sequences.gather(1, index[:, :, None].expand(-1, -1, sequences.shape[2]))


def beam_outputs(
    backbone: Backbone,
    sources: Sequence[list[int]],
    warmups: Sequence[list[int]] | None,
    *,
    warmup_cap: int,
    output_cap: int,
    beams: int,
    length_penalty: float,
    batch_size: int,
    dtype: str,
    report: Callable[[int, int], None],
    group: RankGroup = ALONE,
) -> tuple[list[Decoded], float]:
    """The output of beam search for every source and its warmup; None: on the direct path.

    Warmups of one length share a batch: they are read in one pass, and no row is padded between its parts.
    Returns what :func:`warmup_bench.decode.loop.decode_all` returns. ``batch_size`` counts beams.
    """
    backbone.model.eval()
    separator = backbone.tokens.separator
    prefixes = [[]] * len(sources) if warmups is None else [[*c, separator] for c in warmups]

    def work(picked: Sequence[int]) -> tuple[list[Written], float]:
        width = len(prefixes[picked[0]])
        with backbone.autocast(dtype), torch.no_grad():
            state = encode_sources(backbone, [sources[i] for i in picked])
            if width:
                read = torch.tensor([prefixes[i] for i in picked], device=backbone.device)
                backbone.advance(state, read)
            best = beam_search(
                backbone, state, beams=beams, length_penalty=length_penalty, output_cap=output_cap
            )
        cs = [prefixes[i][:-1] for i in picked]
        forced = [warmups is not None and len(c) >= warmup_cap for c in cs]
        lengths = np.array([len(sources[i]) for i in picked])
        meter = Meter(backbone.costs)
        meter.read(lengths)
        meter.search(lengths, width, np.array(best.steps), beams)
        return list(zip(cs, forced, best.outputs, best.finished, strict=True)), meter.flops

    by_prefix = defaultdict(list)  # by the length of what is read before the output
    for i in longest_first(sources):
        by_prefix[len(prefixes[i])].append(i)
    size = max(1, batch_size // beams)
    batches = [batch for order in by_prefix.values() for batch in parts_of(order, size)]
    written, flops = gathered(group, batches, work, report)
    return [Decoded(*row) for row in written], flops
