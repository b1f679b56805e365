"""What a cell has spent: steps, tokens, floating-point operations, seconds, memory."""

import gc
import resource
import sys
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any


@dataclass(slots=True)
class Ledger:
    """Counters of one cell's training phase (the shared warm start is counted apart, it is equal for all).

    Attributes:
        steps: Optimiser steps.
        target_tokens: Target tokens trained on, eos counted.
        warmup_tokens: Warmup tokens, without separators.
        train_flops: Operations of training, sampling and the drafting of given warmups included
            (:mod:`warmup_bench.models.costs`).
        train_seconds: Wall time of the same.
        decode_flops, decode_seconds: The same of decoding the test set.
        peak_memory: Peak bytes while it trained: allocated on a GPU, else resident of the process, with its
            libraries and what earlier cells have left in it (:func:`reset_peak_memory`).
        parameters, trainable: Of the model.
        truncated: Examples of train and test whose source or target was cut.
        micro_batch_size: Inputs at once, at the end; memory that runs out halves it.
        rows_at_once: Warmups of an input whose activations stood in memory at once, at the end.
        skipped_steps: Steps dropped for a non-finite loss or gradient.
        not_captured: Why a loop of a GPU's sampler ran kernel by kernel, the last reason; empty: none had to.
    """

    steps: int = 0
    target_tokens: int = 0
    warmup_tokens: int = 0
    train_flops: float = 0.0
    train_seconds: float = 0.0
    decode_flops: float = 0.0
    decode_seconds: float = 0.0
    peak_memory: int = 0
    parameters: int = 0
    trainable: int = 0
    truncated: int = 0
    micro_batch_size: int = 0
    rows_at_once: int = 0
    skipped_steps: int = 0
    not_captured: str = ""

    def to_dict(self) -> dict[str, Any]:
        """As stored."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Outlay:
    """What a training has cost before its first step: floating-point operations, and wall seconds."""

    flops: float = 0.0
    seconds: float = 0.0


NOTHING = Outlay()


def reset_peak_memory(device: str) -> None:
    """Begin a new peak of :func:`peak_memory`, at what is in use now: a process may run several cells.

    On a CPU only Linux can, where it lets a process write its ``clear_refs``; elsewhere a peak is that of the
    process since its start.
    """
    if device == "cuda":
        import torch

        torch.cuda.reset_peak_memory_stats()
        return
    gc.collect()  # an earlier cell's model may stand in a cycle
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def peak_memory(device: str) -> int:
    """Peak bytes since :func:`reset_peak_memory`: allocated on the GPU, or resident of this process."""
    if device == "cuda":
        import torch

        return int(torch.cuda.max_memory_allocated())
    # Linux starts a process's ru_maxrss at the peak of the one that started it; VmHWM is its own.
    if peak := process_memory("VmHWM"):
        return peak
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def process_memory(field: str) -> int | None:
    """A field of this process's status in bytes, e.g. VmRSS; None where the system has no such file."""
    status = Path("/proc/self/status")
    lines = status.read_text(encoding="ascii").splitlines() if status.is_file() else []
    return next((1024 * int(line.split()[1]) for line in lines if line.startswith(f"{field}:")), None)
