"""Python's search for garbage, kept away from what a process imports before it works."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def staying() -> Iterator[None]:
    """What is made in here stays until the process ends: no search for garbage looks at it, now or later.

    torch and transformers make a million objects as they are imported. Each full search would look at all of
    them: 0.3 CPU seconds, and it is due several times an import and once a stage.
    """
    gc.collect()  # what is garbage by now must not stay
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if enabled:
            gc.enable()
