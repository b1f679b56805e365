"""docs/methods.md has a row for every built-in method and sampler, with its options at their defaults."""

import inspect
import re
from pathlib import Path

import pytest

from warmup_bench.contracts.registry import Entry
from warmup_bench.data.registry import KINDS

PAGE = (Path(__file__).parents[2] / "docs" / "methods.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("kind", ["methods", "samplers"])
def test_every_plugin_has_a_row(kind: str) -> None:
    rows = re.findall(r"^\| `([^`]+)` \|", PAGE, flags=re.MULTILINE)
    registry = KINDS[kind]()
    for name in registry.names():
        entry: Entry[object] = registry.load(name)
        options = inspect.signature(entry.value).parameters if inspect.isfunction(entry.value) else {}
        told = ":".join([name, *(f"{key}={option.default:g}" for key, option in options.items())])
        assert told in rows
