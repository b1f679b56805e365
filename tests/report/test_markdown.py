"""Nothing that comes from outside becomes markup in a Markdown report."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from stored_cells import Written, store
from warmup_bench.contracts.settings import Stats
from warmup_bench.report.build import build_tables
from warmup_bench.report.markdown import code, markdown, pipes
from warmup_bench.report.table import Table
from warmup_bench.store.results import read_results

EVIL = "<script>alert(1)</script>`x`|*b*[l](javascript:x)<img src=x onerror=y>\n\n# h"


@pytest.fixture
def table(tmp_path: Path) -> Table:
    texts = [["a b c d e"], ["f g h i j"]]
    for method in ("sft", "draft"):
        store(tmp_path, method, 0, ["a", "b"], texts, [Written(text[0]) for text in texts])
    (made,) = build_tables(read_results(tmp_path), Stats())
    return made


def without_code(text: str) -> str:
    """Markdown without its code spans, in which nothing is markup."""
    return re.sub(r"(?<![`\\])(`+)(?!`).*?(?<!`)\1(?!`)", "", text)


def test_titles_notes_signatures_and_test_sets_are_escaped(table: Table) -> None:
    notes = replace(
        table.notes,
        signatures=((EVIL, EVIL),),
        data=((EVIL, EVIL),),
    )
    columns = tuple(replace(column, name=EVIL) for column in table.columns)
    evil = replace(table, title=EVIL, scope=EVIL, findings=(EVIL,), notes=notes, columns=columns)
    text = without_code(markdown([evil]))
    assert "alert(1)" in text
    assert "<script" not in text and "<img" not in text and not re.search(r"(?<!\\)\]\(", text)
    assert set(re.findall(r"<[^>]*>", text)) <= {"<br>"}
    assert "# h" not in [line.strip() for line in text.splitlines()]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a:1|b:2", "`a:1|b:2`"),
        ("a`b", "``a`b``"),
        ("``", "``` `` ```"),
        ("a\n\n<script>", "`a <script>`"),
    ],
)
def test_code_ends_where_it_ends(text: str, shown: str) -> None:
    assert code(text) == shown


def test_cells_of_a_table_are_texts() -> None:
    assert pipes(["<b>", "x"], [["a|b", "*c*"]])[0] == "| &lt;b&gt; | x |"
    assert pipes(["<b>", "x"], [["a|b", "*c*"]])[2] == r"| a\|b | \*c\* |"
