"""``warmup-bench list``: names, one line each, from cards and presets."""

import difflib
import inspect

from rich.console import Console
from rich.table import Table
from rich.text import Text

from harness.errors import UserError
from harness.methods import resolve_method
from harness.objective import Method
from harness.registry import KINDS, Entry


def list_command(kind: str) -> None:
    """Print the plugins of a kind.

    Raises:
        UserError: No such kind.
    """
    if kind not in KINDS:
        near = difflib.get_close_matches(kind, list(KINDS), n=1)
        meant = f"Did you mean {near[0]}?" if near else f"Kinds: {', '.join(KINDS)}."
        raise UserError(f"unknown kind '{kind}'", origin="warmup-bench list", hint=meant)
    headers = {
        "tasks": ("name", "title", "scales", "subsets", "metrics", "licence", "from"),
        "methods": ("name", "objective", "source", "from"),
        "backbones": ("name", "what it is", "from"),
        "metrics": ("name", "column", "signature", "from"),
    }[kind]
    grid = Table(*headers, header_style="bold", box=None, pad_edge=False)
    for name, entry in KINDS[kind]().entries():
        if isinstance(entry, UserError):
            cells = [Text(name), Text(str(entry), style="red")] + [Text("")] * (len(headers) - 2)
        else:
            cells = [Text(text) for text in (name, *_describe(kind, entry), entry.origin)]
        grid.add_row(*cells)
    Console().print(grid)


def _describe(kind: str, entry: Entry[object]) -> tuple[str, ...]:
    value = entry.value
    if kind == "tasks":
        card = value.card  # type: ignore[attr-defined]
        subsets = list(card.subsets)
        shown = ", ".join(subsets[:2]) + (f", … ({len(subsets)})" if len(subsets) > 2 else "")
        return card.title, ", ".join(card.scales), shown, ", ".join(card.metrics), card.licence
    if kind == "methods":
        method = resolve_method(entry.name).value
        options = inspect.signature(value).parameters if not isinstance(value, Method) else {}  # type: ignore[arg-type]
        shown = ", ".join(f"{p.name}={p.default:g}" for p in options.values())
        return method.summary + (f" (options: {shown})" if shown else ""), method.source
    if kind == "backbones":
        return (value.summary,)  # type: ignore[attr-defined]
    from harness.metrics.base import MetricContext

    metric = value(MetricContext())  # type: ignore[operator]
    return metric.name, metric.signature()
