"""The contract of a backbone by name: data that :mod:`warmup_bench.models.load` turns into a model."""

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
        revision: Commit, tag or branch of the checkpoint on the hub; None: its main branch.
        config: transformers configuration with its ``model_type``: of a from-scratch model how it is built,
            of a checkpoint its published shape with its ``vocab_size``, read only to count operations without
            the checkpoint (:mod:`warmup_bench.models.shapes`); {}: not declared.
        vocabulary: Size of the byte-level BPE vocabulary that a from-scratch model trains on its data.
        separator: Token that ends a warmup; None: the first reserved token that the tokenizer has.
        prompt_suffix: Text after the source in a decoder-only prompt of a pretrained model.
        settings: Defaults of the run spec for this backbone.
        sources: Where a setting is documented, by its dotted key; the others are our choice.
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
    sources: dict[str, str] = field(default_factory=dict)
