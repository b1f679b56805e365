"""log p(token) at chosen positions, with little memory: the vocabulary is the largest thing in the score.

A row of mT5's logits has 250,112 numbers. Autograd's own chain of head, logsumexp and gather keeps several
copies of every row, and where the rows are cut into chunks, a gradient of the whole head for each. Here a
chunk's logits live only as long as they are needed, in the forward and again in the backward pass, and the
head's gradient is summed in one buffer.
"""

from functools import lru_cache
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import linear
from torch.utils.checkpoint import checkpoint

from warmup_bench.models.base import Backbone

CHUNK = 2**24
"""Logits (positions x vocabulary) that stand in fp32 at once, 64 MiB."""


def token_logp(
    backbone: Backbone, hidden: Tensor, tokens: Tensor, banned: tuple[int, ...], temperature: float = 1.0
) -> Tensor:
    """log p of each token under the policy of :func:`policy_logits`, [positions], fp32.

    Args:
        backbone: For its head.
        hidden: Hidden states, [positions, width].
        tokens: Token ids, [positions].
        banned: Ids without probability.
        temperature: Divides the logits.
    """
    size = max(1, CHUNK // backbone.vocabulary)
    if tokens.shape[0] <= size:
        return _token_logp(backbone.logits(hidden), tokens, banned, temperature)
    weight = backbone.head_weight
    if weight is not None:
        values: Tensor = _ChunkedLogp.apply(  # type: ignore[no-untyped-call]
            backbone.scaled(hidden), weight, tokens, banned, temperature, size
        )
        return values

    def chunk(h: Tensor, t: Tensor) -> Tensor:
        return _token_logp(backbone.logits(h), t, banned, temperature)

    pieces = zip(torch.split(hidden, size), torch.split(tokens, size), strict=True)
    return torch.cat([checkpoint(chunk, h, t, use_reentrant=False) for h, t in pieces])


@lru_cache(maxsize=64)
def _ids(ids: tuple[int, ...], device: torch.device) -> Tensor:
    """Ids on a device, copied there once."""
    return torch.tensor(ids, device=device, dtype=torch.long)


def policy_logits(logits: Tensor, banned: tuple[int, ...], temperature: float = 1.0) -> Tensor:
    """Logits [..., vocabulary] of the sampled policy, fp32: banned ids at -inf, over the temperature."""
    scaled = logits.to(torch.promote_types(logits.dtype, torch.float32))
    if temperature != 1.0:
        scaled = scaled / temperature
    return scaled.index_fill(-1, _ids(banned, logits.device), -torch.inf) if banned else scaled


def _token_logp(logits: Tensor, tokens: Tensor, banned: tuple[int, ...], temperature: float) -> Tensor:
    values: Tensor = _TokenLogp.apply(logits, tokens, banned, temperature)  # type: ignore[no-untyped-call]
    return values


def _policy(logits: Tensor, banned: tuple[int, ...], temperature: float) -> tuple[Tensor, Tensor]:
    """:func:`policy_logits`, in place where it can be, and their logsumexp, [positions, 1]."""
    scaled = logits.to(torch.promote_types(logits.dtype, torch.float32))
    if temperature != 1.0:
        scaled = scaled.div_(temperature)
    if banned:
        scaled.index_fill_(-1, _ids(banned, logits.device), -torch.inf)
    return scaled, scaled.logsumexp(dim=-1, keepdim=True)


def _gradient(scaled: Tensor, norm: Tensor, tokens: Tensor, outer: Tensor, temperature: float) -> Tensor:
    """Gradient by the logits, outer * (1[token] - p) / temperature, in one new tensor."""
    shares = (scaled - norm).exp_()
    shares.scatter_add_(1, tokens[:, None], shares.new_full((1, 1), -1.0).expand(len(tokens), 1))
    return shares.mul_(-outer[:, None] / temperature)


class _TokenLogp(torch.autograd.Function):
    """log p(token) of logits [positions, vocabulary] that the caller gives up: they change in place."""

    @staticmethod
    def forward(
        ctx: Any, logits: Tensor, tokens: Tensor, banned: tuple[int, ...], temperature: float
    ) -> Tensor:
        scaled, norm = _policy(logits, banned, temperature)
        ctx.save_for_backward(scaled, norm, tokens)
        ctx.temperature, ctx.dtype = temperature, logits.dtype
        return scaled.gather(1, tokens[:, None]).sub_(norm).squeeze(1)

    @staticmethod
    def backward(ctx: Any, outer: Tensor) -> tuple[Tensor, None, None, None]:
        scaled, norm, tokens = ctx.saved_tensors
        return _gradient(scaled, norm, tokens, outer, ctx.temperature).to(ctx.dtype), None, None, None


class _ChunkedLogp(torch.autograd.Function):
    """The head and :class:`_TokenLogp` in chunks of positions; nothing of a chunk is kept but its numbers."""

    @staticmethod
    def forward(
        ctx: Any,
        hidden: Tensor,
        weight: Tensor,
        tokens: Tensor,
        banned: tuple[int, ...],
        temperature: float,
        size: int,
    ) -> Tensor:
        values, norms = [], []
        for h, t in zip(torch.split(hidden, size), torch.split(tokens, size), strict=True):
            logits = linear(h, weight)
            ctx.dtype = logits.dtype  # autocast's, which the backward pass is run without
            scaled, norm = _policy(logits, banned, temperature)
            values.append(scaled.gather(1, t[:, None]).sub_(norm).squeeze(1))
            norms.append(norm)
        ctx.save_for_backward(hidden, weight, tokens, torch.cat(norms))
        ctx.settings = banned, temperature, size
        return torch.cat(values)

    @staticmethod
    def backward(ctx: Any, outer: Tensor) -> tuple[Tensor | None, ...]:
        hidden, weight, tokens, norms = ctx.saved_tensors
        banned, temperature, size = ctx.settings
        cast = weight.to(ctx.dtype)
        of_hidden = torch.empty_like(hidden) if ctx.needs_input_grad[0] else None
        of_weight = torch.zeros_like(weight) if ctx.needs_input_grad[1] else None
        for start in range(0, tokens.shape[0], size):
            part = slice(start, start + size)
            h = hidden[part].to(ctx.dtype)
            scaled, _ = _policy(linear(h, cast), banned, temperature)
            by_logits = _gradient(scaled, norms[part], tokens[part], outer[part], temperature).to(ctx.dtype)
            if of_hidden is not None:
                of_hidden[part] = (by_logits @ cast).to(hidden.dtype)
            if of_weight is not None:
                of_weight.addmm_(by_logits.t().to(weight.dtype), h.to(weight.dtype))
        return of_hidden, of_weight, None, None, None, None
