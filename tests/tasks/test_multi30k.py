import gzip
import json
from pathlib import Path

import pytest

from harness.errors import UserError
from harness.task import Example, LoadRequest, Splits
from tasks import multi30k

SIZES = {"train": 5, "val": 3, "test_2016_flickr": 4}
HUB_STEMS = {"train": "train", "val": "val", "test": "test_2016_flickr"}


def caption(language: str, stem: str, i: int) -> str:
    return f"{language} Bild\u2028{stem} {i} — déjà"  # U+2028 breaks no line


def write_raw(folder: Path, languages: str = "de en fr", packed: bool = True) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for stem, size in SIZES.items():
        for language in languages.split():
            text = "".join(f" {caption(language, stem, i)}\n" for i in range(size)).encode()
            if packed:
                (folder / f"{stem}.{language}.gz").write_bytes(gzip.compress(text))
            else:
                (folder / f"{stem}.{language}").write_bytes(text)


def write_hub(folder: Path, languages: str = "en de") -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, stem in HUB_STEMS.items():
        rows = ({lang: caption(lang, stem, i) for lang in languages.split()} for i in range(SIZES[stem]))
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def load(data_dir: Path | None, subset: str = "de-en", offline: bool = True) -> Splits:
    return multi30k.TASK.load(LoadRequest(subset, "small", data_dir, offline))


def assert_all(splits: Splits, source: str, target: str) -> None:
    assert (len(splits.train), len(splits.validation), len(splits.test)) == (5, 3, 4)
    assert splits.test[2] == Example(
        "test_2016_flickr-00002",
        caption(source, "test_2016_flickr", 2),
        caption(target, "test_2016_flickr", 2),
    )
    assert splits.validation[0].id == "val-00000"
    assert splits.train[4].source == caption(source, "train", 4)


@pytest.mark.parametrize("subset", ["de-en", "en-de", "fr-en", "en-fr", "de-fr", "fr-de"])
def test_raw_files_in_every_direction(tmp_path: Path, subset: str) -> None:
    write_raw(tmp_path)
    assert next(iter(multi30k.TASK.card.subsets)) == "de-en"
    assert_all(load(tmp_path, subset), *subset.split("-"))


@pytest.mark.parametrize("below", ["", "multi30k", "data/task1/raw"])
@pytest.mark.parametrize("packed", [True, False])
def test_raw_files_where_they_may_lie(tmp_path: Path, below: str, packed: bool) -> None:
    write_raw(tmp_path / below, packed=packed)
    assert_all(load(tmp_path), "de", "en")


@pytest.mark.usefixtures("datasets_cache")
@pytest.mark.parametrize("below", ["", "multi30k"])
def test_the_hubs_files_give_the_same_examples(tmp_path: Path, below: str) -> None:
    write_hub(tmp_path / "hub" / below)
    write_raw(tmp_path / "raw")
    splits = load(tmp_path / "hub")
    assert_all(splits, "de", "en")
    assert splits.fingerprint() == load(tmp_path / "raw").fingerprint()
    assert_all(load(tmp_path / "hub", "en-de"), "en", "de")


@pytest.mark.usefixtures("datasets_cache")
def test_the_hubs_files_have_no_french(tmp_path: Path) -> None:
    write_hub(tmp_path)
    with pytest.raises(UserError, match=r"train.jsonl has no column fr, only en, de"):
        load(tmp_path, "fr-en")
    with pytest.raises(UserError, match="multi30k fr-en needs --data-dir: the hub's copy has no French"):
        load(None, "fr-en")


def test_the_hub_is_asked_for_the_pinned_commit(monkeypatch: pytest.MonkeyPatch) -> None:
    from datasets import Dataset, DatasetDict

    asked = []

    def load_hub(*arguments: object) -> DatasetDict:
        asked.append(arguments)
        rows = {"en": ["a dog"], "de": ["ein Hund"]}
        return DatasetDict({split: Dataset.from_dict(rows) for split in ("train", "validation", "test")})

    monkeypatch.setattr(multi30k, "load_hub", load_hub)
    assert load(None, "en-de", offline=False).test == [Example("test_2016_flickr-00000", "a dog", "ein Hund")]
    (repo, revision, files, offline), *more = asked
    assert (repo, offline, more) == ("bentrevett/multi30k", False, [])
    assert len(revision) == 40 and int(revision, 16)
    assert files == {"train": "train.jsonl", "validation": "val.jsonl", "test": "test.jsonl"}


def test_a_folder_without_the_files_is_named_with_what_is_wanted(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no Multi30k files for de-en") as caught:
        load(tmp_path)
    assert caught.value.origin == str(tmp_path)
    for name in ("train.LANG.gz", "val.LANG.gz", "test_2016_flickr.LANG.gz", "train.jsonl"):
        assert name in caught.value.hint


def test_missing_files_are_named(tmp_path: Path) -> None:
    write_raw(tmp_path)
    (tmp_path / "val.en.gz").unlink()
    (tmp_path / "train.de.gz").unlink()
    with pytest.raises(UserError, match=r"data folder lacks train\.de\.gz, val\.en\.gz"):
        load(tmp_path)


def test_line_counts_must_match(tmp_path: Path) -> None:
    write_raw(tmp_path)
    (tmp_path / "val.de.gz").write_bytes(gzip.compress(b"eins\nzwei\n"))
    with pytest.raises(UserError, match=r"val\.de\.gz has 2 lines and val\.en\.gz has 3") as caught:
        load(tmp_path)
    assert caught.value.origin == str(tmp_path)


def test_an_empty_caption_is_an_error_with_its_line(tmp_path: Path) -> None:
    write_raw(tmp_path, packed=False)
    (tmp_path / "val.de").write_text("eins\n\ndrei\n")
    with pytest.raises(UserError, match="line 2 of val is empty"):
        load(tmp_path)


@pytest.mark.parametrize(
    "content", [b"not packed", gzip.compress(b"\xff\xfe\n"), gzip.compress(b"x\n" * 99)[:-9]]
)
def test_damaged_files_are_named(tmp_path: Path, content: bytes) -> None:
    write_raw(tmp_path)
    (tmp_path / "train.en.gz").write_bytes(content)
    with pytest.raises(UserError, match=r"train\.en\.gz can't be read"):
        load(tmp_path)


def test_card() -> None:
    card = multi30k.TASK.card
    assert tuple(card.scales) == ("small",)
    assert card.scales["small"].backbone == "t5-small"
    assert multi30k.TEST_SET == "test_2016_flickr"
    assert multi30k.TEST_SET in multi30k.RAW_TEST_SETS
