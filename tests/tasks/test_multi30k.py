import gzip
from pathlib import Path

import pytest
from layouts import load, sentence, write

from warmup_bench.contracts.errors import UserError
from warmup_bench.contracts.task import Example
from warmup_bench.tasks import multi30k


@pytest.mark.parametrize("direction", ["de-en", "en-de", "fr-en", "en-fr", "de-fr", "fr-de"])
def test_every_test_set_is_a_subset(tmp_path: Path, direction: str) -> None:
    write("multi30k", tmp_path)
    source, target = direction.split("-")
    stems = {
        "": "test_2016_flickr",
        "-2017": "test_2017_flickr",
        "-coco": "test_2017_mscoco",
        "-2018": "test_2018_flickr",
    }
    trained = set()
    for ending, stem in stems.items():
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
    assert len(multi30k.TASK.card.subsets) == 6 * 4


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
