"""How options are written that several commands have."""

from collections.abc import Sequence

from warmup_bench.contracts.errors import UserError

FORMATS = ("text", "md", "csv", "json")
"""Of the commands that are not ``report``."""


def listed(values: Sequence[str]) -> list[str]:
    """The names of an option that may be repeated, and whose names may be separated by commas."""
    return [name.strip() for value in values for name in value.split(",") if name.strip()]


def check_format(format_: str, formats: Sequence[str]) -> None:
    """See that a command knows the format that it was asked for.

    Raises:
        UserError: It does not.
    """
    if format_ not in formats:
        raise UserError(
            f"unknown format '{format_}'", origin="--format", hint=f"Formats: {', '.join(formats)}."
        )
