"""What a command prints as."""

from collections.abc import Sequence

from harness.errors import UserError


def check_format(format_: str, formats: Sequence[str]) -> None:
    """See that a command knows the format that it was asked for.

    Raises:
        UserError: It does not.
    """
    if format_ not in formats:
        raise UserError(
            f"unknown format '{format_}'", origin="--format", hint=f"Formats: {', '.join(formats)}."
        )
