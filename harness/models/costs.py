"""Floating-point operations of a model, from its weights' shapes.

A multiply-add counts as two operations. One token costs 2 per weight that it meets in the forward pass and
twice that again in the backward pass (Kaplan et al. 2020, 2N and 6N), encoder and decoder counted apart,
plus 4 * width for every query-key pair of an attention layer (scores and weighted sum). Only real tokens
count, never padding: the ledger is about the method, not about the batching.
"""

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Union

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch import Tensor

IntArray = NDArray[np.int64]
Counts = Union[IntArray, "Tensor"]
"""Numbers of tokens, in an array or where a device has them: operations are counted there, and read later."""
_LORA = re.compile(r"\.(base_layer|lora_[AB]\..*)$")
"""What LoRA appends to the name of a layer that it adapts."""
BACKWARD = 3.0
"""Forward and backward together, as a multiple of the forward pass, where every weight is trained."""


@dataclass(frozen=True, slots=True)
class Costs:
    """Weights met by one token, by the kind of token, and attention widths (layers * heads * head size).

    Attributes:
        encoder: Weights that a source token meets in the encoder; 0 for decoder-only models.
        cross: Weights of the cross-attention's keys and values, met once a source token.
        decoder: Weights that a decoder token meets, without the head.
        head: Weights of the output projection, met where a prediction is read.
        encoder_attention, decoder_attention, cross_attention: Summed widths of the attention layers.
        parameters: All parameters of the model.
        trainable: Those that are trained.
        start: Tokens that a decoder reads before its first prediction.
        backward: Forward and backward together, as a multiple of the forward pass: frozen weights pass their
            gradient on and need none of their own.
    """

    encoder: int
    cross: int
    decoder: int
    head: int
    encoder_attention: int
    decoder_attention: int
    cross_attention: int
    parameters: int
    trainable: int
    start: int = 1
    backward: float = BACKWARD

    def encode(self, source: Counts) -> Any:
        """Forward operations of reading inputs of ``source`` tokens, [batch], up to the first prediction."""
        s = _exact(source)
        if self.encoder == 0:
            return (2 * self.decoder * s + 4 * self.decoder_attention * s * s).sum()
        per_input = 2 * (self.encoder + self.cross) * s + 4 * self.encoder_attention * s * s
        return per_input.sum() + self.advance(source, 0 * source + self.start, first=True)

    def advance(self, source: Counts, tokens: Counts, *, first: bool = False) -> Any:
        """Forward operations of feeding ``tokens`` to rows with ``source`` tokens, both [rows]."""
        s, t = _exact(source), _exact(tokens)
        past = s if self.encoder == 0 else 0 * s + (0 if first else self.start)
        self_attention = 4 * self.decoder_attention * t * (past + t)
        return (2 * self.decoder * t + self_attention + 4 * self.cross_attention * t * s).sum()

    def predict(self, positions: Any) -> Any:
        """Forward operations of reading the logits at a number of positions."""
        return 2.0 * self.head * _exact(positions)


@dataclass(slots=True)
class Meter:
    """Counts the operations of what is done with a model: training and decoding alike count with one.

    Attributes:
        costs: Of the model.
        flops: Counted so far, a number of the device where the counts are of one.
    """

    costs: Costs
    flops: Any = 0.0

    def read(self, source: Counts, times: float = 1.0) -> None:
        """Inputs of ``source`` tokens were encoded, [batch]; ``times``: a backward pass counts more."""
        self.flops += times * self.costs.encode(source)

    def write(self, source: Counts, fed: Counts, predicted: Any, times: float = 1.0) -> None:
        """Rows with inputs of ``source`` tokens were fed ``fed`` tokens, both [rows]; logits were read at
        ``predicted`` positions of all of them.
        """
        self.flops += times * (self.costs.advance(source, fed) + self.costs.predict(predicted))

    def search(self, source: Counts, width: int, steps: Counts, beams: int) -> None:
        """``width`` tokens were read behind each input, and ``steps`` steps of beam search followed, [batch].

        The first step predicts from one row an input, every later one from ``beams`` rows that were fed a
        token.
        """
        prefix, later = 0 * source + width, steps - 1
        read = self.costs.advance(source, prefix)
        searched = beams * (self.costs.advance(source, prefix + later) - read)
        self.flops += read + searched + self.costs.predict((1 + beams * later).sum())


def _exact(counts: Any) -> Any:
    """Counts in float64, in which products of them are exact."""
    return counts.double() if hasattr(counts, "double") else np.asarray(counts, dtype=np.float64)


def measure_costs(model: Any, *, start: int = 1) -> Costs:
    """Read :class:`Costs` off a transformers model (encoder-decoder or decoder-only)."""
    config = model.config
    head = model.get_output_embeddings()
    parameters = list(model.parameters())
    within_head = set(head.modules())
    counts = {"encoder": 0, "cross": 0, "decoder": 0}
    trained = head.weight.numel() if any(p.requires_grad for p in head.parameters()) else 0
    for path, module in model.named_modules():
        weight = module._parameters.get("weight")  # not what a LoRA layer shows as its own
        name = _LORA.sub("", path)
        if module in within_head or weight is None or weight.dim() != 2:
            continue
        if "mbedding" in type(module).__name__:
            continue
        trained += weight.numel() * weight.requires_grad
        if config.is_encoder_decoder and (name.startswith("encoder.") or ".encoder." in name):
            counts["encoder"] += weight.numel()
        elif ("EncDecAttention" in name or "encoder_attn" in name) and name.split(".")[-1] in {
            "k",
            "v",
            "k_proj",
            "v_proj",
        }:
            counts["cross"] += weight.numel()
        else:
            counts["decoder"] += weight.numel()
    heads = config.num_attention_heads
    size = getattr(config, "d_kv", None) or getattr(config, "head_dim", None) or config.hidden_size // heads
    decoder_layers = (
        getattr(config, "num_decoder_layers", None)
        or getattr(config, "decoder_layers", None)
        or config.num_hidden_layers
    )
    paired = config.is_encoder_decoder
    met = sum(counts.values()) + head.weight.numel()
    return Costs(
        encoder=counts["encoder"],
        cross=counts["cross"],
        decoder=counts["decoder"],
        head=head.weight.numel(),
        encoder_attention=config.num_hidden_layers * heads * size if paired else 0,
        decoder_attention=decoder_layers * heads * size,
        cross_attention=decoder_layers * heads * size if paired else 0,
        parameters=sum(p.numel() for p in parameters),
        trainable=sum(p.numel() for p in parameters if p.requires_grad),
        start=start,
        backward=BACKWARD - 1 + trained / met,
    )
