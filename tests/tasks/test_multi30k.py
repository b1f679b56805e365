import gzip
from pathlib import Path

import pytest
from layouts import load, sentence, write

from warmup_bench.contracts.errors import UserError
from warmup_bench.contracts.task import Example
from warmup_bench.tasks import multi30k

ENDINGS = {
    "": "test_2016_flickr",
    "-2017": "test_2017_flickr",
    "-coco": "test_2017_mscoco",
    "-2018": "test_2018_flickr",
}
CZECH = ("cs-en", "en-cs", "cs-de", "de-cs", "cs-fr", "fr-cs")


@pytest.mark.parametrize("direction", ["de-en", "en-de", "fr-en", "en-fr", "de-fr", "fr-de", *CZECH])
def test_every_test_set_is_a_subset(tmp_path: Path, direction: str) -> None:
    write("multi30k", tmp_path)
    source, target = direction.split("-")
    trained = set()
    for ending, stem in ENDINGS.items():
        if direction in CZECH and ending in ("-2017", "-coco"):
            assert direction + ending not in multi30k.TASK.card.subsets
            continue
        subset = multi30k.TASK.card.subsets[direction + ending]
        assert (subset.source_language, subset.target_language) == (source, target)
        assert stem in subset.note
        assert subset.trained_as == direction
        splits = load("multi30k", tmp_path, direction + ending)
        expected = Example(f"{stem}-00002", sentence(source, stem, 2), sentence(target, stem, 2))
        assert splits.test[2] == expected
        assert splits.validation[0].id == "val-00000"
        trained.add(tuple(splits.train))
    assert len(trained) == 1


def test_the_most_reported_test_set_is_the_default() -> None:
    assert next(iter(multi30k.TASK.card.subsets)) == "de-en"
    assert len(multi30k.TASK.card.subsets) == 6 * 4 + 6 * 2


@pytest.mark.parametrize("packed", [True, False])
def test_a_file_with_the_contents_of_another_is_refused(tmp_path: Path, packed: bool) -> None:
    write("multi30k", tmp_path)
    folder = tmp_path / "multi30k"
    content = gzip.decompress((folder / "val.en.gz").read_bytes())
    (folder / "val.de.gz").unlink()
    name = "val.de.gz" if packed else "val.de"
    (folder / name).write_bytes(gzip.compress(content, 1) if packed else content)
    with pytest.raises(UserError, match=rf"{name} and val\.en\.gz hold the same"):
        load("multi30k", tmp_path, "de-en")


def test_every_file_of_a_folder_that_is_not_the_published_one_is_named(tmp_path: Path) -> None:
    (note,) = load("multi30k", write("multi30k", tmp_path), "cs-fr-2018").notes
    names = [
        f"{stem}.{language}.gz" for stem in ("train", "val", "test_2018_flickr") for language in ("cs", "fr")
    ]
    assert note.startswith(f"{', '.join(names)}: not as published in GitHub repository multi30k/dataset")


def test_missing_and_unequal_files_are_named(tmp_path: Path) -> None:
    write("multi30k", tmp_path)
    folder = tmp_path / "multi30k"
    (folder / "val.de.gz").write_bytes(gzip.compress(b"eins\nzwei\n"))
    with pytest.raises(UserError, match=r"val\.de\.gz has 2 lines and val\.en\.gz has 6"):
        load("multi30k", tmp_path, "de-en")
    (folder / "val.en.gz").unlink()
    (folder / "train.de.gz").unlink()
    with pytest.raises(UserError, match=r"data folder lacks train\.de\.gz, val\.en\.gz"):
        load("multi30k", tmp_path, "de-en")
