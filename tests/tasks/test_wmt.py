import json
import shutil
from collections.abc import Callable
from pathlib import Path

import layouts
import pytest
from layouts import SIZES, json_lines, load, parquet, sentence, write

from warmup_bench.contracts.errors import UserError
from warmup_bench.contracts.task import LoadRequest, Splits
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
    parquet(tmp_path / "news_commentary" / "de-en" / "train-00000-of-00001.parquet", columns)
    splits = load("wmt", tmp_path, "de-en")
    assert [(e.id, e.source, e.target) for e in splits.train] == [("news-000000", "Ein Satz.", "A sentence.")]


def test_flores_sentences_are_paired_by_their_id(tmp_path: Path) -> None:
    write("wmt", tmp_path)
    path = tmp_path / "flores_plus" / "devtest" / "deu_Latn.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    json_lines(path, rows[::-1])
    splits = load("wmt", tmp_path, "en-de")
    assert [e.id for e in splits.test] == [f"devtest-{i:04d}" for i in range(SIZES["test"])]
    assert all(e.target == sentence("de", "devtest", int(e.id[-4:])) for e in splits.test)
    json_lines(path, [row for row in rows if row["id"] not in (2, 3)])
    with pytest.raises(UserError, match=r"deu_Latn\.jsonl lacks sentences of eng_Latn\.jsonl: ids 2, 3"):
        load("wmt", tmp_path, "en-de")
    json_lines(path, [*rows, rows[2]])
    with pytest.raises(UserError, match=r"deu_Latn\.jsonl row 9: the id 2 stands there twice"):
        load("wmt", tmp_path, "de-en")


def test_a_flores_file_that_says_another_language_is_refused(tmp_path: Path) -> None:
    write("wmt", tmp_path)
    folder = tmp_path / "flores_plus" / "dev"
    (folder / "deu_Latn.jsonl").write_bytes((folder / "fra_Latn.jsonl").read_bytes())
    with pytest.raises(UserError, match=r"deu_Latn\.jsonl row 1: column iso_639_3 holds fra"):
        load("wmt", tmp_path, "de-en")


def test_dev_and_devtest_are_two_files(tmp_path: Path) -> None:
    write("wmt", tmp_path)
    for code in ("deu_Latn", "eng_Latn"):
        (tmp_path / f"{code}.jsonl").write_bytes(
            (tmp_path / "flores_plus" / "dev" / f"{code}.jsonl").read_bytes()
        )
    shutil.rmtree(tmp_path / "flores_plus")
    with pytest.raises(
        UserError, match=r"deu_Latn\.jsonl stands for dev/deu_Latn\.jsonl and for devtest/deu"
    ):
        load("wmt", tmp_path, "de-en")
    (tmp_path / "devtest").mkdir()
    for code in ("deu_Latn", "eng_Latn"):
        (tmp_path / "devtest" / f"{code}.jsonl").write_bytes((tmp_path / f"{code}.jsonl").read_bytes())
    with pytest.raises(UserError, match="hold the same: one stands for dev/deu_Latn"):
        load("wmt", tmp_path, "de-en")


@pytest.mark.parametrize("subset", DIRECTIONS)
def test_the_plain_texts_of_flores_200_stand_in(tmp_path: Path, subset: str) -> None:
    write("wmt", tmp_path / "plus")
    layouts.news_commentary(tmp_path / "plain")
    layouts.flores_200(tmp_path / "plain")
    plus, plain = load("wmt", tmp_path / "plus", subset), load("wmt", tmp_path / "plain", subset)
    assert plain.fingerprint() == plus.fingerprint()
    assert "FLORES-200's plain texts stand in the place of FLORES+ 4.6." in plain.notes
    assert not any("FLORES" in note for note in plus.notes)
    request = LoadRequest(subset, "small", tmp_path / "plain", offline=True)
    assert list(wmt.TASK.missing(request)) == []


def test_articles_of_another_length_are_refused(tmp_path: Path) -> None:
    layouts.news_commentary(tmp_path)
    layouts.flores_200(tmp_path)
    path = tmp_path / "flores200_dataset" / "metadata_dev.tsv"
    path.write_text(path.read_text() + "u\td\tt\t0\t0\n")
    with pytest.raises(UserError, match=r"metadata_dev\.tsv has 7 rows, and deu_Latn\.dev has 6 lines"):
        load("wmt", tmp_path, "de-en")


def test_the_hubs_own_conversion_is_read_and_named(tmp_path: Path) -> None:
    write("wmt", tmp_path)
    folder = tmp_path / "news_commentary" / "de-en"
    (folder / "train").mkdir()
    (folder / "train-00000-of-00001.parquet").rename(folder / "train" / "0000.parquet")
    splits = load("wmt", tmp_path, "de-en")
    assert len(splits.train) == SIZES["train"]
    assert splits.notes == (
        "de-en.parquet: not as published in hub data set Helsinki-NLP/news_commentary, commit bbaf548083e7 "
        "(a part, or changed).",
    )


@pytest.mark.parametrize("task", ["wmt", "ntrex"])
def test_news_of_one_pair_can_not_serve_another(tmp_path: Path, task: str) -> None:
    write(task, tmp_path)
    folder = tmp_path / "news_commentary"
    (folder / "en-fr" / "train-00000-of-00001.parquet").unlink()
    (folder / "de-en" / "train-00000-of-00001.parquet").rename(folder / "train-00000-of-00001.parquet")
    message = r"train-00000-of-00001\.parquet row 1: column translation has no fr, only de, en"
    with pytest.raises(UserError, match=message):
        load(task, tmp_path, "fr-en")
    assert load(task, tmp_path, "de-en").train


def test_news_in_another_script_are_refused(tmp_path: Path) -> None:
    write("wmt", tmp_path)
    rows = [{"en": sentence("en", "a", i), "ru": sentence("de", "a", i)} for i in range(9)]
    path = tmp_path / "news_commentary" / "en-ru" / "train-00000-of-00001.parquet"
    parquet(path, {"translation": rows})
    with pytest.raises(UserError, match="parquet is not ru: 0 of 9 texts hold Cyrillic letters"):
        load("wmt", tmp_path, "ru-en")


def test_a_folder_without_flores_is_not_told_to_log_in(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"data folder lacks dev/deu_Latn\.jsonl") as caught:
        load("wmt", tmp_path, "de-en")
    assert "login" not in str(caught.value) and "HF_TOKEN" not in str(caught.value)
