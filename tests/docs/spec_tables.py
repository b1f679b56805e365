"""The tables of docs/spec.md, from the models that read a spec; run as a program, this prints them."""

import sys
import types
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from warmup_bench.contracts.settings import Resources, Score, Settings, Stats, Store, Tune
from warmup_bench.data.declaration import Declaration
from warmup_bench.spec.spec import RunSpec

OWN = {"score": Score, "stats": Stats, "tune": Tune, "resources": Resources, "store": Store}
"""Sections of a run, beside those of :class:`warmup_bench.contracts.settings.Settings`."""


def tables() -> dict[str, str]:
    """Heading -> Markdown table, in the order of the page."""
    sections = {name: field.annotation for name, field in Settings.model_fields.items()}
    plain = {name: f for name, f in RunSpec.model_fields.items() if name not in sections and name not in OWN}
    made = {"The run": _table(plain)}
    for name, model in (*sections.items(), *OWN.items()):
        assert isinstance(model, type) and issubclass(model, BaseModel)
        made[f"`{name}`"] = _table(_flat(model, f"{name}."))
    return made


def declared() -> str:
    """The table of docs/task-without-python.md."""
    return _table(_flat(Declaration, ""))


def _flat(model: type[BaseModel], prefix: str) -> dict[str, FieldInfo]:
    fields = {}
    for name, field in model.model_fields.items():
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            fields |= _flat(inner, f"{prefix}{name}.")
        else:
            fields[f"{prefix}{name}"] = field
    return fields


def _table(fields: dict[str, FieldInfo]) -> str:
    rows = ["| key | default | what |", "|---|---|---|"]
    for key, field in fields.items():
        told = "; ".join(filter(None, (_values(field.annotation), field.description or "")))
        rows.append(f"| `{key}` | {_default(field)} | {told.replace('|', chr(92) + '|')} |")
    return "\n".join(rows)


def _values(kind: Any) -> str:
    """The values that a key can have, where they are few."""
    if get_origin(kind) is Literal:
        return ", ".join(f"`{value}`" for value in get_args(kind))
    if get_origin(kind) in (Union, types.UnionType):
        return next(filter(None, map(_values, get_args(kind))), "")
    return ""


def _default(field: FieldInfo) -> str:
    value = field.get_default(call_default_factory=True)
    if value is PydanticUndefined:
        return "must be given"
    if value is None or value in ((), {}, [], ""):
        return "none"
    if isinstance(value, dict | tuple):
        return f"`[{', '.join(map(str, value))}]`"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    return f"`{value:g}`" if isinstance(value, float) else f"`{value}`"


if __name__ == "__main__":
    for heading, table in tables().items():
        sys.stdout.write(f"## {heading}\n\n{table}\n\n")
    sys.stdout.write(f"## Every key of a declared task\n\n{declared()}\n")
