"""Backbones by name: from-scratch configurations and pinned public checkpoints.

A preset is data; :mod:`harness.backbones.load` turns it into a model. Nothing heavy is imported here.
"""

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Preset:
    """How to make a backbone.

    Attributes:
        name: Name in tables and cell ids.
        summary: One line for ``warmup-bench list backbones``.
        architecture: "encoder-decoder" or "decoder-only".
        checkpoint: Hub id or local folder of a pretrained model; None: from scratch.
        revision: Pinned commit of the checkpoint on the hub.
        config: transformers configuration of a from-scratch model, with its ``model_type``.
        vocabulary: Size of the byte-level BPE vocabulary that a from-scratch model trains on its data.
        separator: Token that ends a warmup; None: the first reserved token that the tokenizer has.
        prompt_suffix: Text after the source in a decoder-only prompt of a pretrained model.
        settings: Defaults of the run spec for this backbone.
    """

    name: str
    summary: str
    architecture: str
    checkpoint: str | None = None
    revision: str | None = None
    config: dict[str, Any] = field(default_factory=dict)
    vocabulary: int = 2000
    separator: str | None = None
    prompt_suffix: str = "\n"
    settings: dict[str, Any] = field(default_factory=dict)


MINI_T5 = Preset(
    name="mini-t5",
    summary="T5 from scratch, 2+2 layers, width 128, about 1.2M parameters",
    architecture="encoder-decoder",
    config={
        "model_type": "t5",
        "d_model": 128,
        "d_kv": 32,
        "d_ff": 512,
        "num_layers": 2,
        "num_decoder_layers": 2,
        "num_heads": 4,
        "feed_forward_proj": "relu",
        "tie_word_embeddings": True,
    },
    settings={
        "warm_start": {"learning_rate": 3e-2},
        "train": {"optimizer": "adafactor", "learning_rate": 1e-2},
    },
)
MINI_LLAMA = Preset(
    name="mini-llama",
    summary="Llama from scratch, 3 layers, width 128, about 0.9M parameters",
    architecture="decoder-only",
    config={
        "model_type": "llama",
        "hidden_size": 128,
        "intermediate_size": 384,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "num_key_value_heads": 4,
        "max_position_embeddings": 1024,
        "tie_word_embeddings": True,
    },
    settings={"warm_start": {"learning_rate": 3e-3}, "train": {"learning_rate": 1e-3}},
)
_PRETRAINED = {"train": {"learning_rate": 3e-4, "batch_size": 32}, "warm_start": {"steps": 0}}
T5_SMALL = Preset(
    name="t5-small",
    summary="T5-small, pretrained, 60M parameters (hub: google-t5/t5-small)",
    architecture="encoder-decoder",
    checkpoint="google-t5/t5-small",
    settings=_PRETRAINED,
)
SMOLLM2_135M = Preset(
    name="smollm2-135m",
    summary="SmolLM2-135M, pretrained, 135M parameters (hub: HuggingFaceTB/SmolLM2-135M)",
    architecture="decoder-only",
    checkpoint="HuggingFaceTB/SmolLM2-135M",
    settings={"train": {"learning_rate": 1e-4, "batch_size": 32}, "warm_start": {"steps": 0}},
)
