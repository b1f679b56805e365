"""Loops whose step has one shape: on a GPU a step is captured once, as a CUDA graph, and replayed.

A token of a small model is a few hundred kernels of a few microseconds, and a processor sends them slower
than a GPU runs them. Replayed, they are one call. What is captured is the loop's own code, once its beginning
and once its step, so there is no second version of it; on a CPU, and for a family whose keys grow, it runs
as it is.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from typing import Any, TypeVar

import torch
from torch import Tensor

from warmup_bench.models.stacks.base import Writer
from warmup_bench.models.state import State

KEPT = 16
"""Captured loops that a model keeps: those that it used last."""


class Loop(ABC):
    """Something that goes on token by token.

    All that a step reads and writes is tensors that stay in their place: it changes them, and binds no other.
    The constructor does what comes before the first step.
    """

    writer: Writer

    @abstractmethod
    def step(self) -> None:
        """Go on by one token."""


L = TypeVar("L", bound=Loop)


class Graphs:
    """The captured loops of a model.

    Attributes:
        problem: Why the last loop that could not be captured ran without; empty: all could.
    """

    def __init__(self) -> None:
        self._captured: OrderedDict[Hashable, _Captured] = OrderedDict()
        self._met: set[Hashable] = set()
        self._refused: set[Hashable] = set()
        self._pool: Any = None
        self.problem = ""

    def clear(self) -> None:
        """Let go of all of them: weights have moved, or memory has run out."""
        self._captured.clear()
        self._met.clear()
        self._pool = None

    def begin(self, make: Callable[..., L], state: State, tensors: Sequence[Tensor], settings: Hashable) -> L:
        """The loop ``make(state, *tensors)`` after its beginning, captured from its second time on.

        ``settings`` are what else tells it from others of these shapes. Memory that runs out while it is
        captured, or anything else that fails there, leaves it as it is on a CPU.
        """
        inputs = [*state.tensors(), *tensors]
        key = (settings, *((tuple(t.shape), t.dtype) for t in inputs))
        if key not in self._captured:
            if key in self._refused or key not in self._met:  # the first time warms up what is made lazily
                self._met.add(key)
                return make(state, *tensors)
            try:
                self._captured[key] = _Captured(make, state, tensors, self._shared_pool())
            except RuntimeError as error:  # memory that runs out is one
                self._captured.clear()
                self._refused.add(key)
                self.problem = (str(error).splitlines() or [type(error).__name__])[0]
                return make(state, *tensors)
            while len(self._captured) > KEPT:
                self._captured.popitem(last=False)
        self._captured.move_to_end(key)
        found = self._captured[key]
        found.begin(inputs)
        return found  # type: ignore[return-value]  # it has the attributes of its loop

    def _shared_pool(self) -> Any:
        """One for all: they run one after the other, and each begins with nothing."""
        if self._pool is None:
            self._pool = torch.cuda.graph_pool_handle()
        return self._pool


class _Captured:
    """A loop over inputs that stay in their place."""

    def __init__(self, make: Callable[..., Loop], state: State, tensors: Sequence[Tensor], pool: Any) -> None:
        state, tensors = state.map(torch.clone), [t.clone() for t in tensors]
        self._inputs = [*state.tensors(), *tensors]
        self._loop: Loop
        self._first, self._next = torch.cuda.CUDAGraph(), torch.cuda.CUDAGraph()
        with torch.cuda.graph(self._first, pool=pool, capture_error_mode="thread_local"):
            self._loop = make(state, *tensors)
        with torch.cuda.graph(self._next, pool=pool, capture_error_mode="thread_local"):
            self._loop.step()
        del self._loop.writer  # the largest part; the memory is the next one's too

    def begin(self, inputs: Sequence[Tensor]) -> None:
        """Begin anew with other inputs of the same shapes."""
        torch._foreach_copy_(self._inputs, list(inputs))
        self._first.replay()

    def step(self) -> None:
        """See :meth:`Loop.step`."""
        self._next.replay()

    def __getattr__(self, name: str) -> Any:
        """What the loop has found so far."""
        return getattr(self._loop, name)
