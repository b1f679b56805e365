"""What may be read from a device, and sent to it, while it works."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache

import torch
from torch import Tensor

from warmup_bench.contracts.errors import UserError

AHEAD = frozenset({"cuda"})
"""Kinds of devices that the processor sends work to and runs ahead of."""


def waits(device: torch.device) -> bool:
    """Whether reading a number makes the processor wait for the device, which then runs dry.

    Where it does, no shape depends on what was drawn: the same numbers by a little more work.
    """
    return device.type in AHEAD


@lru_cache(maxsize=256)
def constant(numbers: tuple[float, ...], device: torch.device, dtype: torch.dtype = torch.long) -> Tensor:
    """Numbers on a device, sent there once."""
    return torch.tensor(numbers, device=device, dtype=dtype)


def sent(tensor: Tensor, device: torch.device) -> Tensor:
    """A tensor of this process's memory on a device, without waiting for the device."""
    if tensor.device == device:
        return tensor
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor.to(device)


@contextmanager
def repeatable() -> Iterator[None]:
    """Let a GPU give the same numbers twice: no sums whose order is left to chance.

    Raises:
        UserError: An operator of the model can't.
    """
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # read when cuBLAS begins
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    torch.use_deterministic_algorithms(True)
    try:
        yield
    except RuntimeError as error:
        if "deterministic" not in str(error):
            raise
        raise UserError(
            f"this model has an operator that is not repeatable on a GPU: {str(error).split('.')[0]}",
            origin="train.deterministic",
            hint="Set train.deterministic=false; two runs of one command will then differ by rounding.",
        ) from error
    finally:
        torch.use_deterministic_algorithms(False)
