"""``warmup-bench list``: the plugins of a kind, from cards and presets."""

import difflib
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from warmup_bench.cli.plugins import answer
from warmup_bench.contracts.errors import UserError
from warmup_bench.contracts.method import Method
from warmup_bench.contracts.registry import Entry
from warmup_bench.contracts.resolve import resolve_method
from warmup_bench.data.registry import KINDS


def list_command(kind: str, data_dir: Path | None = None) -> None:
    """Print the plugins of a kind; ``data_dir`` is where tasks look for their files.

    Raises:
        UserError: No such kind, or no such folder.
    """
    if kind not in KINDS:
        near = difflib.get_close_matches(kind, list(KINDS), n=1)
        meant = f"Did you mean {near[0]}?" if near else f"Kinds: {', '.join(KINDS)}."
        raise UserError(f"unknown kind '{kind}'", origin="warmup-bench list", hint=meant)
    console = Console()
    if kind == "tasks":
        from warmup_bench.cli.task_list import print_tasks

        print_tasks(console, KINDS[kind]().entries(), data_dir)
        return
    headers = {
        "methods": ("name", "objective, source, origin"),
        "samplers": ("name", "which warmups are drawn, origin"),
        "backbones": ("name", "what it is, origin"),
        "metrics": ("name", "column", "signature, origin"),
    }[kind]
    grid = Table(*headers, header_style="bold", box=None, pad_edge=False)
    for name, entry in KINDS[kind]().entries():
        row = entry if isinstance(entry, UserError) else _row(kind, entry)
        if isinstance(row, UserError):
            row = [*[Text("")] * (len(headers) - 2), Text(str(row), style="red")]
        grid.add_row(Text(name), *row)
    console.print(grid)


def _row(kind: str, entry: Entry[Any]) -> list[Text] | UserError:
    """The columns after the name, or the error of a plugin that can't be asked about itself."""
    described = answer(entry, lambda: _describe(kind, entry))
    if isinstance(described, UserError):
        return described
    *short, (first, *more) = described
    return [
        *map(Text, short),
        Text.assemble(first, *(("\n" + line, "dim") for line in (*more, entry.origin))),
    ]


def _describe(kind: str, entry: Entry[Any]) -> tuple[Any, ...]:
    """The short columns of a row, and last the lines of its description."""
    value = entry.value
    if kind == "methods":
        method = resolve_method(entry.name).value
        return ((method.summary + ("" if isinstance(value, Method) else _options(value)), method.source),)
    if kind == "samplers":
        return ((value().summary + _options(value),),)
    if kind == "backbones":
        return ((value.summary,),)
    from warmup_bench.contracts.learned_metric import is_learned
    from warmup_bench.contracts.metric import MetricContext

    metric = value(MetricContext("en", ("A", "B", "C", "D")))  # labels for those that need them
    reason = metric.missing() if is_learned(metric) else ""
    return metric.name, (f"can't score here: {reason}" if reason else metric.signature(),)


def _options(maker: Callable[..., Any]) -> str:
    options = ", ".join(f"{p.name}={p.default:g}" for p in inspect.signature(maker).parameters.values())
    return f" (options: {options})" if options else ""
