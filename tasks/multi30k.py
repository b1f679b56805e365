"""Multi30k: image captions in English, German and French, 29,000 for training and 1,014 for validation.

It has four test sets, and each is reported by itself, as a subset: ``de-en`` is tested on test_2016_flickr,
``de-en-2017`` on test_2017_flickr, ``de-en-coco`` on test_2017_mscoco (captions with ambiguous verbs) and
``de-en-2018`` on test_2018_flickr. Training and validation are the same in all four, and so is the model.

The files are those of the repository ``multi30k/dataset`` (``train.de.gz``, one caption a line).
"""

from warmup_bench import Example, LoadRequest, ScaleCard, Splits, Subset, Task, TaskCard
from warmup_bench.data.hub import File, Repository, gather, missing
from warmup_bench.data.lines import paired_lines
from warmup_bench.tasks.translation import METRICS, languages, subsets

REPOSITORY = Repository("github", "multi30k/dataset", "a3d2e0d26b56f3846f66a952536ffed4e401d05a", "multi30k")
TEST_SETS = {
    "": "test_2016_flickr",
    "2017": "test_2017_flickr",
    "coco": "test_2017_mscoco",
    "2018": "test_2018_flickr",
}
"""Test sets by the end of a subset's name."""
_DIRECTIONS = ("de-en", "en-de", "fr-en", "en-fr", "de-fr", "fr-de")
_BLOBS = {
    "train.de": "3869154c6298e22b3dc9ed3b17fd45bf00276b94",
    "train.en": "8226b4b333656238e113284cf738778e1287b52e",
    "train.fr": "9518a79e4aefbd3b99bd5887000c36e6a35de14b",
    "val.de": "0907cab7a248be8e15ac418d517343899351db18",
    "val.en": "8eb30ab9e5edd301e4c94330713c88513dd43dbc",
    "val.fr": "ab398432791947b7001173f065764887fb63c346",
    "test_2016_flickr.de": "96b762cc43d913a5d23e5ec65acbc58a50d0a9b8",
    "test_2016_flickr.en": "c3c1142a4d12fa9d7736c81dca0dcea51975477e",
    "test_2016_flickr.fr": "b182503bf217d5d4d1030874de07bfcf26052b94",
    "test_2017_flickr.de": "b7b1f6bbf760b317c555452d1b18fba6412237cd",
    "test_2017_flickr.en": "2ee09c0e5404dd6d0ce0516aabc5f6043ea24ce8",
    "test_2017_flickr.fr": "2ee4a6d245d6add2d2bd8bee7ab79e978fe0f294",
    "test_2017_mscoco.de": "d4dc0f3c33ee9a834155323ff002908d59b5ddee",
    "test_2017_mscoco.en": "4540747e16403a7220c99f7a61fd418e16c00ec0",
    "test_2017_mscoco.fr": "f6426b05f1910c5c4f7f34d639f37aea1a0bd7ca",
    "test_2018_flickr.de": "195d7baebec8e8531b6ab29d4c1927262b5fee72",
    "test_2018_flickr.en": "757068632c4791c735c2f798423da589cf21f0f5",
    "test_2018_flickr.fr": "bd574382eba15ad5b5b5151662a21a7e6f7680be",
}


def load(request: LoadRequest) -> Splits:
    """Load one direction with one test set; ids are ``train-00000``, ``test_2016_flickr-00000`` by line.

    Raises:
        UserError: Files are missing, damaged or don't match.
    """
    paths = gather(_files(request.subset), request)
    splits = []
    for stem, source, target in zip(_stems(request.subset), paths[::2], paths[1::2], strict=True):
        pairs = enumerate(paired_lines(source, target))
        splits.append([Example(f"{stem}-{i:05d}", a, b) for i, (a, b) in pairs])
    return Splits(*splits)


def _stems(subset: str) -> tuple[str, str, str]:
    """Beginnings of the file names of the three splits."""
    return "train", "val", TEST_SETS["".join(subset.split("-")[2:])]


def _files(subset: str) -> list[File]:
    """Source and target file of each split."""
    names = [f"{stem}.{language}" for stem in _stems(subset) for language in languages(subset)]
    return [REPOSITORY.file(f"data/task1/raw/{name}.gz", f"{name}.gz", blob=_BLOBS[name]) for name in names]


def _missing(request: LoadRequest) -> list[str]:
    return missing(_files(request.subset), request)


def _subsets() -> dict[str, Subset]:
    found: dict[str, Subset] = {}
    for ending, test_set in TEST_SETS.items():
        names = {direction: f"{direction}-{ending}" if ending else direction for direction in _DIRECTIONS}
        each = subsets(names.values(), f"tested on {test_set}")
        found |= {
            name: each[name].model_copy(update={"trained_as": direction}) for direction, name in names.items()
        }
    return found


_DATA = f"task 1 of Multi30k, raw text (GitHub {REPOSITORY.pinned}); a test set is a subset"

TASK = Task(
    card=TaskCard(
        name="multi30k",
        version=2,
        title="Multi30k image captions, translation",
        licence="CC-BY-NC-SA-4.0; captions of Flickr30k",
        citation=(
            "Elliott, Frank, Sima'an and Specia 2016, Multi30K: Multilingual English-German Image "
            "Descriptions, Workshop on Vision and Language, doi:10.18653/v1/W16-3210; French and 2017: "
            "Elliott, Frank, Barrault, Bougares and Specia 2017, WMT, doi:10.18653/v1/W17-4718; 2018: "
            "Barrault et al. 2018, WMT, doi:10.18653/v1/W18-6402"
        ),
        metrics=METRICS,
        subsets=_subsets(),
        scales={
            "small": ScaleCard(
                data=_DATA,
                sizes=(29_000, 1014, 1000),
                backbone="t5-small",
                settings={"train": {"max_source_tokens": 64}, "decode": {"max_tokens": 64}},
            ),
            "paper": ScaleCard(
                data=_DATA,
                sizes=(29_000, 1014, 1000),
                backbone="mt5-base",
                settings={
                    "train": {"max_source_tokens": 64},
                    "decode": {"max_tokens": 64},
                    "budget": {"steps": 5000},
                },
            ),
        },
    ),
    load=load,
    missing=_missing,
)
