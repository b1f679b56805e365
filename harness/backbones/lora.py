"""Low-rank adapters (LoRA, Hu et al. 2022) through peft: frozen weights, small trained matrices beside them.

The separator's embedding is trained too: it is new to the checkpoint, or reserved and never trained, and a
frozen random row could not be learned. An adapter is stored without its base, which is the warm start of its
cell: a training of a model with a billion weights takes megabytes on disk.
"""

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from harness.errors import UserError
from harness.settings import Lora

ADAPTER = "adapter_config.json"
"""File by which a folder is known to hold an adapter."""


def add_adapter(model: Any, lora: Lora, *, rows: Sequence[int], dropout: float) -> None:
    """Freeze a model and put adapters on its linear layers, in place; as added they change no output.

    Args:
        model: A transformers model.
        lora: Rank, scale and layers.
        rows: Ids whose embeddings are trained as well.
        dropout: On the adapters' inputs; the one rate of ``train.dropout``.

    Raises:
        UserError: peft is not installed, or the model has no such layers.
    """
    peft = _peft()
    config = peft.LoraConfig(
        r=lora.rank,
        lora_alpha=lora.alpha if lora.alpha is not None else 2 * lora.rank,
        lora_dropout=dropout,
        target_modules=list(lora.target_modules) or "all-linear",
        trainable_token_indices=list(rows),
    )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # on GPT-2's transposed weights peft sets an option and says so
            model.add_adapter(config)
        _share_embeddings(model)
    except ValueError as error:
        layers = {name.rsplit(".", 1)[-1] for name, m in model.named_modules() if _is_linear(m)}
        raise UserError(
            f"LoRA can't be put on this model: {' '.join(str(error).split())}",
            origin="lora.target_modules",
            hint=f"Its linear layers: {', '.join(sorted(layers))}.",
        ) from error


def read_adapter(model: Any, folder: Path) -> None:
    """Put a stored adapter on its base model, in place.

    Raises:
        UserError: peft is not installed, or the folder holds no adapter of this model.
    """
    _peft()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = model.load_adapter(str(folder))
        _share_embeddings(model)
        # A tied head's copy of the separator's embedding is stored once.
        missing = [key for key in getattr(found, "missing_keys", ()) if "token_adapter" not in key]
        if missing:
            raise ValueError(f"no weights for {', '.join(sorted(missing)[:3])}")
    except Exception as error:  # a corrupt file may raise anything in the libraries that read it
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise UserError(f"adapter {folder} can't be loaded: {reason}", origin="a stored training") from error


def _share_embeddings(model: Any) -> None:
    """Encoder and decoder of an untied model (mT5) read the one embedding that has the trained row."""
    if model.config.is_encoder_decoder and not model.config.tie_word_embeddings:
        model.set_input_embeddings(model.get_input_embeddings())


def _is_linear(module: Any) -> bool:
    weight = module._parameters.get("weight")
    return weight is not None and weight.dim() == 2 and "mbedding" not in type(module).__name__


def _peft() -> Any:
    try:
        import peft
    except ImportError as error:
        raise UserError(
            "LoRA needs the package peft",
            origin="lora.rank",
            hint="Install it with: pip install 'warmup-bench[lora]'",
        ) from error
    return peft
