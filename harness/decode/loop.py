"""Greedy inference: one cached loop in which every row writes its warmup, the separator and its output.

Rows need no padding between the parts: a row that has ended its warmup goes on with its output at once,
whatever the others do, so the numbers do not depend on the company a row has.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import TypeVar

import numpy as np
import torch

from warmup_bench.models.base import Backbone
from warmup_bench.models.batching import encode_sources
from warmup_bench.models.costs import Meter
from warmup_bench.models.parallel import ALONE, RankGroup
from warmup_bench.models.token_logp import policy_logits

T = TypeVar("T")
Written = tuple[list[int], bool, list[int], bool]
"""What :class:`Decoded` is made of."""


@dataclass(frozen=True, slots=True)
class Decoded:
    """What was written for one input: ids of the warmup and of the output, without special tokens.

    Attributes:
        warmup: Ids of the warmup; empty on the direct path.
        forced: True where the warmup reached its cap.
        output: Ids of the output.
        finished: False where the output reached its cap.
    """

    warmup: list[int]
    forced: bool
    output: list[int]
    finished: bool

    @property
    def plain(self) -> Written:
        """The four in this order, for JSON."""
        return self.warmup, self.forced, self.output, self.finished


@torch.no_grad()
def greedy(
    backbone: Backbone,
    sources: Sequence[list[int]],
    *,
    warmup_cap: int,
    output_cap: int,
    given: Sequence[list[int]] | None = None,
) -> list[Decoded]:
    """The greedy warmup (at most ``warmup_cap`` tokens; 0: the direct path), then the greedy output.

    Where warmups are ``given``, they are read instead of written. At ``output_cap`` 0 a row ends with its
    warmup.
    """
    tokens, device, count = backbone.tokens, backbone.device, len(sources)
    writer = backbone.writer(encode_sources(backbone, sources))
    alive = torch.arange(count, device=device)  # the writer's rows, as indices of the inputs
    in_warmup = torch.full((count,), warmup_cap > 0, device=device)
    c_length, y_length = torch.zeros((2, count), dtype=torch.long, device=device)
    written = torch.full((count, warmup_cap + 1 + output_cap), tokens.pad, dtype=torch.long, device=device)
    # What a row that is done writes is not counted.
    forced, finished, done = torch.zeros((3, count), dtype=torch.bool, device=device)
    script = None
    if given is not None:  # each row's warmup and separator, which stand in for what it would write
        closing = [tokens.separator] * (warmup_cap + 1)
        script = torch.tensor([[*c[:warmup_cap], *closing][: warmup_cap + 1] for c in given], device=device)
    for step in range(written.shape[1]):
        logits = backbone.logits(writer.hidden)
        phase = in_warmup[alive]
        if script is not None:
            next_c = script[alive, min(step, warmup_cap)]
        else:
            next_c = policy_logits(logits, tokens.banned_in_warmup).argmax(dim=-1)
        next_y = policy_logits(logits, tokens.banned_in_output).argmax(dim=-1)
        at_cap = phase & (c_length[alive] >= warmup_cap)
        token = torch.where(phase, torch.where(at_cap, tokens.separator, next_c), next_y)
        written[alive, step] = token
        closes = phase & (token == tokens.separator)
        in_output = ~phase & ~done[alive]
        ends = in_output & (token == tokens.eos)
        c_length[alive] += (phase & ~closes).long()
        y_length[alive] += (in_output & ~ends).long()
        forced[alive] |= at_cap
        in_warmup[alive] = phase & ~closes
        finished[alive] |= ends
        done[alive] |= ends | (~in_warmup[alive] & (y_length[alive] >= output_cap))
        if step % 4 == 3 or step + 1 == written.shape[1]:  # one synchronisation every 4 tokens
            kept = (~done[alive]).nonzero()[:, 0]
            if kept.numel() == 0:
                break
            if kept.numel() < alive.numel():
                writer.keep(kept)
                alive, token = alive[kept], token[kept]
        writer.feed(token)
    gap = 1 if warmup_cap > 0 else 0
    columns = (tensor.tolist() for tensor in (written, c_length, y_length, forced, finished))
    return [
        Decoded(ids[:c], was_forced, ids[c + gap : c + gap + y], was_finished)
        for ids, c, y, was_forced, was_finished in zip(*columns, strict=True)
    ]


def decode_all(
    backbone: Backbone,
    sources: Sequence[list[int]],
    *,
    warmup_cap: int,
    output_cap: int,
    batch_size: int,
    dtype: str,
    report: Callable[[int, int], None],
    given: Sequence[list[int]] | None = None,
    group: RankGroup = ALONE,
) -> tuple[list[Decoded], float]:
    """Decode every input, longest first (so memory is asked for at once), and count the operations.

    The ranks of ``group`` share the batches.

    Returns:
        The outputs in the order of ``sources``, and the forward floating-point operations.
    """
    backbone.model.eval()

    def work(picked: Sequence[int]) -> tuple[list[Written], float]:
        with backbone.autocast(dtype):
            decoded = greedy(
                backbone,
                [sources[i] for i in picked],
                warmup_cap=warmup_cap,
                output_cap=output_cap,
                given=None if given is None else [given[i] for i in picked],
            )
        lengths = np.array([len(sources[i]) for i in picked])
        gap = 1 if warmup_cap > 0 else 0
        # The last token written, eos or the one at the cap, is never fed back.
        fed = np.array([len(d.warmup) + gap + len(d.output) - (not d.finished) for d in decoded])
        read = 0 if given is None else sum(len(d.warmup) + gap for d in decoded)  # nothing is predicted there
        meter = Meter(backbone.costs)
        meter.read(lengths)
        meter.write(lengths, fed, float((fed + 1).sum() - read))
        return [d.plain for d in decoded], meter.flops

    written, flops = gathered(group, parts_of(longest_first(sources), batch_size), work, report)
    return [Decoded(*row) for row in written], flops


def longest_first(sources: Sequence[list[int]]) -> list[int]:
    """Indices of the sources by falling length."""
    return sorted(range(len(sources)), key=lambda i: -len(sources[i]))


def parts_of(order: Sequence[int], size: int) -> list[Sequence[int]]:
    """Indices in batches of ``size``, the last one what is left."""
    return [order[start : start + size] for start in range(0, len(order), size)]


def gathered(
    group: RankGroup,
    batches: Sequence[Sequence[int]],
    work: Callable[[Sequence[int]], tuple[list[T], float]],
    report: Callable[[int, int], None] = lambda done, total: None,
) -> tuple[list[T], float]:
    """Results of batches of indices in the order of the indices, and the operations, from all ranks.

    Args:
        group: The ranks that share the batches.
        batches: Every index from 0 on in one of them.
        work: A result for each index of a batch, plain JSON, and the operations of all.
        report: Called with (results, all that there will be).
    """
    sizes = list(accumulate(map(len, batches)))
    results: dict[int, T] = {}
    flops = 0.0
    of_batches = group.spread(batches, work, lambda done: report(sizes[done - 1], sizes[-1]))
    for picked, (rows, spent) in zip(batches, of_batches, strict=True):
        results.update(zip(picked, rows, strict=True))
        flops += spent
    return [results[i] for i in range(len(results))], flops
