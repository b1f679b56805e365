"""Methods by reference: a name or a file, with options behind colons (``warmup-garl:q=0.75``)."""

import dataclasses
import inspect

from harness.errors import UserError
from harness.objective import Method
from harness.registry import Entry, methods


def resolve_method(reference: str) -> Entry[Method]:
    """Load a method and set its options; its name then carries them.

    Raises:
        UserError: An unknown method or option, a value that is no number, or a plugin that is no method.
    """
    base, *assignments = reference.split(":")
    entry = methods().load(base)
    made = entry.value
    if not isinstance(made, Method):
        options = _options(made, base, assignments, entry.origin)
        try:
            made = made(**options)
        except UserError:
            raise
        except Exception as error:
            raise UserError(
                f"method '{reference}' can't be made: {type(error).__name__}: {error}", origin=entry.origin
            ) from error
    elif assignments:
        raise UserError(f"method '{base}' has no options", origin=reference, hint=f"Ask for '{base}'.")
    if not isinstance(made, Method):
        raise UserError(f"method '{base}' is no harness.objective.Method", origin=entry.origin)
    if made.warmup == "given" and made.give is None:
        raise UserError(f"method '{base}' says its warmups are given, but has no 'give'", origin=entry.origin)
    name = ":".join([made.name, *assignments])
    return Entry(name, dataclasses.replace(made, name=name), entry.origin, entry.code)


def _options(factory: object, base: str, assignments: list[str], origin: str) -> dict[str, float]:
    if not callable(factory):
        raise UserError(f"method '{base}' is no harness.objective.Method", origin=origin)
    known = inspect.signature(factory).parameters
    options = {}
    for assignment in assignments:
        key, _, value = assignment.partition("=")
        if key not in known:
            raise UserError(
                f"method '{base}' has no option '{key}'",
                origin=assignment,
                hint=f"It has: {', '.join(known)}.",
            )
        try:
            options[key] = float(value)
        except ValueError as error:
            raise UserError(f"option '{assignment}' of method '{base}' is no number") from error
    return options
