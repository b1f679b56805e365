"""Greedy inference: one cached loop in which every row writes its warmup, the separator and its output.

Rows need no padding between the parts: a row that has ended its warmup goes on with its output at once,
whatever the others do, so the numbers do not depend on the company a row has.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import accumulate
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from warmup_bench.models.base import Backbone
from warmup_bench.models.batching import encode_sources
from warmup_bench.models.costs import Meter
from warmup_bench.models.device import sent
from warmup_bench.models.parallel import ALONE, RankGroup
from warmup_bench.models.replay import Loop
from warmup_bench.models.state import State
from warmup_bench.models.token_logp import policy_logits

T = TypeVar("T")
CHECK_EVERY = 4
"""Tokens between two looks at which rows are done: one synchronisation with the device each."""
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
    state, room = encode_sources(backbone, sources), warmup_cap + 1 + output_cap
    inputs = []
    if given is not None:  # each row's warmup and separator, which stand in for what it would write
        closing = [backbone.tokens.separator] * (warmup_cap + 1)
        script = [[*c[:warmup_cap], *closing][: warmup_cap + 1] for c in given]
        inputs = [sent(torch.tensor(script), backbone.device)]
    begin = partial(_Greedy, backbone, warmup_cap, output_cap)
    loop = backbone.looped(begin, state, inputs, ("greedy", warmup_cap, output_cap))
    for step in range(1, room):
        if step % CHECK_EVERY == 0 and not loop.goes_on():
            break
        loop.step()
    gap = 1 if warmup_cap > 0 else 0
    columns = (t.tolist() for t in (loop.written, loop.c_length, loop.y_length, loop.forced, loop.finished))
    return [
        Decoded(ids[:c], was_forced, ids[c + gap : c + gap + y], was_finished)
        for ids, c, y, was_forced, was_finished in zip(*columns, strict=True)
    ]


class _Greedy(Loop):
    """Rows that write their warmup, the separator and their output.

    Attributes:
        written: Tokens, [inputs, most tokens], padded.
        c_length, y_length: How many of them are the warmup's and the output's, [inputs].
        forced: Where the warmup reached its cap, [inputs]; ``finished``: where the output has ended.
    """

    def __init__(
        self, backbone: Backbone, warmup_cap: int, output_cap: int, state: State, script: Tensor | None = None
    ) -> None:
        count, device, room = state.rows, state.hidden.device, warmup_cap + 1 + output_cap
        self.backbone, self.script = backbone, script
        self.warmup_cap, self.output_cap = warmup_cap, output_cap
        self.writer = backbone.writer(state, 1, room)
        self.written = torch.full((count, room), backbone.tokens.pad, dtype=torch.long, device=device)
        self.c_length, self.y_length = torch.zeros((2, count), dtype=torch.long, device=device)
        # What a row that is done writes is not counted.
        self.forced, self.finished, self._done = torch.zeros((3, count), dtype=torch.bool, device=device)
        self._in_warmup = torch.full((count,), warmup_cap > 0, device=device)
        self._alive = torch.arange(count, device=device)  # the writer's rows, as indices of the inputs
        self._position = torch.zeros(1, dtype=torch.long, device=device)
        self._token = torch.zeros(count, dtype=torch.long, device=device)
        self._write()

    def step(self) -> None:
        """See :meth:`Loop.step`."""
        self.writer.feed(self._token)
        self._write()

    def goes_on(self) -> bool:
        """Whether a row is not done; where nothing is captured, the others leave. Waits for the device."""
        kept = (~self._done[self._alive]).nonzero()[:, 0]
        if 0 < kept.numel() < self._alive.numel() and not self.backbone.captures:
            self.writer.keep(kept)
            self._alive, self._token = self._alive[kept], self._token[kept]
        return bool(kept.numel())

    def _write(self) -> None:
        tokens, alive, position = self.backbone.tokens, self._alive, self._position
        logits = self.backbone.logits(self.writer.hidden)
        phase, c_length, y_length = self._in_warmup[alive], self.c_length[alive], self.y_length[alive]
        if self.script is not None:
            next_c = self.script[alive, position.clamp(max=self.warmup_cap)]
        else:
            next_c = policy_logits(logits, tokens.banned_in_warmup).argmax(dim=-1)
        next_y = policy_logits(logits, tokens.banned_in_output).argmax(dim=-1)
        at_cap = phase & (c_length >= self.warmup_cap)
        token = torch.where(phase, torch.where(at_cap, tokens.separator, next_c), next_y)
        closes = phase & (token == tokens.separator)
        done = self._done[alive]
        in_output = ~phase & ~done
        ends = in_output & (token == tokens.eos)
        y_length += in_output & ~ends
        still = phase & ~closes
        self.written[alive, position] = token
        self.c_length[alive] = c_length + still
        self.y_length[alive] = y_length
        self.forced[alive] |= at_cap
        self.finished[alive] |= ends
        self._in_warmup[alive] = still
        self._done[alive] = done | ends | (~still & (y_length >= self.output_cap))
        self._token.copy_(token)
        self._position += 1


def decode_all(
    backbone: Backbone,
    sources: Sequence[list[int]],
    *,
    warmup_cap: int,
    output_cap: int,
    batch_size: int,
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
