"""How options are written that several commands have."""

from collections.abc import Sequence

FORMATS = ("text", "md", "csv", "json")
"""Of the commands that are not ``report``."""


def listed(values: Sequence[str]) -> list[str]:
    """The names of an option that may be repeated, and whose names may be separated by commas."""
    return [name.strip() for value in values for name in value.split(",") if name.strip()]
