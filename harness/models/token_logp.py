"""log p(token) at chosen positions, with little memory: the vocabulary is the largest thing in the score.

A row of mT5's logits has 250,112 numbers. Autograd's own chain of head, logsumexp and gather keeps several
copies of every row. Here the softmax is kept once where it is small, and is the gradient but for the token's
own entry; where it is large it lives block by block of the vocabulary, in the forward and again in the
backward pass, and each block of the head's gradient is written once.

PyTorch's ``linear_cross_entropy`` (2.13) and Liger Kernel's fused one compute their gradient in the forward
pass, where a row's coefficient is not known yet, and neither leaves out tokens that are banned.
"""

from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import linear
from torch.utils.checkpoint import checkpoint

from warmup_bench.models.base import Backbone
from warmup_bench.models.device import constant

KEPT = 2**25
"""Probabilities (positions x vocabulary) that are kept for the backward pass, 128 MiB in fp32."""
CHUNK = 2**24
"""Logits that a GPU holds in fp32 at once where there are more, 64 MiB."""
CACHED = 2**21
"""Those that a processor works on at once: few enough for its cache."""


def token_logp(
    backbone: Backbone,
    weight: Tensor | None,
    hidden: Tensor,
    tokens: Tensor,
    sampled: Tensor,
    banned: tuple[int, ...],
    temperature: float = 1.0,
) -> Tensor:
    """log p of each token, [positions], fp32.

    Args:
        backbone: For its head.
        weight: The head's, where logits are its product with hidden states, and nothing else.
        hidden: Hidden states, [positions, width].
        tokens: Token ids, [positions].
        sampled: Where the policy of :func:`policy_logits` is meant, [positions]; elsewhere the model's own.
        banned: Ids without probability under that policy.
        temperature: Its temperature.
    """
    if weight is not None:
        scaled = backbone.scaled(hidden)
        if temperature != 1.0:
            scaled = torch.where(sampled[:, None], scaled / temperature, scaled)
        values: Tensor = _HeadLogp.apply(scaled, weight, tokens, sampled, banned)  # type: ignore[no-untyped-call]
        return values

    def chunk(h: Tensor, t: Tensor, s: Tensor) -> Tensor:
        logits = backbone.logits(h)
        own = torch.where(s[:, None], policy_logits(logits, banned, temperature), policy_logits(logits))
        return own.log_softmax(dim=-1).gather(1, t[:, None]).squeeze(1)

    size = max(1, CHUNK // backbone.vocabulary)
    if tokens.shape[0] <= size:
        return chunk(hidden, tokens, sampled)
    pieces = zip(*(torch.split(t, size) for t in (hidden, tokens, sampled)), strict=True)
    return torch.cat([checkpoint(chunk, *piece, use_reentrant=False) for piece in pieces])


def policy_logits(logits: Tensor, banned: tuple[int, ...] = (), temperature: float = 1.0) -> Tensor:
    """Logits [..., vocabulary] of the sampled policy, fp32: banned ids at -inf, over the temperature."""
    scaled = logits.to(_precise(logits.dtype))
    if temperature != 1.0:
        scaled = scaled / temperature
    return scaled.index_fill(-1, constant(banned, logits.device), -torch.inf) if banned else scaled


def _precise(dtype: torch.dtype) -> torch.dtype:
    """fp32 at least."""
    return torch.promote_types(dtype, torch.float32)


def _ban(logits: Tensor, sampled: Tensor, banned: tuple[int, ...], start: int = 0) -> None:
    """Put -inf, in place, at the banned ids of sampled positions; the logits begin at id ``start``."""
    here = tuple(i - start for i in banned if start <= i < start + logits.shape[1])
    if here:
        ids = constant(here, logits.device)
        logits.index_copy_(1, ids, logits.index_select(1, ids).masked_fill_(sampled[:, None], -torch.inf))


class _HeadLogp(torch.autograd.Function):
    """The head, and log p(token) of its logits, [positions]."""

    @staticmethod
    def forward(
        ctx: Any, hidden: Tensor, weight: Tensor, tokens: Tensor, sampled: Tensor, banned: tuple[int, ...]
    ) -> Tensor:
        positions, vocabulary = tokens.shape[0], weight.shape[0]
        ctx.banned, ctx.shares = banned, None
        if positions * vocabulary > KEPT:
            values, norms = _by_blocks(hidden, weight, tokens, sampled, banned)
            ctx.save_for_backward(hidden, weight, tokens, sampled, norms)
            return values
        size = positions if hidden.is_cuda else max(1, CACHED // vocabulary)
        shares = torch.empty((positions, vocabulary), dtype=_precise(hidden.dtype), device=hidden.device)
        values = shares.new_empty(positions)
        for start in range(0, positions, size):
            part = slice(start, start + size)
            logits = shares[part]
            _product(hidden[part], weight, logits)
            _ban(logits, sampled[part], banned)
            logits.sub_(logits.amax(dim=1, keepdim=True))
            token = logits.gather(1, tokens[part, None])
            total = logits.exp_().sum(dim=1, keepdim=True)
            logits.div_(total)
            values[part] = (token - total.log_()).squeeze(1)
        ctx.save_for_backward(hidden, weight, tokens, sampled)
        ctx.shares = shares
        return values

    @staticmethod
    def backward(ctx: Any, outer: Tensor) -> tuple[Tensor | None, ...]:
        hidden, weight, tokens, sampled, *norms = ctx.saved_tensors
        weighed = (outer[:, None] * hidden).to(hidden.dtype)
        if ctx.shares is None:
            by_hidden, by_weight = _gradient_by_blocks(
                hidden, weight, tokens, sampled, norms[0], weighed, ctx.banned
            )
        else:
            at = tokens[:, None]
            own = ctx.shares.gather(1, at)
            ctx.shares.scatter_(1, at, own - 1)  # p - 1 at the token, exact also where p is near 1
            error = ctx.shares.to(hidden.dtype)
            by_hidden, by_weight = error @ weight, error.t() @ weighed
            ctx.shares.scatter_(1, at, own)  # a graph that is kept goes through here again
            by_weight.neg_()
        return (
            by_hidden.mul_(-outer[:, None]).to(hidden.dtype),
            by_weight.to(weight.dtype),
            None,
            None,
            None,
        )


def _product(hidden: Tensor, weight: Tensor, out: Tensor) -> None:
    """hidden @ weight.T into ``out``, [positions, rows of weight]."""
    if out.dtype == hidden.dtype:
        torch.mm(hidden, weight.t(), out=out)
    else:
        out.copy_(linear(hidden, weight))


def _blocks(positions: int, vocabulary: int, logits: int) -> list[slice]:
    """The vocabulary in blocks of few enough logits."""
    size = max(1, logits // max(1, positions))
    return [slice(start, min(start + size, vocabulary)) for start in range(0, vocabulary, size)]


def _by_blocks(
    hidden: Tensor, weight: Tensor, tokens: Tensor, sampled: Tensor, banned: tuple[int, ...]
) -> tuple[Tensor, Tensor]:
    """log p(token), and the log of the sum of exp(logits), both [positions]."""
    found = norms = None
    for block in _blocks(tokens.shape[0], weight.shape[0], CHUNK if hidden.is_cuda else CACHED):
        logits = linear(hidden, weight[block]).to(_precise(hidden.dtype))
        _ban(logits, sampled, banned, block.start)
        norm = logits.logsumexp(dim=1)
        place = tokens - block.start
        inside = (place >= 0) & (place < logits.shape[1])
        token = logits.gather(1, place.clamp(0, logits.shape[1] - 1)[:, None]).squeeze(1)
        norms = norm if norms is None else torch.logaddexp(norms, norm)
        found = token if found is None else torch.where(inside, token, found)
    assert found is not None and norms is not None  # a vocabulary has a block
    return found - norms, norms


def _gradient_by_blocks(
    hidden: Tensor,
    weight: Tensor,
    tokens: Tensor,
    sampled: Tensor,
    norms: Tensor,
    weighed: Tensor,
    banned: tuple[int, ...],
) -> tuple[Tensor, Tensor]:
    """(p - 1[token]) @ weight, [positions, width], and minus its transpose @ weighed, [vocabulary, width]."""
    by_hidden = torch.zeros_like(hidden, dtype=norms.dtype)
    by_weight = torch.empty_like(weight)
    for block in _blocks(tokens.shape[0], weight.shape[0], CHUNK if hidden.is_cuda else CACHED):
        logits = linear(hidden, weight[block]).to(norms.dtype)
        _ban(logits, sampled, banned, block.start)
        shares = logits.sub_(norms[:, None]).exp_()
        place = tokens - block.start
        inside = (place >= 0) & (place < shares.shape[1])
        one = inside.to(shares.dtype)[:, None]
        shares.scatter_add_(1, place.clamp(0, shares.shape[1] - 1)[:, None], -one)
        error = shares.to(hidden.dtype)
        by_hidden += error @ weight[block]
        torch.mm(error.t(), weighed, out=by_weight[block])
    return by_hidden, by_weight.neg_()
