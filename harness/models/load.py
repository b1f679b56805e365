"""Make a backbone from a preset, a hub id or a local folder; load one that a run has saved.

Remote code stays off and weights are read from safetensors only.
"""

import json
import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from warmup_bench.contracts.errors import UserError
from warmup_bench.contracts.preset import Preset
from warmup_bench.contracts.registry import Entry, backbones
from warmup_bench.contracts.settings import Lora
from warmup_bench.models.base import LAYOUT, Backbone
from warmup_bench.models.costs import measure_costs
from warmup_bench.models.families import DecoderOnly, EncoderDecoder
from warmup_bench.models.frame import Languages, read_frame
from warmup_bench.models.head import unknown_family
from warmup_bench.models.lora import ADAPTER, ADAPTER_WEIGHTS, add_adapter, read_adapter
from warmup_bench.models.presets import UNKNOWN_CHECKPOINT
from warmup_bench.models.state import SpecialTokens
from warmup_bench.models.tokenizer import ANSWER, SEPARATOR, train_tokenizer
from warmup_bench.store.hashes import hash_files
from warmup_bench.store.models import require_model

RESERVED = (SEPARATOR, "<|reserved_special_token_0|>", "<|fim_middle|>", "<|file_separator|>", "<file_sep>")
"""Tokens that pretrained vocabularies have and plain text never uses; the first found is the separator."""
EXPERTS = ("num_experts", "num_local_experts", "n_routed_experts", "moe_num_experts")
"""Keys by which a configuration says that a token meets only some of its weights."""
ADDED_SEPARATOR = "<|warmup_end|>"
TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer.model",
    "spiece.model",
    "sentencepiece.bpe.model",
    "source.spm",
    "vocab.json",
    "vocab.txt",
)
"""A folder without any of them would get an empty tokenizer from transformers, silently."""
LOADED = (
    "config.json",
    "generation_config.json",
    LAYOUT,
    *TOKENIZER_FILES,
    *("tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "merges.txt"),
    *("target.spm", "target_vocab.json"),
    *(ADAPTER, ADAPTER_WEIGHTS),
)
"""Files of a checkpoint that are read beside its weights."""
WEIGHTS, SHARDS = "model.safetensors", "model.safetensors.index.json"
"""Weights in one file, which wins where there are both, or the file that names their parts."""


def resolve_preset(reference: str, *, offline: bool = True) -> Entry[Preset]:
    """The preset of a name, of a local checkpoint folder, or of a hub id: ``owner/name``, with a revision
    ``owner/name@revision``. One without is the commit that the cache knows as the main branch's, or where
    it knows none and ``offline`` does not forbid to ask, the hub.

    Raises:
        UserError: The reference is none of the three.
    """
    folder = Path(reference)
    if (folder / "config.json").is_file():
        checkpoint = str(folder.resolve())
        preset = Preset(
            folder.name, f"local checkpoint {folder}", "", checkpoint=checkpoint, settings=UNKNOWN_CHECKPOINT
        )
        return Entry(preset.name, preset, str(folder), _contents(folder))
    if "/" in reference and reference not in backbones().names() and not reference.endswith(".py"):
        for stored in (folder, folder.parent):  # a run's warm start, or its training with a folder "model"
            require_model(stored)
        if folder.exists() or reference.startswith((".", "/")):
            raise UserError(
                f"folder {reference} holds no config.json",
                origin="--backbone",
                hint="It is a LoRA adapter: merge it into its warm start with peft's merge_and_unload."
                if (folder / ADAPTER).is_file()
                else "Give a checkpoint folder in the layout of save_pretrained, or a hub id.",
            )
        checkpoint, _, revision = reference.partition("@")
        code = "hub"
        if not revision and (commit := _commit(checkpoint, offline=offline)):
            revision = code = commit
        preset = Preset(
            reference.replace("/", "--"),
            f"hub checkpoint {reference}",
            "",
            checkpoint=checkpoint,
            revision=revision or None,
            settings=UNKNOWN_CHECKPOINT,
        )
        return Entry(preset.name, preset, f"hub id {reference}", code)
    return backbones().load(reference)


def _commit(checkpoint: str, *, offline: bool) -> str:
    """What a checkpoint's main branch is: the commit in the cache, else the hub's, else unknown: ""."""
    from huggingface_hub import hf_hub_download, try_to_load_from_cache

    found = try_to_load_from_cache(checkpoint, "config.json")
    if not isinstance(found, str) and not offline:
        with suppress(Exception):  # the client raises errors of several libraries; loading tells them better
            found = hf_hub_download(checkpoint, "config.json")  # small, and notes the commit in the cache
    return Path(found).parent.name if isinstance(found, str) else ""


def _contents(folder: Path) -> str:
    """Hash of what is loaded from a checkpoint folder: another folder of its name is another backbone.

    Weights are read once a process, unless a file has another size or time of change by then.

    Raises:
        UserError: A file can't be read.
    """
    try:
        files = [path for name in LOADED if (path := folder / name).is_file()]
        return hash_files(folder, [*files, *_weight_files(folder)])
    except OSError as error:
        raise _unloadable(str(folder), error, offline=True) from error


def _weight_files(folder: Path) -> list[Path]:
    """The weights of a checkpoint folder; where something is amiss, what loading will complain of."""
    if (whole := folder / WEIGHTS).is_file():
        return [whole]
    if not (index := folder / SHARDS).is_file():
        return []
    try:
        named = set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values())
    except (ValueError, KeyError, TypeError, AttributeError):
        named = set()
    return [index, *(path for path in folder.glob("*.safetensors") if path.name in named)]


def make_backbone(
    preset: Preset,
    texts: Sequence[str],
    *,
    dropout: float,
    offline: bool,
    languages: Languages | None = None,
    lora: Lora | None = None,
    weights: bool = True,
) -> Backbone:
    """A fresh backbone: random weights (by torch's seed) and a tokenizer of ``texts``, or a checkpoint.

    ``languages`` are the task's, for checkpoints that are told them (mBART, M2M-100, NLLB); ``lora`` puts
    adapters on the model; without ``weights`` a checkpoint's stay where they are, and random ones are made.

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
            languages=languages,
            lora=lora,
            weights=weights,
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
    return _wrap(model, tokenizer, separator=None, prompt_suffix="", dropout=dropout, lora=lora)


def load_backbone(
    checkpoint: str,
    *,
    revision: str | None = None,
    dropout: float = 0.0,
    offline: bool = True,
    separator: str | None = None,
    prompt_suffix: str = "\n",
    languages: Languages | None = None,
    lora: Lora | None = None,
    adapter: Path | None = None,
    weights: bool = True,
) -> Backbone:
    """Load a checkpoint by hub id or local folder, in fp32 (training casts per operation where asked to).

    Args:
        checkpoint: Hub id, or folder in the layout of ``save_pretrained``.
        revision: Branch, tag or commit on the hub.
        dropout: One rate for every dropout of the model, LoRA's included.
        offline: True when nothing may be fetched.
        separator: Token that ends a warmup; None: a reserved token that the tokenizer has, else a new one.
        prompt_suffix: Text after the source in a decoder-only prompt.
        languages: Of source and target, for checkpoints that are told them.
        lora: Adapters to add, where its rank is not 0.
        adapter: Folder with stored adapters to read, the checkpoint being their base.
        weights: False: a model of its shape with random weights; its own are neither fetched nor read.

    Raises:
        UserError: It is not there, unreachable, not in safetensors, corrupt, lacks some of its weights, or is
            of a kind that the harness can't follow.
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
        with warnings.catch_warnings():
            # Marian's recommends sacremoses, for a normaliser that tokenizing never calls.
            warnings.filterwarnings("ignore", message="Recommended: pip install sacremoses")
            tokenizer = AutoTokenizer.from_pretrained(checkpoint, **where)
        auto = AutoModelForSeq2SeqLM if config.is_encoder_decoder else AutoModelForCausalLM
        if weights:
            model, info = auto.from_pretrained(
                checkpoint,
                config=config,
                use_safetensors=True,
                dtype=torch.float32,
                output_loading_info=True,
                **where,
            )
        else:
            model, info = auto.from_config(config).to(torch.float32), {"missing_keys": ()}
        if any(getattr(config, key, None) for key in EXPERTS):
            raise ValueError("mixtures of experts are not supported: their operations can't be counted")
        if info["missing_keys"]:  # transformers would go on with random weights in their place
            raise ValueError(f"no weights for {', '.join(sorted(info['missing_keys'])[:3])}")
    except Exception as error:  # a corrupt file may raise anything in the libraries that read it
        raise _unloadable(checkpoint, error, offline=where["local_files_only"]) from error
    return _wrap(
        model,
        tokenizer,
        separator=layout.get("separator", separator),
        prompt_suffix=prompt_suffix,
        languages=languages,
        layout=layout,
        dropout=dropout,
        lora=lora,
        adapter=adapter,
    )


def quiet_transformers() -> None:
    """Silence transformers' loading bars and notes; ours tell the same once."""
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()


def _unloadable(checkpoint: str, error: Exception, *, offline: bool) -> UserError:
    """The error for a checkpoint that can't be loaded, with what would help."""
    folder = Path(checkpoint)
    reason = (str(error).strip() or type(error).__name__).splitlines()[0]
    pickled = sorted(path.name for path in folder.glob("*.bin")) if folder.is_dir() else []
    if pickled and not list(folder.glob("*.safetensors")):
        reason = f"its weights are in {pickled[0]} only, a pickle, and pickles are not read"
    if pickled or "safetensors" in str(error):
        hint = (
            "If you trust it, convert it once: from_pretrained of transformers reads it, save_pretrained of "
            "model and tokenizer writes a folder for --backbone FOLDER. A hub id may name a converted "
            "revision: --backbone owner/name@refs/pr/1"
        )
    elif any(type(e).__name__ == "GatedRepoError" for e in _chain(error)):
        hint = (
            "Accept its licence on its page on the hub, log in with 'hf auth login', and run once without "
            "--offline; or pass --backbone FOLDER."
        )
    elif offline and not folder.is_dir():
        hint = "With a network, run once without --offline to fill the cache, or pass --backbone FOLDER."
    else:
        hint = "--backbone FOLDER needs config.json, tokenizer files and model.safetensors."
    origin = "a local folder" if folder.is_dir() else "the hub"
    return UserError(f"checkpoint {checkpoint} can't be loaded: {reason}", origin=origin, hint=hint)


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """An error and those that it came from."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


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
    languages: Languages | None = None,
    layout: Mapping[str, Any] | None = None,
    dropout: float = 0.0,
    lora: Lora | None = None,
    adapter: Path | None = None,
) -> Backbone:
    """``layout`` is what a run has saved beside a model; without it, the tokenizer is asked."""
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
            _resize(model, len(tokenizer))
        vocabulary = tokenizer.get_vocab()
    _freeze_unsaved(model)
    eos = tokenizer.eos_token_id
    pad = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else eos
    answer = vocabulary.get(ANSWER)
    if layout is not None and "prefix" in layout:
        prefix, suffix, start = (tuple(layout.get(key, ())) for key in ("prefix", "suffix", "start"))
    else:
        frame = read_frame(tokenizer, model.config, languages)
        prefix, suffix, start = frame.prefix, frame.suffix, frame.start
        if not start:
            spelled = tokenizer(prompt_suffix, add_special_tokens=False)["input_ids"]
            suffix = (answer,) if answer is not None else tuple(spelled)
    if adapter is not None:
        read_adapter(model, adapter)
    elif lora is not None and lora.rank:
        add_adapter(model, lora, rows=[vocabulary[mark]], dropout=dropout)
    try:
        costs = measure_costs(model, start=max(1, len(start)))
    except AttributeError as error:  # Mamba and its kin have no attention heads
        raise unknown_family(model.config, "the harness can't count the operations") from error
    never = {answer, *_other_ends(model), *(start or prefix)} - {None, pad, eos}
    tokens = SpecialTokens(pad, eos, vocabulary[mark], tuple(sorted(never)))
    if start:
        return EncoderDecoder(model, tokenizer, tokens, costs, prefix=prefix, suffix=suffix, start=start)
    return DecoderOnly(model, tokenizer, tokens, costs, prefix=prefix, suffix=suffix)


def _resize(model: Any, vocabulary: int) -> None:
    """Give a model rows for new tokens; its head stays tied to its embeddings, or of its own.

    The configuration of every T5 and mT5 says tied in transformers 5.24, by which resizing goes.
    """
    config, said = model.config, model.config.tie_word_embeddings
    tied = model.get_output_embeddings().weight is model.get_input_embeddings().weight
    config.tie_word_embeddings = tied
    model.resize_token_embeddings(vocabulary)
    config.tie_word_embeddings = said


def _freeze_unsaved(model: Any) -> None:
    """What the model does not save is not trained, or a model that is loaded again would be another one.

    Marian's sinusoids are fixed, and not among its files; transformers 5.24 loads them as trainable.
    """
    unsaved = set(getattr(model, "_keys_to_ignore_on_save", None) or ())
    for name, parameter in model.named_parameters():  # of tied ones the first name, which is saved
        if name in unsaved:
            parameter.requires_grad_(False)


def _other_ends(model: Any) -> set[int]:
    """Every id at which the checkpoint itself would stop: the tokenizer's eos, and others of chat models.

    Targets end with the tokenizer's eos; the others are never written: an output has one way to end.
    """
    ends: set[int] = set()
    for source in (model.config, getattr(model, "generation_config", None)):
        value = getattr(source, "eos_token_id", None)
        if value is not None:
            ends |= set(value) if isinstance(value, list | tuple) else {value}
    return ends
