"""The page on Python: its blocks run, its output is compared, and it names all that there is."""

import contextlib
import inspect
import io
import re
from pathlib import Path
from typing import Any

import pytest

import warmup_bench as wb

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "python.md").read_text(encoding="utf-8")


def test_the_blocks_print_what_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    names: dict[str, Any] = {}
    printed, compared = "", 0
    for language, text in re.findall(r"^```(\w+)\n(.*?)^```$", PAGE, flags=re.M | re.S):
        if language == "python":
            with contextlib.redirect_stdout(io.StringIO()) as out:
                exec(text, names)
            printed = out.getvalue()
        else:
            assert printed == text
            compared += 1
    assert compared == 3


def test_every_public_name_and_method_is_there() -> None:
    told = set(re.findall(r"`(?:wb\.)?(\w+)[`(]", PAGE))
    assert set(wb.__all__) <= told
    methods = {name for name, _ in inspect.getmembers(wb.Results, inspect.isfunction) if name[0] != "_"}
    assert methods <= told
