"""The parts that the layers of both families are made of."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import linear, rms_norm, scaled_dot_product_attention

from warmup_bench.models.lora import merged_weight

Pair = tuple[Tensor, Tensor]
"""Keys and values of a layer, each [rows, heads, tokens, size]."""


@dataclass(slots=True)
class Keys:
    """What the layers have read: ``own``, what stands before the row's next token, and the encoder's."""

    own: list[Pair]
    encoder: list[Pair]

    def map(self, f: Any) -> "Keys":
        """With ``f`` applied to every tensor."""
        return Keys(*([(f(k), f(v)) for k, v in pairs] for pairs in (self.own, self.encoder)))


def split_heads(x: Tensor, size: int) -> Tensor:
    """[rows, t, heads * size] as [rows, heads, t, size]."""
    return x.view(*x.shape[:2], -1, size).transpose(1, 2)


def normed(norm: Any, x: Tensor) -> Tensor:
    """Root mean square norm (Zhang and Sennrich 2019) by the module of either family."""
    return rms_norm(x, norm.weight.shape, norm.weight, norm.variance_epsilon)


def attend(q: Tensor, pair: Pair, mask: Tensor | None, scale: float, rate: float = 0.0) -> Tensor:
    """Attention with an additive mask, [rows, heads, queries, size]; without one, causal."""
    output: Tensor = scaled_dot_product_attention(
        q, *pair, attn_mask=mask, dropout_p=rate, is_causal=mask is None, scale=scale
    )
    return output


def hidden_from(visible: Tensor, dtype: torch.dtype) -> Tensor:
    """An additive mask: 0 where ``visible``, else -inf."""
    return torch.zeros(visible.shape, dtype=dtype, device=visible.device).masked_fill(~visible, -torch.inf)


def hidden_padding(source_mask: Tensor, dtype: torch.dtype) -> Tensor:
    """An additive mask over what inputs have read, [inputs, 1, 1, read]."""
    return hidden_from(source_mask.bool()[:, None, None], dtype)


@dataclass(frozen=True, slots=True)
class Linear:
    """Weight [out, in] and bias of one or several linear layers, one above the other."""

    weight: Tensor
    bias: Tensor | None

    @classmethod
    def of(cls, modules: Sequence[Any]) -> "Linear":
        """Those of linear modules that read the same; LoRA's are merged.

        Raises:
            TypeError: A module is of another kind.
        """
        parts = [merged_weight(module) for module in modules]
        if len(parts) == 1:
            return cls(*parts[0])
        biases = [bias for _, bias in parts if bias is not None]
        if biases and len(biases) < len(parts):
            raise TypeError("some have a bias and some have none")
        return cls(torch.cat([weight for weight, _ in parts]), torch.cat(biases) if biases else None)

    def __call__(self, x: Tensor) -> Tensor:
        """[rows, in] -> [rows, out]."""
        return linear(x, self.weight, self.bias)

    def add_to(self, x: Tensor, y: Tensor) -> Tensor:
        """x + self(y), [rows, out], in one operation."""
        sums = torch.addmm(x, y, self.weight.t())
        return sums if self.bias is None else sums + self.bias
