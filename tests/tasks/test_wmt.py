import json
from collections.abc import Callable
from pathlib import Path

import pytest
from layouts import SIZES, json_lines, load, parquet, sentence, write

from warmup_bench.contracts.task import Splits
from warmup_bench.tasks import wmt
from warmup_bench.tasks.mini import cldr

DIRECTIONS = ("de-en", "en-de", "fr-en", "en-fr", "ru-en", "en-ru", "zh-en", "en-zh")

Mini = Callable[[str, str], Splits]
Rows = list[tuple[cldr.Composition, dict[str, str]]]


@pytest.fixture(scope="module")
def rows() -> Rows:
    return list(cldr.corpus(wmt.TEST + wmt.VALIDATION + wmt.TRAIN, wmt.SEED))


def test_the_papers_directions_german_first() -> None:
    assert tuple(wmt.TASK.card.subsets) == DIRECTIONS
    assert wmt.TASK.card.subsets["en-zh"].target_language == "zh"
    assert tuple(wmt.TASK.card.scales) == ("mini", "small", "paper")


def test_sizes_and_ids(mini: Mini) -> None:
    splits = mini("wmt", "de-en")
    assert (len(splits.train), len(splits.validation), len(splits.test)) == (8000, 500, 600)
    assert splits.test[12].id == "test-00012"


def test_directions_are_parallel(mini: Mini) -> None:
    there, back, russian = mini("wmt", "de-en"), mini("wmt", "en-de"), mini("wmt", "en-ru")
    for a, b, c in zip(there.test, back.test, russian.test, strict=True):
        assert (a.id, a.source, a.target) == (b.id, b.target, b.source)
        assert (a.id, a.target) == (c.id, c.source)


@pytest.mark.parametrize("language", cldr.LANGUAGES)
def test_no_test_string_stands_in_the_training_data(rows: Rows, language: str) -> None:
    test = {text[language] for _, text in rows[: wmt.TEST]}
    rest = {text[language] for _, text in rows[wmt.TEST :]}
    assert len(test) == wmt.TEST
    assert not test & rest


def test_no_test_composition_stands_in_the_training_data(rows: Rows) -> None:
    test = {composition for composition, _ in rows[: wmt.TEST]}
    assert len(test) == wmt.TEST
    assert not test & {composition for composition, _ in rows[wmt.TEST :]}


def test_every_name_of_the_test_set_occurs_in_train(rows: Rows) -> None:
    train = set().union(*(cldr.atoms(composition) for composition, _ in rows[wmt.TEST + wmt.VALIDATION :]))
    test = set().union(*(cldr.atoms(composition) for composition, _ in rows[: wmt.TEST]))
    assert {kind for kind, _ in test} >= {"territory", "language", "unit", "currency", "relative", "date"}
    assert len({name for kind, name in test if kind == "territory"}) > 70
    assert test <= train


def test_every_inflected_unit_of_the_test_set_occurs_in_train(rows: Rows) -> None:
    # "21 километр", "2 километра", "5 километров": the word is what follows the number
    write = cldr.renderer("ru")

    def forms(part: Rows) -> set[str]:
        units = {piece for composition, _ in part for piece in composition[1:] if piece[0] == "unit"}
        return {write(("alone", unit)).split(" ", 1)[1] for unit in units}

    test, train = forms(rows[: wmt.TEST]), forms(rows[wmt.TEST + wmt.VALIDATION :])
    assert len(test) > 50
    assert test <= train


def test_lengths(rows: Rows) -> None:
    lengths = [len(text["en"]) for _, text in rows]
    assert min(lengths) >= 20
    assert max(lengths) <= 90
    assert 30 <= sum(lengths) / len(lengths) <= 50


@pytest.mark.parametrize("subset", DIRECTIONS)
def test_news_commentary_trains_and_flores_tests(tmp_path: Path, subset: str) -> None:
    splits = load("wmt", write("wmt", tmp_path), subset)
    source, target = subset.split("-")
    assert len(splits.train) == SIZES["train"]
    assert [e.id for e in splits.test] == [f"devtest-{i:04d}" for i in range(SIZES["test"])]
    fourth = splits.test[3]
    assert (fourth.source, fourth.target) == (sentence(source, "devtest", 3), sentence(target, "devtest", 3))
    assert fourth.group == "https://en.wikinews.org/wiki/devtest_1"
    number = int(splits.train[0].id.removeprefix("news-"))
    assert splits.train[0].source == sentence(source, "news", number)
    assert [e.id for e in splits.train] != sorted(e.id for e in splits.train)  # mixed, so that N are a sample


def test_pairs_that_are_no_translations_or_stand_in_flores_do_not_train(tmp_path: Path) -> None:
    write("wmt", tmp_path)
    known = sentence("en", "devtest", 1)
    pairs = [("Ein Satz.", "A sentence."), ("", "Nothing."), ("Same.", "Same."), ("Bekannt.", known.upper())]
    rows = [{"de": de, "en": en} for de, en in pairs]
    columns = {"id": [str(i) for i in range(len(rows))], "translation": rows}
    parquet(tmp_path / "news_commentary" / "de-en" / "train" / "0000.parquet", columns)
    splits = load("wmt", tmp_path, "de-en")
    assert [(e.id, e.source, e.target) for e in splits.train] == [("news-000000", "Ein Satz.", "A sentence.")]


def test_flores_sentences_are_paired_by_their_id(tmp_path: Path) -> None:
    write("wmt", tmp_path)
    path = tmp_path / "flores_plus" / "devtest" / "deu_Latn.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    json_lines(path, [row for row in rows[::-1] if row["id"] != 2])
    splits = load("wmt", tmp_path, "en-de")
    assert [e.id for e in splits.test] == [f"devtest-{i:04d}" for i in range(SIZES["test"]) if i != 2]
    assert all(e.target == sentence("de", "devtest", int(e.id[-4:])) for e in splits.test)
