"""docs/spec.md tells every key as the models have it, and its example is a spec."""

import re
from pathlib import Path

import pytest
import yaml
from spec_tables import declared, tables

from warmup_bench.spec.spec import make_spec, parse_assignment

PAGE = (Path(__file__).parents[2] / "docs" / "spec.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("heading", list(tables()))
def test_every_key_is_told_as_it_is(heading: str) -> None:
    section = PAGE.split(f"\n## {heading}\n", 1)[1].split("\n## ", 1)[0]
    assert section.strip() == tables()[heading], "python tests/docs/spec_tables.py prints the tables"


def test_every_key_of_a_declared_task_is_told() -> None:
    page = (Path(__file__).parents[2] / "docs" / "task-without-python.md").read_text(encoding="utf-8")
    assert f"\n{declared()}\n" in page


def test_the_example_is_a_spec() -> None:
    (text,) = re.findall(r"```yaml\n(.*?)```", PAGE, flags=re.DOTALL)
    spec = make_spec(yaml.safe_load(text), "docs/spec.md")
    assert spec.seeds == (0, 1, 2, 3, 4, 5)


def test_a_name_with_a_dot_stands_in_the_value() -> None:
    (text,) = re.findall(r"--set '(.*?)'", PAGE)
    assert parse_assignment(text) == {"methods": {"warmup-garl:q=0.5": {"warmup": {"samples": 8}}}}
