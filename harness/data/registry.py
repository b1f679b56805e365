"""Tasks by reference: a name, a Python file, a YAML file, or a hub data set; and every kind of plugin."""

from typing import Any

from warmup_bench.contracts.registry import (
    Entry,
    Registry,
    backbones,
    methods,
    metrics,
    samplers,
)
from warmup_bench.contracts.task import Task


class TaskRegistry(Registry[Task]):
    """Tasks of packages, of Python files (variable ``TASK``), and declared ones."""

    def __init__(self) -> None:
        super().__init__("task", "TASK", "warmup_bench.Task", lambda value: isinstance(value, Task))

    def load(self, reference: str) -> Entry[Task]:
        """Resolve a name, a ``.py`` or ``.yaml`` file, or ``hf:OWNER/NAME``.

        Raises:
            UserError: As :meth:`warmup_bench.contracts.registry.Registry.load`, or a declaration that is not
                a task.
        """
        if not is_declared(reference):
            return super().load(reference)
        from warmup_bench.data.declared import load_declared

        return load_declared(reference)


def is_declared(reference: str) -> bool:
    """Whether a reference is a YAML file or a hub data set: a task without Python."""
    return reference.startswith("hf:") or reference.partition("@")[0].endswith((".yaml", ".yml"))


def tasks() -> Registry[Any]:
    """Tasks: :class:`~warmup_bench.Task`, variable ``TASK``, or a declared one."""
    return TaskRegistry()


KINDS = {
    "tasks": tasks,
    "methods": methods,
    "samplers": samplers,
    "backbones": backbones,
    "metrics": metrics,
}
