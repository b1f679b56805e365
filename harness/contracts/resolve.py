"""Methods by reference: a name or a file, with options behind colons (``warmup-garl:q=0.75``).

A method that samples takes ``sampler=NAME`` too, with the options of the sampler behind it
(``warmup:sampler=pilot:spread=0.5``).
"""

import dataclasses
import inspect
from typing import Any

from warmup_bench.contracts.errors import UserError
from warmup_bench.contracts.method import Method, Sampler
from warmup_bench.contracts.registry import Entry, methods, samplers

SAMPLER = "sampler="


def resolve_method(reference: str) -> Entry[Method]:
    """Load a method and set its options; its name then carries them.

    Raises:
        UserError: An unknown method, sampler or option, a value that is not a number, a sampler for a method
            that does not sample, or a plugin that is not a method.
    """
    base, *assignments = reference.split(":")
    split = next((i for i, a in enumerate(assignments) if a.startswith(SAMPLER)), len(assignments))
    entry = methods().load(base)
    method = entry.value
    if not isinstance(method, Method):
        method = _made("method", reference, entry, assignments[:split])
    elif assignments[:split]:
        raise UserError(f"method '{base}' has no options", origin=reference, hint=f"Ask for '{base}'.")
    if not isinstance(method, Method):
        raise UserError(f"method '{base}' is not a warmup_bench.Method", origin=entry.origin)
    if method.warmup == "given" and method.give is None:
        raise UserError(f"method '{base}' says its warmups are given, but has no 'give'", origin=entry.origin)
    sampler, code = method.sampler, entry.code
    if split < len(assignments):
        if method.warmup != "sampled":
            raise UserError(
                f"method '{base}' draws no warmups, so it takes no sampler",
                origin=reference,
                hint=f"Ask for '{':'.join([base, *assignments[:split]])}'.",
            )
        sampler, code = _sampler(reference, assignments[split], assignments[split + 1 :], entry.code)
    name = ":".join([method.name, *assignments])
    return Entry(name, dataclasses.replace(method, name=name, sampler=sampler), entry.origin, code)


def _sampler(reference: str, chosen: str, options: list[str], code: str) -> tuple[Sampler, str]:
    """A sampler with its options, and the version of the method's code with the sampler's."""
    entry = samplers().load(chosen.removeprefix(SAMPLER))
    sampler = _made("sampler", reference, entry, options)
    if not isinstance(sampler, Sampler):
        raise UserError(f"sampler '{entry.name}' is not a warmup_bench.Sampler", origin=entry.origin)
    return sampler, f"{code}, {entry.code}"


def _made(kind: str, reference: str, entry: Entry[Any], assignments: list[str]) -> object:
    """What a plugin's function returns for the options of a reference."""
    options = _options(kind, entry, assignments)
    try:
        return entry.value(**options)
    except UserError:
        raise
    except Exception as error:
        raise UserError(
            f"{kind} '{reference}' can't be made: {type(error).__name__}: {error}", origin=entry.origin
        ) from error


def _options(kind: str, entry: Entry[Any], assignments: list[str]) -> dict[str, float]:
    if not callable(entry.value):
        raise UserError(f"{kind} '{entry.name}' is not a warmup_bench.{kind.title()}", origin=entry.origin)
    known = inspect.signature(entry.value).parameters
    options = {}
    for assignment in assignments:
        key, _, value = assignment.partition("=")
        if key not in known:
            raise UserError(
                f"{kind} '{entry.name}' has no option '{key}'",
                origin=assignment,
                hint=f"It has: {', '.join(known) or 'none'}.",
            )
        try:
            options[key] = float(value)
        except ValueError as error:
            raise UserError(f"option '{assignment}' of {kind} '{entry.name}' is not a number") from error
    return options
