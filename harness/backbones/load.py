"""Make a backbone from a preset, a hub id or a local folder; load one that a run has saved.

Remote code stays off and weights are read from safetensors only.
"""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from harness.backbones.base import LAYOUT, Backbone, DecoderOnly, EncoderDecoder, SpecialTokens
from harness.backbones.costs import measure_costs
from harness.backbones.presets import Preset
from harness.backbones.tokenizer import ANSWER, SEPARATOR, train_tokenizer
from harness.errors import UserError
from harness.registry import Entry, backbones

RESERVED = (SEPARATOR, "<|reserved_special_token_0|>", "<|fim_middle|>", "<|file_separator|>", "<file_sep>")
"""Tokens that pretrained vocabularies have and plain text never uses; the first found is the separator."""
ADDED_SEPARATOR = "<|warmup_end|>"
TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer.model",
    "spiece.model",
    "source.spm",
    "vocab.json",
    "vocab.txt",
)
"""A folder without any of them would get an empty tokenizer from transformers, silently."""


def resolve_preset(reference: str) -> Entry[Preset]:
    """The preset of a name, of a local checkpoint folder, or of a hub id with a slash.

    Raises:
        UserError: The reference is none of the three.
    """
    folder = Path(reference)
    if (folder / "config.json").is_file():
        preset = Preset(folder.name, f"local checkpoint {folder}", "", checkpoint=str(folder.resolve()))
        return Entry(preset.name, preset, str(folder), "local")
    if "/" in reference and reference not in backbones().names() and not reference.endswith(".py"):
        if folder.exists() or reference.startswith((".", "/")):
            raise UserError(
                f"folder {reference} holds no config.json",
                origin="--backbone",
                hint="Give a checkpoint folder in the layout of save_pretrained, or a hub id.",
            )
        preset = Preset(reference.replace("/", "--"), f"hub checkpoint {reference}", "", checkpoint=reference)
        return Entry(preset.name, preset, f"hub id {reference}", "hub")
    return backbones().load(reference)


def make_backbone(preset: Preset, texts: Sequence[str], *, dropout: float, offline: bool) -> Backbone:
    """A fresh backbone: random weights (by torch's seed) and a tokenizer of ``texts``, or a checkpoint.

    Raises:
        UserError: The checkpoint can't be found or read.
    """
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForSeq2SeqLM

    if preset.checkpoint is not None:
        return load_backbone(
            preset.checkpoint,
            revision=preset.revision,
            dropout=dropout,
            offline=offline,
            separator=preset.separator,
            prompt_suffix=preset.prompt_suffix,
        )
    tokenizer = train_tokenizer(texts, preset.vocabulary)
    settings = dict(preset.config)
    config = AutoConfig.for_model(
        settings.pop("model_type"),
        vocab_size=len(tokenizer),
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=tokenizer.eos_token_id,
        **settings,
    )
    if config.is_encoder_decoder:
        config.decoder_start_token_id = tokenizer.pad_token_id
    _set_dropout(config, dropout)
    auto = AutoModelForSeq2SeqLM if config.is_encoder_decoder else AutoModelForCausalLM
    model = auto.from_config(config).to(torch.float32)
    return _wrap(model, tokenizer, separator=None, prompt_suffix="")


def load_backbone(
    checkpoint: str,
    *,
    revision: str | None = None,
    dropout: float = 0.0,
    offline: bool = True,
    separator: str | None = None,
    prompt_suffix: str = "\n",
) -> Backbone:
    """Load a checkpoint by hub id or local folder, in fp32 (training casts per operation where asked to).

    Raises:
        UserError: It is not there, unreachable, not in safetensors, corrupt, or lacks some of its weights.
    """
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForSeq2SeqLM, AutoTokenizer

    where: dict[str, Any] = {
        "revision": revision,
        "local_files_only": offline or Path(checkpoint).is_dir(),
        "trust_remote_code": False,
    }
    folder = Path(checkpoint)
    saved = folder / LAYOUT
    try:
        if folder.is_dir() and not any((folder / name).is_file() for name in TOKENIZER_FILES):
            raise FileNotFoundError(f"no tokenizer file ({', '.join(TOKENIZER_FILES)})")
        layout = json.loads(saved.read_text(encoding="utf-8")) if saved.is_file() else {}
        config = AutoConfig.from_pretrained(checkpoint, **where)
        _set_dropout(config, dropout)
        tokenizer = AutoTokenizer.from_pretrained(checkpoint, **where)
        auto = AutoModelForSeq2SeqLM if config.is_encoder_decoder else AutoModelForCausalLM
        model, info = auto.from_pretrained(
            checkpoint,
            config=config,
            use_safetensors=True,
            torch_dtype=torch.float32,
            output_loading_info=True,
            **where,
        )
        if info["missing_keys"]:  # transformers would go on with random weights in their place
            raise ValueError(f"no weights for {', '.join(sorted(info['missing_keys'])[:3])}")
    except Exception as error:  # a corrupt file may raise anything in the libraries that read it
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise UserError(
            f"checkpoint {checkpoint} can't be loaded: {reason}",
            origin="the hub" if not folder.is_dir() else "a local folder",
            hint="With a network, run once without --offline to fill the cache, "
            "or pass --backbone FOLDER with config.json, tokenizer files and model.safetensors.",
        ) from error
    return _wrap(
        model,
        tokenizer,
        separator=layout.get("separator", separator),
        prompt_suffix=prompt_suffix,
        prompt=(layout["prefix"], layout["suffix"]) if "prefix" in layout else None,
    )


def quiet_transformers() -> None:
    """Silence transformers' loading bars and notes; ours tell the same once."""
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()


def _set_dropout(config: Any, rate: float) -> None:
    """Every dropout of the configuration gets one declared rate: T5's, Llama's, BART's, GPT-2's, NeoX's."""
    for key in (
        "dropout_rate",
        "dropout",
        "attention_dropout",
        "activation_dropout",
        "attn_pdrop",
        "embd_pdrop",
        "resid_pdrop",
        "hidden_dropout",
    ):
        if hasattr(config, key):
            setattr(config, key, rate)
    for key in ("encoder_layerdrop", "decoder_layerdrop", "layerdrop"):
        if hasattr(config, key):
            setattr(config, key, 0.0)  # a layer that is skipped would leave a hole in the cache


def _wrap(
    model: Any,
    tokenizer: Any,
    *,
    separator: str | None,
    prompt_suffix: str,
    prompt: tuple[list[int], list[int]] | None = None,
) -> Backbone:
    if tokenizer.eos_token_id is None:
        raise UserError(
            "the tokenizer has no end-of-sequence token",
            origin=f"checkpoint {tokenizer.name_or_path}",
            hint="Set eos_token in its tokenizer_config.json.",
        )
    vocabulary = tokenizer.get_vocab()
    mark = separator or next((token for token in (*RESERVED, ADDED_SEPARATOR) if token in vocabulary), None)
    if mark is None or mark not in vocabulary:
        mark = mark or ADDED_SEPARATOR
        tokenizer.add_special_tokens({"additional_special_tokens": [mark]})
        if len(tokenizer) > model.get_input_embeddings().weight.shape[0]:
            model.resize_token_embeddings(len(tokenizer))
        vocabulary = tokenizer.get_vocab()
    eos = tokenizer.eos_token_id
    pad = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else eos
    costs = measure_costs(model)
    if model.config.is_encoder_decoder:
        start = model.config.decoder_start_token_id
        never = tuple({start, vocabulary.get(ANSWER)} - {pad, eos, None})
        return EncoderDecoder(model, tokenizer, SpecialTokens(pad, eos, vocabulary[mark], never), costs)
    answer = vocabulary.get(ANSWER)
    if prompt is not None:
        prefix, suffix = prompt
    else:
        prefix = [tokenizer.bos_token_id] if tokenizer.bos_token_id not in (None, eos) else []
        spelled = tokenizer(prompt_suffix, add_special_tokens=False)["input_ids"]
        suffix = [answer] if answer is not None else spelled
    never = tuple({answer, *prefix} - {None, pad, eos})
    tokens = SpecialTokens(pad, eos, vocabulary[mark], never)
    return DecoderOnly(model, tokenizer, tokens, costs, prefix=prefix, suffix=suffix)
