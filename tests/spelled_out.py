"""Attention and dropout spelled out, in place of fused kernels and of chance."""

import torch


def dropout(x, p=0.5, training=True, inplace=False):
    """Scales by the place on the last axis: the same in every way of computing."""
    places = torch.arange(x.shape[-1]) % 5  # from the left: padding changes nothing
    return x * (0.6 + 0.2 * places).to(x.dtype) if training and p else x


def attention(q, k, v, attn_mask=None, dropout_p=0.0, is_causal=False, scale=None, enable_gqa=False):
    """Pairs that a mask hides are computed too."""
    if is_causal:
        attn_mask = torch.full((q.shape[2], k.shape[2]), -torch.inf).triu(1)
    shares = (q @ k.transpose(2, 3) * scale + attn_mask).softmax(-1)
    return dropout(shares, dropout_p, dropout_p > 0) @ v


def instead(monkeypatch):
    """Let both run in place of PyTorch's, in the harness and in transformers."""
    monkeypatch.setattr(torch.nn.functional, "dropout", dropout)
    monkeypatch.setattr(torch.nn.functional, "scaled_dot_product_attention", attention)
    monkeypatch.setattr("warmup_bench.models.stacks.attention.scaled_dot_product_attention", attention)
