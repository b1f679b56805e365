from pathlib import Path

import pytest
from layouts import SIZES, load, sentence, write

from warmup_bench.contracts.errors import UserError
from warmup_bench.tasks import ntrex


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


def test_a_text_in_another_script_is_refused(tmp_path: Path) -> None:
    write("ntrex", tmp_path)
    folder = tmp_path / "ntrex" / "NTREX-128"
    russian, german = folder / "newstest2019-ref.rus.txt", folder / "newstest2019-ref.deu.txt"
    texts = russian.read_bytes(), german.read_bytes()
    russian.write_bytes(texts[1])
    with pytest.raises(UserError, match=r"ref\.rus\.txt is not ru: 0 of 8 texts hold Cyrillic letters"):
        load("ntrex", tmp_path, "ru-en")
    german.write_bytes(texts[0])
    with pytest.raises(UserError, match=r"ref\.deu\.txt is not de: 8 of 8 texts hold Cyrillic letters"):
        load("ntrex", tmp_path, "en-de")


def test_an_empty_document_is_refused(tmp_path: Path) -> None:
    write("ntrex", tmp_path)
    (tmp_path / "ntrex" / "DOCUMENT_IDS.tsv").write_text("bbc.1\n" * 3 + "\n" + "bbc.2\n" * 4)
    with pytest.raises(UserError, match=r"DOCUMENT_IDS\.tsv has an empty line, 4"):
        load("ntrex", tmp_path, "de-en", "small")


def test_both_papers_are_cited() -> None:
    citation = ntrex.TASK.card.citation
    assert "2022.sumeval-1.4" in citation and "W19-5301" in citation
