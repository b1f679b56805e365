"""Low-rank adapters (LoRA, Hu et al. 2022) through peft: frozen weights, small trained matrices beside them.

The separator's embedding is trained too: it is new to the checkpoint, or reserved and never trained, and a
frozen random row could not be learned. An adapter is stored without its base, which is the warm start of its
cell: a training of a model with a billion weights takes megabytes on disk.
"""

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from warmup_bench.contracts.errors import UserError
from warmup_bench.contracts.settings import Lora

ADAPTER = "adapter_config.json"
"""File by which a folder is known to hold an adapter."""
ADAPTER_WEIGHTS = "adapter_model.safetensors"
PREFIX = "base_model.model."
"""Before the name of every stored weight, as peft has it."""


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
        base_model_name_or_path=model.name_or_path,
        r=lora.rank,
        lora_alpha=lora.alpha if lora.alpha is not None else 2 * lora.rank,
        lora_dropout=dropout,
        target_modules=list(lora.target_modules) or "all-linear",
        trainable_token_indices=list(rows) or None,
    )
    try:
        _inject(config, model)
    except ValueError as error:
        layers = {name.rsplit(".", 1)[-1] for name, m in model.named_modules() if _is_linear(m)}
        raise UserError(
            f"LoRA can't be put on this model: {' '.join(str(error).split())}",
            origin="lora.target_modules",
            hint=f"Its linear layers: {', '.join(sorted(layers))}.",
        ) from error


def has_adapter(model: Any) -> bool:
    """Whether :func:`add_adapter` or :func:`read_adapter` has put adapters on the model."""
    return bool(getattr(model, "peft_config", None))


def save_adapter(model: Any, folder: Path) -> None:
    """Write a model's adapter, without its base, in the layout of peft's ``PeftModel.save_pretrained``."""
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    weights = {PREFIX + key: value.contiguous() for key, value in _weights(model).items()}
    save_file(weights, folder / ADAPTER_WEIGHTS, metadata={"format": "pt"})
    model.peft_config["default"].save_pretrained(str(folder))


def read_adapter(model: Any, folder: Path) -> None:
    """Put a stored adapter on its base model, in place and frozen.

    Raises:
        UserError: peft is not installed, or the folder holds no adapter of this model.
    """
    from safetensors.torch import load_file

    peft = _peft()
    try:
        stored = {
            key.removeprefix(PREFIX): value for key, value in load_file(folder / ADAPTER_WEIGHTS).items()
        }
        config = peft.LoraConfig.from_pretrained(str(folder))
        config.inference_mode = True
        _inject(config, model)
        wanted = _weights(model)
        if missing := wanted.keys() - stored.keys():
            raise ValueError(f"no weights for {', '.join(sorted(missing)[:3])}")
        if unknown := stored.keys() - wanted.keys():
            raise ValueError(f"weights for {', '.join(sorted(unknown)[:3])}, which this model does not have")
        peft.set_peft_model_state_dict(model, stored)
    except Exception as error:  # a corrupt file may raise anything in the libraries that read it
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise UserError(f"adapter {folder} can't be loaded: {reason}", origin="a stored training") from error


def merged_weight(module: Any) -> tuple[Any, Any]:
    """Weight and bias of a linear module, those of its adapter added in.

    Raises:
        TypeError: It is another module.
    """
    import torch

    base = getattr(module, "base_layer", module)
    if type(base) is not torch.nn.Linear:
        raise TypeError(f"{type(base).__name__} is not a linear layer")
    if base is module:
        return base.weight, base.bias
    weight = base.weight
    for name in module.active_adapters:
        weight = weight + module.get_delta_weight(name)
    return weight, base.bias


def _inject(config: Any, model: Any) -> None:
    """By peft itself: the wrapper of transformers refuses every peft but the newest, published or not."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # on GPT-2's transposed weights peft sets an option and says so
        _peft().inject_adapter_in_model(config, model)
    _share_embeddings(model)


def _weights(model: Any) -> dict[str, Any]:
    """The adapter's weights by name; the embeddings that it is put on stay with the base."""
    weights: dict[str, Any] = _peft().get_peft_model_state_dict(model, save_embedding_layers=False)
    return weights


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
