"""Multi30k: captions in English, German, French and Czech, 29,000 for training and 1,014 for validation.

It has four test sets, and each is reported by itself, as a subset: ``de-en`` is tested on test_2016_flickr,
``de-en-2017`` on test_2017_flickr, ``de-en-coco`` on test_2017_mscoco (captions with ambiguous verbs) and
``de-en-2018`` on test_2018_flickr. Training and validation are the same in all four, and so is the model.
Czech has the first and the last of them.

The files are those of the repository ``multi30k/dataset`` (``train.de.gz``, one caption a line).
"""

from warmup_bench import Example, LoadRequest, ScaleCard, Splits, Subset, Task, TaskCard
from warmup_bench.data.hub import File, Repository, check_contents, gather, missing
from warmup_bench.data.lines import paired_lines
from warmup_bench.tasks.translation import METRICS, languages, require_scripts, subsets

REPOSITORY = Repository("github", "multi30k/dataset", "a3d2e0d26b56f3846f66a952536ffed4e401d05a", "multi30k")
TEST_SETS = {
    "": "test_2016_flickr",
    "2017": "test_2017_flickr",
    "coco": "test_2017_mscoco",
    "2018": "test_2018_flickr",
}
"""Test sets by the end of a subset's name."""
_DIRECTIONS = ("de-en", "en-de", "fr-en", "en-fr", "de-fr", "fr-de")
_CZECH = ("cs-en", "en-cs", "cs-de", "de-cs", "cs-fr", "fr-cs")
_IDS = {  # of the file, of what is packed in it
    "train.cs": ("3aed037d88c2d10a7df085e4a156d26fc4d89dbe", "7bcd3f36431e2aa86dea57b62e81332e06e98fb6"),
    "train.de": ("3869154c6298e22b3dc9ed3b17fd45bf00276b94", "7d02bf503b2532d44dc9cc363e8dfe2abb68979b"),
    "train.en": ("8226b4b333656238e113284cf738778e1287b52e", "22df3557dd2c5c1de872aee912091f5b60d29a18"),
    "train.fr": ("9518a79e4aefbd3b99bd5887000c36e6a35de14b", "b65483c92f1afdd0a843c695713b108c115767d2"),
    "val.cs": ("87ea5d95d679ad19868edd119c13772c83f61a01", "6bf2f590f2e1a0eb8f1f0505737a3a7743f19f6f"),
    "val.de": ("0907cab7a248be8e15ac418d517343899351db18", "47c32b692235ca8b73846ca8f28a391e72d1def2"),
    "val.en": ("8eb30ab9e5edd301e4c94330713c88513dd43dbc", "f94fad7adf84a7fa3a7c7763ad84fc85867515b2"),
    "val.fr": ("ab398432791947b7001173f065764887fb63c346", "b258b19766ca98032945d908707f741b4bd1c97f"),
    "test_2016_flickr.cs": (
        "2f2debe490017544d552c03e1433f5055bfc4b0b",
        "7df3e53ae4f89ed31477a6d20ac933b0d4627dec",
    ),
    "test_2016_flickr.de": (
        "96b762cc43d913a5d23e5ec65acbc58a50d0a9b8",
        "d88e9b9ac4ef987880b96a68230f6157d74753e4",
    ),
    "test_2016_flickr.en": (
        "c3c1142a4d12fa9d7736c81dca0dcea51975477e",
        "db68ab5b12b4b74fa08a3eea8e618b3f427732c6",
    ),
    "test_2016_flickr.fr": (
        "b182503bf217d5d4d1030874de07bfcf26052b94",
        "cb412642381cebdd612df6345b5233026f7ef061",
    ),
    "test_2017_flickr.de": (
        "b7b1f6bbf760b317c555452d1b18fba6412237cd",
        "9022ee53fb09370c40c177a6367fc4e758da1266",
    ),
    "test_2017_flickr.en": (
        "2ee09c0e5404dd6d0ce0516aabc5f6043ea24ce8",
        "40936476586159240a05a42e5cf7202657bc8811",
    ),
    "test_2017_flickr.fr": (
        "2ee4a6d245d6add2d2bd8bee7ab79e978fe0f294",
        "f7984e1985700748e710d1d2dbbec9d907a5d42f",
    ),
    "test_2017_mscoco.de": (
        "d4dc0f3c33ee9a834155323ff002908d59b5ddee",
        "cbfa9d8d78ad7266623c335b3c2afc24891c4624",
    ),
    "test_2017_mscoco.en": (
        "4540747e16403a7220c99f7a61fd418e16c00ec0",
        "5dae8d29bc46b0d0059973af6d63d7d16ae82703",
    ),
    "test_2017_mscoco.fr": (
        "f6426b05f1910c5c4f7f34d639f37aea1a0bd7ca",
        "fb1dd40b3a826974c3a7768cbf3413b64ce4fba0",
    ),
    "test_2018_flickr.cs": (
        "3625834ee09419bb6970ab13bbac280f9e7c9f56",
        "0442cdf2927be8f5d17f77f0f19cf562414a9288",
    ),
    "test_2018_flickr.de": (
        "195d7baebec8e8531b6ab29d4c1927262b5fee72",
        "d39144d873ebbfba4a8caafb7a4363951e1078cb",
    ),
    "test_2018_flickr.en": (
        "757068632c4791c735c2f798423da589cf21f0f5",
        "fe132c2a5ea58878e00cc86e11585032b5903cdd",
    ),
    "test_2018_flickr.fr": (
        "bd574382eba15ad5b5b5151662a21a7e6f7680be",
        "0a7c7fb2ea7fbc5063ff2e560a1ca14ef89578d2",
    ),
}


def load(request: LoadRequest) -> Splits:
    """Load one direction with one test set; ids are ``train-00000``, ``test_2016_flickr-00000`` by line.

    Raises:
        UserError: Files are missing, damaged or don't match.
    """
    files = _files(request.subset)
    paths = gather(files, request)
    splits = []
    for stem, source, target in zip(_stems(request.subset), paths[::2], paths[1::2], strict=True):
        pairs = paired_lines(source, target)
        require_scripts(pairs, (source, target), request.subset)
        splits.append([Example(f"{stem}-{i:05d}", a, b) for i, (a, b) in enumerate(pairs)])
    return Splits(*splits, notes=check_contents(files, paths, [_file(name) for name in _IDS]))


def _stems(subset: str) -> tuple[str, str, str]:
    """Beginnings of the file names of the three splits."""
    return "train", "val", TEST_SETS["".join(subset.split("-")[2:])]


def _files(subset: str) -> list[File]:
    """Source and target file of each split."""
    return [_file(f"{stem}.{language}") for stem in _stems(subset) for language in languages(subset)]


def _file(name: str) -> File:
    blob, unpacked = _IDS[name]
    return REPOSITORY.file(f"data/task1/raw/{name}.gz", f"{name}.gz", blob=blob, unpacked=unpacked)


def _missing(request: LoadRequest) -> list[str]:
    return missing(_files(request.subset), request)


def _subsets() -> dict[str, Subset]:
    found: dict[str, Subset] = {}
    for ending, test_set in TEST_SETS.items():
        directions = _DIRECTIONS + (_CZECH if f"{test_set}.cs" in _IDS else ())
        names = {direction: f"{direction}-{ending}" if ending else direction for direction in directions}
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
        licence="not stated; images: non-commercial research, education",
        citation=(
            "Elliott, Frank, Sima'an and Specia 2016, Multi30K: Multilingual English-German Image "
            "Descriptions, Workshop on Vision and Language, doi:10.18653/v1/W16-3210; French and 2017: "
            "Elliott, Frank, Barrault, Bougares and Specia 2017, WMT, doi:10.18653/v1/W17-4718; Czech and "
            "2018: Barrault et al. 2018, WMT, doi:10.18653/v1/W18-6402"
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
