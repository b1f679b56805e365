"""An encoder for BERTScore: the layers up to one, with a tokenizer that has a finite length."""

from functools import cache
from pathlib import Path
from typing import Any

from warmup_bench.contracts.errors import UserError

PREFIX_SPACE = {"roberta", "gpt2", "longformer", "bart"}
"""Model types whose first word bert-score marks as all others, by a space before it."""
POSITIONS_AFTER_PADDING = {"roberta", "xlm-roberta", "xlm-roberta-xl", "camembert", "longformer"}
"""Model types that begin to count positions after the padding token's id."""


@cache
def layers_of(folder: Path) -> int:
    """Hidden layers of the encoder in a folder."""
    from transformers import AutoConfig

    config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    return int(getattr(config, "encoder_layers", None) or config.num_hidden_layers)


def load_encoder(folder: Path, layer: int) -> tuple[Any, Any]:
    """The encoder without the layers above ``layer``, and its tokenizer.

    Raises:
        UserError: They can't be loaded.
    """
    import torch
    from transformers import AutoConfig, AutoModel, AutoTokenizer

    local: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
    try:
        config = AutoConfig.from_pretrained(folder, **local)
        spaced = {"add_prefix_space": True} if config.model_type in PREFIX_SPACE else {}
        tokenizer = AutoTokenizer.from_pretrained(folder, **spaced, **local)
        model = AutoModel.from_pretrained(
            folder, config=config, use_safetensors=True, dtype=torch.float32, **local
        )
    except Exception as error:  # a corrupt file may raise anything in the libraries that read it
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise UserError(f"encoder {folder} can't be loaded: {reason}", origin="score.bertscore") from error
    if config.is_encoder_decoder:
        model = model.get_encoder()
    _drop_layers(model, layer, folder)
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token or tokenizer.unk_token
    longest = int(getattr(config, "max_position_embeddings", 512) or 512)
    if config.model_type in POSITIONS_AFTER_PADDING:
        longest -= config.pad_token_id + 1
    tokenizer.model_max_length = min(tokenizer.model_max_length, max(longest, 1))
    return model.eval(), tokenizer


def _drop_layers(model: Any, layer: int, folder: Path) -> None:
    """Drop the layers above one, as bert-score does, so that the output is that layer's (after a final norm,
    where the architecture has one).
    """
    import torch

    total = layers_of(folder)
    if model.config.model_type == "albert":  # one group of weights for all layers
        model.encoder.config.num_hidden_layers = layer
        return
    stacks = [
        (name, module)
        for name, module in model.named_modules()
        if isinstance(module, torch.nn.ModuleList) and len(module) == total
    ]
    if not stacks:
        raise UserError(
            f"the layers of encoder {folder} can't be told from its modules",
            origin="score.bertscore",
            hint="Use a BERT, RoBERTa, DeBERTa, DistilBERT, BART or T5 encoder.",
        )
    name = min(stacks, key=lambda pair: pair[0].count("."))[0]
    parent, _, attribute = name.rpartition(".")
    owner = model.get_submodule(parent)
    setattr(owner, attribute, torch.nn.ModuleList(list(getattr(owner, attribute))[:layer]))
