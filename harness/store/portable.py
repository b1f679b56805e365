"""Plain data without what names a machine, and without texts: what may be published of it."""

from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any


def portable(content: Any) -> Any:
    """Plain data in which every absolute path is its last name: no folder of a machine is told."""
    if isinstance(content, Mapping):
        return {portable(key): portable(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [portable(value) for value in content]
    return _portable(content) if isinstance(content, str) else content


def portable_command(arguments: Sequence[str]) -> list[str]:
    """The same of a command line, where a path may stand behind an equals sign."""
    return ["=".join(map(_portable, argument.split("=", 1))) for argument in arguments]


def _portable(text: str) -> str:
    for kind in (PurePosixPath, PureWindowsPath):
        path = kind(text)
        if path.is_absolute() or text.startswith("~"):
            return path.name
    return text


def numbers_of(content: Any) -> Any:
    """Plain data without its texts: what a plugin writes into a log is not known here."""
    if isinstance(content, Mapping):
        return {key: numbers_of(value) for key, value in content.items() if not isinstance(value, str)}
    if isinstance(content, list | tuple):
        return [numbers_of(value) for value in content if not isinstance(value, str)]
    return content
