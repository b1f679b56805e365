"""What a user has chosen of a task, checked against its card and this machine."""

import os
from collections.abc import Collection, Sequence
from pathlib import Path

from warmup_bench.contracts.errors import UserError
from warmup_bench.contracts.task import Scale, TaskCard

DATA_VARIABLE = "WARMUP_BENCH_DATA"


def choose_scale(card: TaskCard, wish: Scale | None) -> Scale:
    """The scale that is asked for, or the task's first.

    Raises:
        UserError: The task does not have it.
    """
    scale = wish if wish is not None else next(iter(card.scales))
    _require(card, "scale", scale, card.scales, "--scale, or scale of the spec")
    return scale


def choose_subsets(card: TaskCard, wish: Sequence[str]) -> tuple[str, ...]:
    """The subsets that are asked for, or the task's first.

    Raises:
        UserError: The task does not have one of them.
    """
    subsets = tuple(wish) or (next(iter(card.subsets)),)
    for subset in subsets:
        _require(card, "subset", subset, card.subsets, "--direction, or subsets of the spec")
    return subsets


def _require(card: TaskCard, kind: str, name: str, known: Collection[str], origin: str) -> None:
    if name not in known:
        raise UserError(
            f"task '{card.name}' has no {kind} '{name}'", origin=origin, hint=f"It has: {', '.join(known)}."
        )


def find_data_dir(given: Path | None) -> Path | None:
    """The folder that is given, or that ``WARMUP_BENCH_DATA`` names, or None.

    Raises:
        UserError: It is not there.
    """
    data_dir = given or (Path(os.environ[DATA_VARIABLE]) if os.environ.get(DATA_VARIABLE) else None)
    if data_dir is not None and not data_dir.is_dir():
        raise UserError(
            f"data folder {data_dir} does not exist",
            origin=f"--data-dir or {DATA_VARIABLE}",
            hint="Check the path.",
        )
    return data_dir


def is_offline(wish: bool) -> bool:
    """Whether nothing may be fetched: asked for, or by ``HF_HUB_OFFLINE``."""
    return wish or os.environ.get("HF_HUB_OFFLINE", "") not in ("", "0")
