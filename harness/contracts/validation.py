"""What a user wrote, held against a pydantic model: one line that names the key and the nearest known one."""

import difflib
from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from warmup_bench.contracts.errors import UserError

Model = TypeVar("Model", bound=BaseModel)


def known_keys(
    content: Mapping[str, Any],
    model: type[BaseModel],
    origin: str,
    *,
    prefix: str = "",
    sections: type[BaseModel] | None = None,
) -> None:
    """See that a mapping has no other keys than a model, and so on in what its keys hold.

    Args:
        content: What was written.
        model: What it is to become.
        origin: Where it stands.
        prefix: Keys above it, with a dot behind each.
        sections: A model whose keys stand in this one too, as plain mappings.

    Raises:
        UserError: An unknown key (the nearest ones are told), or a value that must be a mapping.
    """
    fields = model.model_fields
    for key, value in content.items():
        if key not in fields:
            near = difflib.get_close_matches(str(key), list(fields), n=2, cutoff=0.5)
            meant = f"Did you mean {' or '.join(prefix + n for n in near)}?" if near else ""
            raise UserError(
                f"unknown key '{prefix}{shortened(str(key))}'",
                origin=origin,
                hint=meant or f"Known: {', '.join(fields)}.",
            )
        inner = sections.model_fields.get(key) if sections else None
        kind = (inner or fields[key]).annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            if not isinstance(value, Mapping | BaseModel):
                problem = f"'{prefix}{key}' must hold keys of its own, not {shortened(repr(value))}"
                raise UserError(problem, origin=origin)
            if isinstance(value, Mapping):
                known_keys(value, kind, origin, prefix=f"{prefix}{key}.")


def validated(model: type[Model], content: Mapping[str, Any], origin: str) -> Model:
    """The model of a mapping.

    Raises:
        UserError: A value is not valid; the first one is told.
    """
    try:
        return model.model_validate(dict(content))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        problem = first["msg"].removeprefix("Value error, ")
        shown = f"'{where}' = {shortened(repr(first['input']))} is not valid: " if where else ""
        raise UserError(f"{shown}{shortened(problem)}", origin=origin) from error


def shortened(text: str) -> str:
    """A value in an error message, not longer than a line."""
    return text if len(text) <= 200 else f"{text[:200]}…"
