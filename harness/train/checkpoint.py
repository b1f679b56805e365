"""Checkpoints: the whole state of a training on disk, so that a run which is killed goes on bit for bit.

A checkpoint is a folder (:mod:`warmup_bench.store.folders`: whole or absent, every file with its SHA-256)::

    checkpoints/<id>/log-<try>.jsonl     the training log as it grows, of this try alone
    checkpoints/<id>/step-00000120/      tensors.safetensors, state.json, log.jsonl

The last two are kept: the older one goes only once a newer one is complete. One that is damaged is named,
set aside as ``damaged-...`` and never used; training then goes on from the one before, or from the start.
"""

import logging
import random
import shutil
import time
import uuid
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from warmup_bench.contracts.errors import UserError
from warmup_bench.models.rollout import Warmups
from warmup_bench.store.folders import (
    CorruptError,
    check,
    clear_unfinished,
    make_folder,
    read_json,
    write_json,
    writing,
)
from warmup_bench.store.training_log import LOG
from warmup_bench.train.rounds import Memory
from warmup_bench.train.weights import Weights

TENSORS, STATE = "tensors.safetensors", "state.json"
KEPT = 2
"""Complete checkpoints that are kept: should the newest be damaged, there is one before it."""
MAX_SHARE = 0.05
"""Share of the time that checkpoints may take where they are spaced in seconds."""
_WARMUPS = ("tokens", "lengths", "ended", "logp")
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What a checkpoint holds.

    Attributes:
        tensors: By name; those of the model, the optimiser, the generators, the memory of warmups.
        values: Plain JSON: ledger, schedule, position, what fits into memory.
        log: The training log up to here.
    """

    tensors: dict[str, Tensor]
    values: dict[str, Any]
    log: str


@dataclass(slots=True)
class Pace:
    """When the next checkpoint is due.

    Attributes:
        every: A number of steps, or seconds as ``"60s"``: then never more often than lets checkpoints take
            ``MAX_SHARE`` of the time.
        last: When the last one was written (``time.monotonic``).
        cost: Seconds that it took.
    """

    every: int | str
    last: float = field(default_factory=time.monotonic)
    cost: float = 0.0

    def due(self, step: int) -> bool:
        """Whether to write one after ``step`` steps."""
        if isinstance(self.every, int):
            return step % self.every == 0
        wait = max(float(self.every.rstrip("s ")), self.cost / MAX_SHARE)
        return time.monotonic() - self.last >= wait

    def wrote(self, cost: float) -> None:
        """One was written now and took ``cost`` seconds."""
        self.last, self.cost = time.monotonic(), cost


def capture(
    weights: Weights,
    optimizer: torch.optim.Optimizer,
    generator: torch.Generator,
    memory: Memory,
    window: list[dict[str, float]],
    values: Mapping[str, Any],
    log: str,
) -> Snapshot:
    """Everything that the next step depends on, besides the examples and the settings.

    Args:
        weights: The model's, and its buffers.
        optimizer: Its state of every weight.
        generator: The sampler's.
        memory: Warmups of earlier steps.
        window: Figures of the steps since the last line of the log; all with the same keys.
        values: What else: plain JSON.
        log: The training log so far.
    """
    tensors = {f"model.{name}": tensor for name, tensor in weights.named().items()}
    plain: dict[str, dict[str, Any]] = {}
    for index, entries in optimizer.state_dict()["state"].items():
        for key, value in entries.items():
            if isinstance(value, Tensor):
                tensors[f"optimizer.{index}.{key}"] = value
            else:
                plain.setdefault(str(index), {})[key] = value
    tensors["random.sampler"] = generator.get_state()
    tensors["random.torch"] = torch.get_rng_state()
    if weights.device.type == "cuda":
        tensors["random.cuda"] = torch.cuda.get_rng_state(weights.device)
    if memory.kept:
        tensors["memory.keys"] = torch.tensor(list(memory.kept))
        tensors["memory.rows"] = torch.tensor([w.lengths.shape[0] for w in memory.kept.values()])
        for name in _WARMUPS:
            tensors[f"memory.{name}"] = torch.cat([getattr(w, name) for w in memory.kept.values()])
    figures = list(window[0]) if window else []
    # As a tensor: a skipped step has NaN, which JSON has not.
    tensors["window"] = torch.tensor(
        [[line[key] for key in figures] for line in window], dtype=torch.float64
    ).view(len(window), len(figures))
    name, keys, position, has_gauss, cached = np.random.get_state(legacy=True)
    randoms = {
        "python": random.getstate(),
        "numpy": [name, np.asarray(keys).tolist(), int(position), int(has_gauss), float(cached)],
    }
    return Snapshot(
        {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()},
        {**values, "optimizer": plain, "figures": figures, "random": randoms},
        log,
    )


def restore(
    snapshot: Snapshot,
    weights: Weights,
    optimizer: torch.optim.Optimizer,
    generator: torch.Generator,
    memory: Memory,
) -> list[dict[str, float]]:
    """Put a snapshot back in place, the global generators too; returns the window of figures.

    Raises:
        CorruptError: It does not fit the model.
    """
    tensors, values = snapshot.tensors, snapshot.values
    current = weights.named()
    stored = {name.removeprefix("model."): t for name, t in tensors.items() if name.startswith("model.")}
    if {n: t.shape for n, t in current.items()} != {n: t.shape for n, t in stored.items()}:
        raise CorruptError("the checkpoint is of another model", hint="Move its folder away to start anew.")
    with torch.no_grad():
        for name, tensor in current.items():
            tensor.copy_(stored[name])
    weights.publish()
    state: dict[int, dict[str, Any]] = {int(i): dict(entries) for i, entries in values["optimizer"].items()}
    for name, tensor in tensors.items():
        if name.startswith("optimizer."):
            _, index, key = name.split(".", 2)
            state.setdefault(int(index), {})[key] = tensor.clone()
    groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": state, "param_groups": groups})
    generator.set_state(tensors["random.sampler"])
    torch.set_rng_state(tensors["random.torch"])
    if weights.device.type == "cuda" and "random.cuda" in tensors:
        torch.cuda.set_rng_state(tensors["random.cuda"], weights.device)
    version, internal, gauss = values["random"]["python"]
    random.setstate((version, tuple(internal), gauss))
    np.random.set_state(tuple(values["random"]["numpy"]))
    memory.kept.clear()
    if "memory.keys" in tensors:
        counts = tensors["memory.rows"].tolist()
        parts = [torch.split(tensors[f"memory.{n}"].to(weights.device), counts) for n in _WARMUPS]
        for key, *rows in zip(tensors["memory.keys"].tolist(), *parts, strict=True):
            memory.kept[key] = Warmups(*rows)
    figures = values["figures"]
    return [dict(zip(figures, line, strict=True)) for line in tensors["window"].tolist()]


def log_text(path: Path) -> str:
    """The training log so far.

    Raises:
        UserError: It is gone.
    """
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise UserError(
            f"{path.parent} has vanished while its training was running ({error.strerror})",
            origin="--out",
            hint="Give a folder that stays, and run the same command again.",
        ) from error


def fresh_log(folder: Path) -> Path:
    """Where this try writes its log: a name of its own, so that who was asleep and has lost its lock can't
    write into another one's. The logs of earlier tries are removed. Only for who holds the training's lock.

    Raises:
        UserError: The folder can't be written.
    """
    _remove_logs(make_folder(folder))
    return folder / f"log-{uuid.uuid4().hex[:8]}.jsonl"


def _remove_logs(folder: Path) -> None:
    for path in folder.glob("log*.jsonl"):
        with suppress(OSError):
            path.unlink(missing_ok=True)


def save(folder: Path, step: int, snapshot: Snapshot) -> None:
    """Write the checkpoint of a step, then let go of those before the last two.

    Raises:
        UserError: The folder can't be written.
    """
    from safetensors.torch import save_file

    with writing(folder / f"step-{step:08d}", depth=3) as temporary:
        save_file(snapshot.tensors, temporary / TENSORS)
        write_json(temporary / STATE, snapshot.values)
        (temporary / LOG).write_text(snapshot.log, encoding="utf-8")
    for old in _complete(folder)[:-KEPT]:
        shutil.rmtree(old, ignore_errors=True)


def latest(folder: Path) -> Snapshot | None:
    """The newest checkpoint that is whole, or None where there is none.

    A damaged one is named in the program's log and set aside, its bytes as they were.

    Raises:
        UserError: One was written by a newer version.
    """
    clear_unfinished(folder)
    for stored in reversed(_complete(folder)):
        try:
            return _read(check(stored))
        except CorruptError as error:
            aside = stored.with_name(f"damaged-{stored.name}.{time.time_ns()}")
            with suppress(OSError):
                stored.rename(aside)
            _log.warning("%s Kept as %s; the checkpoint before it is used.", error, aside.name)
    return None


def clear(folder: Path) -> None:
    """Remove the checkpoints of a training that is stored; what was set aside as damaged stays."""
    for stored in _complete(folder):
        shutil.rmtree(stored, ignore_errors=True)
    clear_unfinished(folder)
    _remove_logs(folder)
    with suppress(OSError):
        folder.rmdir()
        folder.parent.rmdir()


def _complete(folder: Path) -> list[Path]:
    """Folders of checkpoints, the oldest first."""
    return sorted(folder.glob("step-*")) if folder.is_dir() else []


def _read(folder: Path) -> Snapshot:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        tensors = load_file(folder / TENSORS)
        log = (folder / LOG).read_text(encoding="utf-8")
    except (OSError, ValueError, SafetensorError) as error:
        raise CorruptError(f"checkpoint {folder} can't be read ({error})") from error
    return Snapshot(tensors, read_json(folder / STATE), log)
