"""From layers of settings to those of every cell, and back to a section that can be stored."""

from collections.abc import Mapping
from typing import Any

from warmup_bench.contracts.errors import UserError
from warmup_bench.contracts.method import Method
from warmup_bench.contracts.settings import Settings
from warmup_bench.spec.spec import RunSpec, make_settings, merge

UNREAD_RATE = 1e-3
"""Learning rate of a warm start of no steps: what stood there before it had a default of its own."""


def resolve(origin: str, device: str, *layers: Mapping[str, Any]) -> Settings:
    """Merged settings, with "auto" and the warm start's learning rate resolved.

    Raises:
        UserError: They are not valid, or ask for adapters on a warm start.
    """
    merged = make_settings(origin, *layers)
    if merged.lora.rank and merged.warm_start.steps:
        raise UserError(
            f"lora.rank={merged.lora.rank} needs warm_start.steps=0, not {merged.warm_start.steps}",
            origin=origin,
            hint="Adapters stand on the checkpoint as it is.",
        )
    return _with_dtype(_with_rate(merged), device)


def _with_rate(settings: Settings) -> Settings:
    """What a warm start is named by says its learning rate, whatever that of the methods after it."""
    start = settings.warm_start
    if start.learning_rate is not None:
        return settings
    rate = settings.train.learning_rate if start.steps else UNREAD_RATE
    return settings.model_copy(update={"warm_start": start.model_copy(update={"learning_rate": rate})})


def decoded(spec: RunSpec, method: Method, settings: Settings) -> list[Settings]:
    """A method's settings, once for every way in which its models are decoded.

    Raises:
        UserError: It can't be decoded so, or reads nothing of what would differ.
    """
    ways = [_read_by(method, settings)]
    for section in spec.decodings.get(method.name, ()):
        origin = f"decodings.{method.name}"
        way = _read_by(method, make_settings(origin, settings.model_dump(), {"decode": section}))
        if way in ways:
            raise UserError(
                f"two ways of decoding '{method.name}' are the same to it",
                origin=origin,
                hint=f"Leave {section} out.",
            )
        ways.append(way)
    return ways


def _read_by(method: Method, settings: Settings) -> Settings:
    """The settings with the decoding that the method can have.

    Raises:
        UserError: It can't be decoded so.
    """
    settings.decode.check(method.name, method.warmup, given=method.gives_at_inference)
    return settings.model_copy(update={"decode": settings.decode.read(method.warmup)})


def _with_dtype(settings: Settings, device: str) -> Settings:
    """Resolve "auto" now, so that the stored settings say what was used.

    Raises:
        UserError: The GPU that it depends on is on another machine.
    """
    if settings.train.dtype != "auto":
        return settings
    import torch

    if device == "cuda" and not torch.cuda.is_available():
        raise UserError(
            "train.dtype=auto asks this machine's GPU whether it has bfloat16, and there is none here",
            origin="train.dtype",
            hint="Say what the cluster's GPUs have: --set train.dtype=bfloat16, or float32.",
        )
    dtype = "bfloat16" if device == "cuda" and torch.cuda.is_bf16_supported() else "float32"
    return settings.model_copy(update={"train": settings.train.model_copy(update={"dtype": dtype})})


def backbone_section(settings: Settings, *below: Mapping[str, Any]) -> dict[str, Any]:
    """Resolved settings as a backbone's section of a spec, which is merged over the layers below once more: a
    null stands only where one overrides a value of theirs, or a default.
    """
    under = merge(Settings().model_dump(mode="json"), *below)
    under.pop("budget", None)  # it is replaced whole
    return _with_nulls(settings.model_dump(mode="json"), under)


def _with_nulls(settings: Mapping[str, Any], under: Mapping[str, Any]) -> dict[str, Any]:
    kept: dict[str, Any] = {}
    for key, value in settings.items():
        if isinstance(value, Mapping):
            kept[key] = _with_nulls(value, under.get(key) or {})
        elif value is not None or under.get(key) is not None:
            kept[key] = value
    return kept
