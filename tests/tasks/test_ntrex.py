from pathlib import Path

import pytest
from layouts import SIZES, load, sentence, write

from warmup_bench.contracts.errors import UserError


def test_documents_are_the_groups(tmp_path: Path) -> None:
    splits = load("ntrex", write("ntrex", tmp_path), "zh-en", "small")
    first = splits.test[0]
    assert (first.source, first.target) == (sentence("zh", "ntrex", 0), sentence("en", "ntrex", 0))
    assert [e.group for e in splits.test] == ["bbc.0"] * 3 + ["bbc.1"] * 3 + ["bbc.2"] * 2
    assert all(e.id.startswith("news-") for e in (*splits.train, *splits.validation))
    assert len(splits.train) + len(splits.validation) == SIZES["train"]


def test_documents_of_another_length_are_refused(tmp_path: Path) -> None:
    write("ntrex", tmp_path)
    (tmp_path / "ntrex" / "DOCUMENT_IDS.tsv").write_text("bbc.1\n")
    with pytest.raises(UserError, match=r"DOCUMENT_IDS\.tsv has 1 lines, the texts have 8"):
        load("ntrex", tmp_path, "de-en", "small")
