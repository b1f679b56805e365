"""Named plugins, found lazily through entry points or a file path.

A name is resolved when it is asked for, so listing costs no heavy import and one broken plugin stops
nothing else. Two distributions that claim one name are refused with both origins.
"""

import difflib
import hashlib
import importlib.util
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any, Generic, TypeVar

from warmup_bench.contracts.errors import UserError, said_by
from warmup_bench.contracts.method import Method
from warmup_bench.contracts.preset import Preset

T = TypeVar("T")

OLD_NAMES = ("harness", "tasks", "baselines")
"""Packages that version 0.1.0 installed."""
PLUGINS = "WARMUP_BENCH_PLUGINS"
"""Variable with the plugin files that stored results may name, separated as in PATH."""
_named: set[str] = set()  # files that this process was asked to load


@dataclass(frozen=True, slots=True)
class Entry(Generic[T]):
    """A resolved plugin.

    Attributes:
        name: Name in tables and cell ids.
        value: The plugin object.
        origin: Distribution or file that it came from.
        code: Version of its code, part of a cell's hash: the SHA-256 (12 hex digits) of the text of its
            module, behind the distribution's version where it has one, so that edited code never meets a
            stale result. Of a checkpoint folder: that of the files that are loaded from it; of a hub id:
            "hub".
    """

    name: str
    value: T
    origin: str
    code: str


class Registry(Generic[T]):
    """The plugins of one kind, e.g. tasks."""

    def __init__(
        self, kind: str, variable: str, what: str = "", fits: Callable[[Any], bool] = lambda value: True
    ) -> None:
        """Name a kind; nothing is looked up before it is asked for.

        Args:
            kind: The singular noun ("task").
            variable: The name that a plugin file must define.
            what: What a plugin object has to be ("warmup_bench.Task").
            fits: Whether one is.
        """
        self.kind, self.group, self.variable = kind, f"warmup_bench.{kind}s", variable
        self.what, self.fits = what, fits

    def names(self) -> list[str]:
        """All registered names, in alphabetical order."""
        return sorted({ep.name for ep, _ in declared(self.group)})

    def load(self, reference: str) -> Entry[T]:
        """Resolve a name, or a path to a ``.py`` file that defines :attr:`variable`.

        Raises:
            UserError: Unknown name (the nearest ones are told), a name claimed twice, a missing file, or a
                plugin that fails to import or is something else.
        """
        if reference.endswith(".py"):
            return self._checked(self._from_file(Path(reference)))
        points = [(point, owner) for point, owner in declared(self.group) if point.name == reference]
        distinct = {(point.value, dist) for point, (dist, _) in points}
        if not points:
            raise self.unknown(reference)
        if len(distinct) > 1:
            both = " and ".join(sorted(f"{value} of {dist}" for value, dist in distinct))
            raise UserError(
                f"{self.kind} '{reference}' is registered twice, by {both}",
                origin=f"entry points '{self.group}'",
                hint="Uninstall one of the two, or rename it.",
            )
        point, (dist, version) = points[0]
        try:
            value = point.load()
        except BaseException as error:  # a plugin may raise anything
            if isinstance(error, KeyboardInterrupt):
                raise
            raise UserError(
                f"{self.kind} '{reference}' failed to import: {_why(error)}",
                origin=f"{point.value} of {dist}",
                hint="Mend or uninstall that plugin.",
            ) from error
        code = f"{version}+{_text_hash(point.module)}"
        return self._checked(Entry(reference, value, f"{dist} {version}", code))

    def load_stored(self, reference: str) -> Entry[T]:
        """Resolve what a stored result names: a file only where the user has named it too.

        Results come from others as well; reading them must not run a file that they choose. A file counts as
        named where this process was asked for it, or where :data:`PLUGINS` lists it.

        Raises:
            UserError: As :meth:`load`, or a file that nobody has named.
        """
        if reference.endswith(".py") and _real(reference) not in _named | _listed():
            raise UserError(
                f"stored results name the {self.kind} file {reference}, and reading results runs no file "
                "that you have not named",
                origin="the results folder",
                hint=f"If you trust that file: {PLUGINS}={reference} warmup-bench …",
            )
        return self.load(reference)

    def _checked(self, entry: Entry[T]) -> Entry[T]:
        if not self.fits(entry.value):
            problem = f"{self.kind} '{entry.name}' is not a {self.what}"
            raise UserError(problem, origin=entry.origin, hint="Mend that plugin.")
        return entry

    def unknown(self, reference: str) -> UserError:
        """The error for a name that is not there, with the nearest names."""
        names = self.names()
        near = difflib.get_close_matches(reference, names, n=3, cutoff=0.5)
        meant = f"Did you mean {' or '.join(near)}?" if near else f"Known: {', '.join(names) or 'none'}."
        return UserError(
            f"unknown {self.kind} '{reference}'", hint=f"{meant} See 'warmup-bench list {self.kind}s'."
        )

    def entries(self) -> Iterator[tuple[str, Entry[T] | UserError]]:
        """Every name with its plugin, or with the error that its import raised."""
        for name in self.names():
            try:
                yield name, self.load(name)
            except UserError as error:
                yield name, error

    def _from_file(self, path: Path) -> Entry[T]:
        if not os.path.isfile(path):  # noqa: PTH113 - false for a name that is too long, where Path.is_file raises
            raise UserError(f"{self.kind} file {path} does not exist", hint="Check the path.")
        _named.add(_real(path))
        code = hashlib.sha256(path.read_bytes()).hexdigest()[:12]
        module_name = f"warmup_bench_plugin_{path.stem}_{code}"
        spec = importlib.util.spec_from_file_location(module_name, path)
        if spec is None or spec.loader is None:  # pragma: no cover - only for a path without a loader
            raise UserError(f"{self.kind} file {path} can't be imported")
        module = importlib.util.module_from_spec(spec)
        sys.modules[module_name] = module  # dataclasses and pickling look the module up by name
        try:
            spec.loader.exec_module(module)
        except BaseException as error:  # a plugin may raise anything
            if isinstance(error, KeyboardInterrupt):
                raise
            del sys.modules[module_name]
            raise UserError(f"{self.kind} file failed to import: {_why(error)}", origin=str(path)) from error
        value: Any = getattr(module, self.variable, None)
        if value is None:
            raise UserError(
                f"{self.kind} file defines no variable '{self.variable}'",
                origin=str(path),
                hint=f"Add {self.variable} = ... at module level.",
            )
        name = getattr(getattr(value, "card", value), "name", None)
        # A class whose instances have a name gives a property here, which names nothing.
        return Entry(name if isinstance(name, str) else path.stem, value, str(path), code)


def _why(error: BaseException) -> str:
    """An import's error in words; where a plugin was written for 0.1.0, the names of today."""
    reason = f"{type(error).__name__}: {said_by(error)}"
    if isinstance(error, ImportError) and str(error.name).partition(".")[0] in OLD_NAMES:
        reason += (
            "; all of it is in one package now: 'from warmup_bench import Task, Example, Method, Metric, "
            "MetricContext, Preset, UserError', and warmup_bench.tasks, warmup_bench.baselines"
        )
    return reason


def _real(path: str | Path) -> str:
    return os.path.realpath(path)


def _listed() -> set[str]:
    return {_real(path) for path in os.environ.get(PLUGINS, "").split(os.pathsep) if path}


def _text_hash(module: str) -> str:
    """First 12 hex digits of the SHA-256 of a loaded module's file; "builtin" where it has none."""
    file = getattr(sys.modules[module], "__file__", None)
    return hashlib.sha256(Path(file).read_bytes()).hexdigest()[:12] if file else "builtin"


def declared(group: str) -> tuple[tuple[EntryPoint, tuple[str, str]], ...]:
    """The entry points of a group, each with the name and version of its distribution.

    Every distribution's files are read for them, which takes milliseconds: once a process is enough, unless
    its path has changed.
    """
    return _declared(group, tuple(sys.path))


@lru_cache(maxsize=16)
def _declared(group: str, path: tuple[str, ...]) -> tuple[tuple[EntryPoint, tuple[str, str]], ...]:
    return tuple((point, _distribution(point)) for point in entry_points(group=group))


def _distribution(entry: EntryPoint) -> tuple[str, str]:
    dist = entry.dist
    return (dist.name, dist.version) if dist is not None else ("an unknown distribution", "0")


def methods() -> Registry[Any]:
    """Methods: :class:`~warmup_bench.Method`, or a function that makes one; variable ``METHOD``."""
    return Registry(
        "method", "METHOD", "warmup_bench.Method", lambda value: isinstance(value, Method) or callable(value)
    )


def metrics() -> Registry[Any]:
    """Metrics: a :data:`warmup_bench.contracts.metric.MetricFactory`, variable ``METRIC``."""
    return Registry("metric", "METRIC", "function of a MetricContext", callable)


def backbones() -> Registry[Any]:
    """Backbones: :class:`~warmup_bench.Preset`, variable ``BACKBONE``."""
    return Registry("backbone", "BACKBONE", "warmup_bench.Preset", lambda value: isinstance(value, Preset))


def samplers() -> Registry[Any]:
    """Samplers: a function with keyword defaults that makes a :class:`~warmup_bench.Sampler`."""
    return Registry("sampler", "SAMPLER", "function that makes a warmup_bench.Sampler", callable)
