"""A function call in a fresh process: memory and threads of its own."""

import multiprocessing
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


def run_fresh(function: Callable[P, R], *arguments: P.args, **named: P.kwargs) -> R:
    """Call ``function``, which a module must hold, in a new Python process; its exceptions come back."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(function, *arguments, **named).result()
