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
from functools import partial

import numpy as np
import torch
from torch import Tensor

from warmup_bench.decode.loop import CHECK_EVERY, Decoded, Written, gathered, longest_first, parts_of
from warmup_bench.models.base import Backbone
from warmup_bench.models.batching import encode_sources
from warmup_bench.models.costs import Meter
from warmup_bench.models.device import constant
from warmup_bench.models.parallel import ALONE, RankGroup
from warmup_bench.models.replay import Loop
from warmup_bench.models.state import State


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
    begin = partial(_BeamSearch, backbone, beams, length_penalty, output_cap)
    search = backbone.looped(begin, state, (), ("beam", beams, length_penalty, output_cap))
    for step in range(1, output_cap):
        if step % CHECK_EVERY == 0 and not search.goes_on():
            break
        search.step()
    eos, texts = backbone.tokens.eos, search.texts[:, 0].tolist()
    outputs = [ids[: ids.index(eos)] if eos in ids else ids for ids in texts]
    return Found(outputs, [len(ids) < output_cap for ids in outputs], search.steps.tolist())


class _BeamSearch(Loop):
    """The search of all inputs, and what it has found.

    Attributes:
        texts: Ids of the hypotheses, best first, [inputs, beams, most tokens]; eos behind their end.
        steps: Steps for which each input was searched, [inputs].
    """

    def __init__(
        self, backbone: Backbone, beams: int, length_penalty: float, output_cap: int, state: State
    ) -> None:
        inputs, device = state.rows, state.hidden.device
        self.backbone, self.beams = backbone, beams
        self.writer = backbone.writer(state, beams, output_cap)
        self.texts = torch.full(
            (inputs, beams, output_cap), backbone.tokens.eos, dtype=torch.long, device=device
        )
        self.steps = torch.zeros(inputs, dtype=torch.long, device=device)
        self._best = torch.full((inputs, beams), -torch.inf, device=device)  # of the hypotheses
        self._alive = torch.arange(inputs, device=device)  # the inputs that are still in the batch
        self._open = torch.ones(inputs, dtype=torch.bool, device=device)  # of those alive, as all below
        self._scores = torch.zeros((inputs, beams), device=device)  # of the running beams
        self._running, self._tokens = self.texts.clone(), self.texts[:, :, 0].clone()
        self._parents = torch.zeros_like(self._tokens)
        self._position = torch.zeros(1, dtype=torch.long, device=device)
        lengths = (float(length) ** length_penalty for length in range(1, output_cap + 1))
        self._lengths = constant(tuple(lengths), device, torch.float32)
        self._search(state.hidden, self._scores[:, :1])  # the first step has one row an input

    def step(self) -> None:
        """See :meth:`Loop.step`."""
        self.writer.follow(self._parents)
        self.writer.feed(self._tokens.flatten())
        self._search(self.writer.hidden, self._scores)

    def goes_on(self) -> bool:
        """Whether an input is not over; where nothing is captured, the others leave. Waits for the device."""
        stays = self._open.nonzero()[:, 0]
        if 0 < stays.numel() < self._alive.numel() and not self.backbone.captures:
            self.writer.keep(stays)
            for name in ("_alive", "_open", "_scores", "_running", "_tokens", "_parents"):
                setattr(self, name, getattr(self, name)[stays])
        return bool(stays.numel())

    def _search(self, hidden: Tensor, scores: Tensor) -> None:
        alive, beams = self._alive, self.beams
        self.steps[alive] += self._open
        values, parents, tokens = _candidates(self.backbone, hidden, scores, 2 * beams)
        sequences = _gather(self._running, parents)
        sequences.index_copy_(2, self._position, tokens[:, :, None])
        ends = tokens == self.backbone.tokens.eos
        length = self._lengths.index_select(0, self._position)
        # As in generate: an ending that is not among the first k candidates is lost.
        at_cap = self._position + 1 == self._lengths.shape[0]
        may_finish = (ends | at_cap)[:, :beams] & self._open[:, None]
        new = (values[:, :beams] / length).masked_fill(~may_finish, -torch.inf)
        best, kept = torch.cat([self._best[alive], new], dim=1).topk(beams)
        self._best[alive] = best
        self.texts[alive] = _gather(torch.cat([self.texts[alive], sequences[:, :beams]], dim=1), kept)
        running, goes_on = values.masked_fill(ends, -torch.inf).topk(beams)
        self._scores.copy_(running)
        self._running.copy_(_gather(sequences, goes_on))
        self._tokens.copy_(tokens.gather(1, goes_on))
        self._parents.copy_(parents.gather(1, goes_on))
        self._open &= running[:, 0] / length > best.amin(dim=1)
        self._position += 1


def _candidates(
    backbone: Backbone, hidden: Tensor, scores: Tensor, count: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Summed log-probability, parent beam and token of the best continuations, each [inputs, count]."""
    inputs, width = scores.shape
    banned = constant(backbone.tokens.banned_in_output, hidden.device)
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
        with torch.no_grad():
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
