"""``--where KEY=VALUE``: which stored cells of a method are meant, where there are several of one seed."""

from collections.abc import Sequence
from typing import Any

from warmup_bench.contracts.errors import UserError
from warmup_bench.contracts.settings import Settings, flattened, shown
from warmup_bench.spec.cell import Cell

COORDINATES = ("task", "scale", "subset", "backbone")


def choose(cells: Sequence[Cell], where: Sequence[str], name: str) -> list[Cell]:
    """The cells that have every value that is asked for. Keys of warmups leave methods without them alone.

    Raises:
        UserError: No ``KEY=VALUE``, an unknown key, or no cell of the system ``name`` with that value.
    """
    known = (*COORDINATES, *flattened(Settings().model_dump()))
    chosen = list(cells)
    for condition in where:
        key, equals, wanted = condition.partition("=")
        if not equals:
            raise _error(f"'{condition}' is not a condition", "Write KEY=VALUE, as subset=de-en.")
        if key not in known:
            raise _error(f"stored cells have no '{key}'", f"They have: {', '.join(known)}.")
        candidates = [(cell, _values(cell)) for cell in chosen]
        chosen = [cell for cell, values in candidates if key not in values or _same(wanted, values[key])]
        if not chosen:
            stored = ", ".join(sorted({shown(values[key]) for _, values in candidates}))
            raise _error(f"no stored cell of {name} has {condition}", f"Stored: {stored}.")
    return chosen


def _error(problem: str, hint: str) -> UserError:
    return UserError(problem, origin="--where", hint=hint)


def telling_apart(cells: Sequence[Cell]) -> str:
    """How to choose among these cells: the keys of all in which they differ, with their values; empty where
    there is none.
    """
    settings = [_values(cell) for cell in cells]
    options = []
    for key in (key for key in settings[0] if all(key in values for values in settings)):
        stored = sorted({shown(values[key]) for values in settings})
        if len(stored) > 1:
            options.append(f"--where {key}=VALUE ({', '.join(stored)})")
    return f"Choose with {' and '.join(options)}." if options else ""


def _values(cell: Cell) -> dict[str, Any]:
    """Coordinates and settings of a cell, keys with dots; without the warmup's where it has none."""
    settings = flattened(cell.settings.model_dump(mode="json"))
    if cell.warmup == "none":
        settings = {k: v for k, v in settings.items() if not k.startswith("warmup.") and k != "decode.warmup"}
    return {key: getattr(cell, key) for key in COORDINATES} | settings


def _same(wanted: str, value: Any) -> bool:
    """Whether a text means this value: numbers by their size, others as they are shown."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        try:
            return float(wanted) == value
        except ValueError:
            return False
    return wanted.casefold() == shown(value).casefold()
