"""What a GPU would be asked to do, counted on a CPU that behaves like one that waits for its device."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from warmup_bench.models import device
from warmup_bench.models.stacks import attention

READS = ("tolist", "numpy", "cpu")
"""Methods of a tensor that wait for its numbers, besides those that come down to ``_local_scalar_dense``."""
SIZED = ("nonzero", "unique", "bincount", "masked_select", "repeat_interleave.Tensor", "_local_scalar")
"""Operators whose result has a shape, or is a number, that the processor has to ask for."""
VIEWS = {
    "alias",
    "as_strided",
    "chunk",
    "detach",
    "diagonal",
    "expand",
    "permute",
    "select",
    "slice",
    "split",
}
VIEWS |= {
    "split",
    "split_with_sizes",
    "squeeze",
    "t",
    "transpose",
    "unbind",
    "unflatten",
    "unsqueeze",
    "view",
}
VIEWS |= {"unsqueeze", "view", "_unsafe_view", "_reshape_alias", "promote_types"}
"""Operators that launch nothing."""


@contextmanager
def as_on_a_gpu() -> Iterator[None]:
    """Let the harness take this machine's processor for a device that it must not wait for."""
    with patch.object(device, "AHEAD", frozenset({"cpu"})):
        yield


class Operators(TorchDispatchMode):
    """Counts operators that would launch a kernel, by name, and keeps the shapes that they meet.

    A norm counts as one, which it is on a GPU; on a CPU it is six.

    Attributes:
        launched: How often each ran.
        signature: Every one that ran, with the shapes of its tensors, in order.
        sized: Those whose result has a shape that the processor would have to ask for.
    """

    def __init__(self) -> None:
        super().__init__()
        self.launched, self.sized = Counter[str](), Counter[str]()
        self.signature: list[tuple[Any, ...]] = []
        self._within_norm = False
        self._norm = patch.object(attention, "rms_norm", self._as_one(attention.rms_norm))

    def _as_one(self, rms_norm: Callable[..., Tensor]) -> Callable[..., Tensor]:
        def counted(x: Tensor, *arguments: Any) -> Tensor:
            self._note("rms_norm", (x,))
            self._within_norm = True
            try:
                return rms_norm(x, *arguments)
            finally:
                self._within_norm = False

        return counted

    def __enter__(self) -> "Operators":
        self._norm.start()
        super().__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        super().__exit__(*error)
        self._norm.stop()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run the operator and note it."""
        name = str(func).removeprefix("aten.")
        if name.startswith(SIZED) or (name == "index.Tensor" and _by_truth(args[1])):
            self.sized[name] += 1
        if name.split(".")[0] not in VIEWS and not self._within_norm:
            self._note(name, args)
        return func(*args, **(kwargs or {}))

    def _note(self, name: str, arguments: Sequence[Any]) -> None:
        self.launched[name] += 1
        shapes = (tuple(a.shape) for a in arguments if isinstance(a, Tensor))
        self.signature.append((name, *shapes))


def _by_truth(indices: Any) -> bool:
    return any(index is not None and index.dtype == torch.bool for index in indices)


@contextmanager
def host_reads() -> Iterator[Counter[str]]:
    """Counts where the processor would wait for a device: reads of numbers, and shapes made of them."""
    found: Counter[str] = Counter()

    def counted(name: str) -> Any:
        real = getattr(Tensor, name)

        def method(self: Tensor, *arguments: Any, **options: Any) -> Any:
            found[name] += 1
            return real(self, *arguments, **options)

        return method

    patches = [patch.object(Tensor, name, counted(name)) for name in READS]
    with Operators() as operators:
        for each in patches:
            each.start()
        try:
            yield found
        finally:
            for each in patches:
                each.stop()
            found.update(operators.sized)
