"""The core that every method shares: sample warmups, then score [c ; sep ; y] in one teacher-forced pass.

The policy that is scored is the policy that sampled: softmax of logits / temperature over all tokens but
pad, eos and the decoder's start, no top-k, no top-p. A separator that the model wrote is part of c and is
scored; one that is forced at the cap is not. Everything is summed over tokens in fp32.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from warmup_bench.models.base import Backbone
from warmup_bench.models.device import waits
from warmup_bench.models.replay import Loop
from warmup_bench.models.stacks.rows import Rows
from warmup_bench.models.state import State
from warmup_bench.models.token_logp import policy_logits, token_logp

WHOLE = 2.0**44
"""Parts of a probability that a GPU counts."""
TOGETHER = 32
"""Rows of an input that read its keys together: each sees a mask over the slots of all."""


@dataclass(frozen=True, slots=True)
class Warmups:
    """Warmups, one a row.

    Attributes:
        tokens: [rows, cap], padded after a warmup's end; the separator is not among them.
        lengths: Tokens of each, [rows].
        ended: True where the model wrote the separator itself, [rows].
        logp: log p(c|x) as the sampler saw it, [rows], fp32.
    """

    tokens: Tensor
    lengths: Tensor
    ended: Tensor
    logp: Tensor

    def select(self, rows: Tensor) -> "Warmups":
        """The given rows, [k] indices."""
        return Warmups(self.tokens[rows], self.lengths[rows], self.ended[rows], self.logp[rows])

    def clone(self) -> "Warmups":
        """A copy."""
        return Warmups(self.tokens.clone(), self.lengths.clone(), self.ended.clone(), self.logp.clone())


def concatenate(parts: Sequence[Warmups]) -> Warmups:
    """The rows of all parts, which have one cap."""
    return Warmups(
        *(
            torch.cat([getattr(part, name) for part in parts])
            for name in ("tokens", "lengths", "ended", "logp")
        )
    )


@torch.no_grad()
def sample_warmups(
    backbone: Backbone, state: State, uniforms: Tensor, *, temperature: float = 1.0
) -> Warmups:
    """Draw warmups by inverting the cumulative distribution.

    Args:
        backbone: The model, in eval mode: dropout is off while sampling.
        state: The inputs after :meth:`Backbone.encode`, [inputs].
        uniforms: Uniform draws in [0, 1), [inputs * n, cap], the n rows of an input together; a warmup has at
            most ``cap`` tokens.
        temperature: Sampling temperature; the score uses the same.
    """
    begin = partial(_Sampling, backbone, temperature)
    sampling = backbone.looped(begin, state, [uniforms], ("sample", temperature))
    for _ in range(uniforms.shape[1] - 1):
        sampling.step()
    return sampling.drawn.clone()


class _Sampling(Loop):
    """Warmups that are being drawn, the first token by the constructor.

    Attributes:
        drawn: The warmups so far.
    """

    def __init__(self, backbone: Backbone, temperature: float, state: State, uniforms: Tensor) -> None:
        (rows, cap), device = uniforms.shape, uniforms.device
        self.backbone, self.uniforms, self.temperature = backbone, uniforms, temperature
        width = rows // state.rows
        together = max(k for k in range(1, min(width, TOGETHER) + 1) if width % k == 0)
        state = state if together == width else state.repeat(width // together)
        self.writer = backbone.writer(state, together, cap)
        self.drawn = Warmups(
            torch.full((rows, cap), backbone.tokens.pad, dtype=torch.long, device=device),
            torch.zeros(rows, dtype=torch.long, device=device),
            torch.zeros(rows, dtype=torch.bool, device=device),
            torch.zeros(rows, device=device),
        )
        self.token = torch.zeros(rows, dtype=torch.long, device=device)
        self.position = torch.zeros(1, dtype=torch.long, device=device)
        self._draw()

    def step(self) -> None:
        """Feed what was drawn last and draw each row's next token; one that has ended goes on unread."""
        self.writer.feed(self.token)
        self._draw()

    def _draw(self) -> None:
        """Draw the next token of every row."""
        tokens, drawn = self.backbone.tokens, self.drawn
        logits = self.backbone.logits(self.writer.hidden)
        shares = policy_logits(logits, tokens.banned_in_warmup, self.temperature).softmax(dim=-1)
        uniform = self.uniforms.index_select(1, self.position)
        if waits(shares.device):
            # A GPU sums in an order of its own; of whole numbers every order has the same, rising sums.
            cumulative = (shares.double() * WHOLE).long().cumsum(dim=-1)
            target = (uniform.double() * cumulative[:, -1:]).long()
        else:
            cumulative = shares.cumsum(dim=-1)
            target = uniform * cumulative[:, -1:]
        token = torch.searchsorted(cumulative, target, right=True).clamp_(max=shares.shape[-1] - 1)
        gain = shares.gather(1, token).squeeze(1).log_()
        self.token.copy_(token.squeeze(1))
        drawn.logp.add_(gain.masked_fill_(drawn.ended, 0.0))
        drawn.ended.logical_or_(self.token == tokens.separator)
        written = self.token.masked_fill(drawn.ended, tokens.pad)
        drawn.tokens.index_copy_(1, self.position, written[:, None])
        drawn.lengths.add_(~drawn.ended)
        self.position.add_(1)


def given_warmups(rows: Sequence[list[int]], cap: int, pad: int, device: torch.device) -> Warmups:
    """Warmups that a method gives; one shorter than the cap ends with a separator that is scored."""
    cut = [row[:cap] for row in rows]
    lengths = torch.tensor([len(row) for row in cut], device=device)
    tokens = torch.tensor([row + [pad] * (cap - len(row)) for row in cut], device=device)
    return Warmups(tokens.view(len(cut), cap), lengths, lengths < cap, torch.zeros(len(cut), device=device))


def first_equal(warmups: Warmups, n: int) -> Tensor:
    """Number of the first sample of the same input that is the same warmup, [batch, n]."""
    rows = torch.cat([warmups.tokens, warmups.lengths[:, None], warmups.ended[:, None].long()], dim=1)
    grid = rows.view(-1, n, rows.shape[1])
    return (grid[:, :, None] == grid[:, None]).all(dim=-1).int().argmax(dim=-1)


def first_of_equals(warmups: Warmups, n: int) -> Tensor:
    """True at the first of each set of equal warmups of an input, [batch, n]."""
    return first_equal(warmups, n) == torch.arange(n, device=warmups.lengths.device)


def merge_equals(warmups: Warmups, n: int) -> tuple[Tensor, Tensor]:
    """Rows to score so that each warmup of an input is scored once.

    Returns:
        The rows kept, [kept], and for every row the place of its equal among them, [batch * n].
    """
    first = first_equal(warmups, n)
    distinct = (first == torch.arange(n, device=first.device)).flatten()
    inputs = torch.arange(distinct.shape[0], device=distinct.device) // n
    place = distinct.cumsum(0) - 1
    return distinct.nonzero()[:, 0], place[inputs * n + first.flatten()]


def no_warmups(rows: int, device: torch.device) -> Warmups:
    """Empty warmups, for the direct path."""
    zeros = torch.zeros(rows, dtype=torch.long, device=device)
    return Warmups(zeros.new_zeros((rows, 0)), zeros, zeros.bool(), torch.zeros(rows, device=device))


@dataclass(frozen=True, slots=True)
class Sequences:
    """What the decoder is made to write, [rows, length], with the positions that each sum runs over."""

    tokens: Tensor
    in_warmup: Tensor
    in_target: Tensor


def lay_out(
    backbone: Backbone, warmups: Warmups, targets: Tensor, target_lengths: Tensor, *, direct: bool
) -> Sequences:
    """``c sep y eos`` in each row without inner padding, or ``y eos`` when ``direct``.

    Args:
        backbone: For its special tokens.
        warmups: The warmups of the rows.
        targets: Target ids with eos, right-padded, [rows, target].
        target_lengths: Their lengths with eos, [rows].
        direct: True for the path without a warmup and without a separator.
    """
    c_length, gap = warmups.lengths, 0 if direct else 1
    if waits(targets.device):
        length = warmups.tokens.shape[1] + gap + targets.shape[1]
    else:
        length = int((c_length + gap + target_lengths).max())
    position = torch.arange(length, device=targets.device).expand(targets.shape[0], length)
    start = (c_length + gap)[:, None]
    in_c = position < c_length[:, None]
    in_target = (position >= start) & (position < start + target_lengths[:, None])
    y = targets.gather(1, (position - start).clamp(0, targets.shape[1] - 1))
    tokens = torch.where(in_target, y, backbone.tokens.pad)
    if direct:
        return Sequences(tokens, torch.zeros_like(in_target), in_target)
    c = warmups.tokens.gather(1, position.clamp(max=warmups.tokens.shape[1] - 1))
    at_separator = position == c_length[:, None]
    tokens = torch.where(in_c, c, torch.where(at_separator, backbone.tokens.separator, tokens))
    return Sequences(tokens, in_c | (at_separator & warmups.ended[:, None]), in_target)


def score(
    backbone: Backbone, state: State, sequences: Sequences, rows: Rows, *, temperature: float = 1.0
) -> tuple[Tensor, Tensor]:
    """(lc, ly), each [rows] in fp32: summed log-probabilities of c under the sampled policy, and of y.

    One teacher-forced pass over ``sequences``, each of which continues an input of ``state``: what the rows
    of an input share, source or prompt, stands in memory once, in the forward and the backward pass.
    Logits are made once for every marked position; on a GPU for all: how many are marked is not known there.
    """
    tokens = sequences.tokens
    hidden = state.hidden.index_select(0, rows.of)[:, None]
    if tokens.shape[1] > 1:
        hidden = torch.cat([hidden, backbone.read(state, tokens[:, :-1], rows)], dim=1)
    in_warmup, in_target = sequences.in_warmup, sequences.in_target
    states, ids, sampled = hidden.flatten(0, 1), tokens.flatten(), in_warmup.flatten()
    picked = None if waits(tokens.device) else (in_warmup | in_target).flatten().nonzero()[:, 0]
    if picked is not None:
        states, ids, sampled = (t.index_select(0, picked) for t in (states, ids, sampled))
    banned = backbone.tokens.banned_in_warmup
    values = token_logp(backbone, state.head, states, ids, sampled, banned, temperature)
    if picked is not None:
        values = values.new_zeros(tokens.numel()).index_copy(0, picked, values)
    values = values.view(tokens.shape)
    lc, ly = (torch.where(part, values, 0.0).sum(dim=1) for part in (in_warmup, in_target))
    return lc, ly
