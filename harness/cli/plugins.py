"""What plugins say of themselves, for a list that a broken one must not stop."""

from collections.abc import Callable
from typing import Any, TypeVar

from warmup_bench.contracts.errors import UserError
from warmup_bench.contracts.registry import Entry

T = TypeVar("T")


def answer(entry: Entry[Any], ask: Callable[[], T]) -> T | UserError:
    """What a plugin answers, or the error of one that can't."""
    try:
        return ask()
    except UserError as error:
        return error
    except Exception as error:
        return UserError(f"{type(error).__name__}: {error}", origin=entry.origin, hint="Mend that plugin.")
