"""Multi30k: image captions in English, German and French, 29,000 / 1,014 / 1,000 lines.

Real data, at scale ``small``.

Sources, in this order:

1. ``--data-dir``: the raw files of the repository ``multi30k/dataset`` (``train.de.gz`` or ``train.de``,
   one caption a line; also looked for below ``multi30k/`` and ``data/task1/raw/``);
2. ``--data-dir``: the hub's files (``train.jsonl``, ``val.jsonl``, ``test.jsonl`` with columns en and de);
3. without ``--data-dir``: those files from the hub, at a pinned commit. English and German only.

The test split is ``test_2016_flickr`` in every source.
"""

import gzip
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from harness.errors import UserError
from harness.task import LoadRequest, ScaleCard, Splits, Subset, Task, TaskCard, numbered
from tasks.hub import load_hub, read_files

if TYPE_CHECKING:
    from datasets import Dataset

HUB_REPO = "bentrevett/multi30k"
HUB_REVISION = "37e118600232bb5298ca011a8a7e7a44e863c36a"  # "fix empty examples", 2023-03-19: its last data
HUB_FILES = {"train": "train.jsonl", "validation": "val.jsonl", "test": "test.jsonl"}
HUB_LANGUAGES = ("de", "en")

RAW_TEST_SETS = ("test_2016_flickr", "test_2017_flickr", "test_2017_mscoco", "test_2018_flickr")
TEST_SET = RAW_TEST_SETS[0]
_RAW_STEMS = {"train": "train", "validation": "val", "test": TEST_SET}
_RAW_FOLDERS = ("", "multi30k", "data/task1/raw", "multi30k/data/task1/raw")

Pairs = dict[str, list[tuple[str, str]]]  # split -> (source, target)


def _raw_file(folder: Path, name: str) -> Path | None:
    """``name.gz`` or ``name`` in the folder; the packed one, as it is distributed, comes first."""
    return next((p for p in (folder / f"{name}.gz", folder / name) if p.is_file()), None)


def _read_lines(path: Path) -> list[str]:
    try:
        data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        text = data.decode("utf-8")
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise UserError(
            f"{path.name} can't be read: {error}", origin=str(path), hint="Fetch it again."
        ) from error
    # Only \n ends a line: captions may hold characters that str.splitlines would break at.
    return [line.strip() for line in text.removesuffix("\n").split("\n")]


def _paired(paths: Sequence[Path]) -> list[tuple[str, str]]:
    """Line by line pairs of two files; both must have the same number of lines."""
    sources, targets = (_read_lines(path) for path in paths)
    if len(sources) != len(targets):
        raise UserError(
            f"{paths[0].name} has {len(sources)} lines and {paths[1].name} has {len(targets)}",
            origin=str(paths[0].parent),
            hint="The two must be line by line translations: fetch both again.",
        )
    return list(zip(sources, targets, strict=True))


def _checked(pairs: Pairs, origin: str) -> Pairs:
    """The pairs, if no caption is empty: an empty one means that the files were damaged or shifted."""
    for split, rows in pairs.items():
        for number, row in enumerate(rows, start=1):
            if not all(row):
                raise UserError(
                    f"line {number} of {_RAW_STEMS[split]} is empty", origin=origin, hint=_wanted()
                )
    return pairs


def _from_raw(folder: Path, source: str, target: str) -> Pairs | None:
    """Pairs from the raw files of a folder; None where it holds none of them."""
    found = {
        split: [_raw_file(folder, f"{stem}.{language}") for language in (source, target)]
        for split, stem in _RAW_STEMS.items()
    }
    if not any(path for paths in found.values() for path in paths):
        return None
    missing = [
        f"{_RAW_STEMS[split]}.{language}.gz"
        for split, paths in found.items()
        for language, path in zip((source, target), paths, strict=True)
        if path is None
    ]
    if missing:
        raise UserError(f"data folder lacks {', '.join(missing)}", origin=str(folder), hint=_wanted())
    return {split: _paired([path for path in paths if path]) for split, paths in found.items()}


def _wanted() -> str:
    stems = ", ".join(f"{stem}.LANG.gz" for stem in _RAW_STEMS.values())
    return (
        f"Wanted: {stems} of the repository multi30k/dataset (folder data/task1/raw), unpacked or not; "
        f"or {', '.join(HUB_FILES.values())} of the hub's {HUB_REPO} (de and en only)."
    )


def _from_columns(splits: "dict[str, Dataset]", source: str, target: str, origin: str) -> Pairs:
    for name, split in splits.items():
        absent = [language for language in (source, target) if language not in split.column_names]
        if absent:
            columns = ", ".join(split.column_names)
            raise UserError(
                f"{HUB_FILES[name]} has no column {' or '.join(absent)}, only {columns}",
                origin=origin,
                hint=_wanted(),
            )
    return {
        name: [
            ((a or "").strip(), (b or "").strip()) for a, b in zip(split[source], split[target], strict=True)
        ]
        for name, split in splits.items()
    }


def _from_folder(data_dir: Path, source: str, target: str) -> Pairs:
    for folder in (data_dir / name for name in _RAW_FOLDERS):
        if (pairs := _from_raw(folder, source, target)) is not None:
            return pairs
    for folder in (data_dir, data_dir / "multi30k"):
        paths = {split: folder / name for split, name in HUB_FILES.items()}
        if all(path.is_file() for path in paths.values()):
            return _from_columns(read_files(paths), source, target, str(folder))
    raise UserError(
        f"data folder has no Multi30k files for {source}-{target}", origin=str(data_dir), hint=_wanted()
    )


def load(request: LoadRequest) -> Splits:
    """Load one direction; ids are ``train-00000``, ``val-00000`` and ``test_2016_flickr-00000`` by line.

    Raises:
        UserError: files are missing, don't match or can't be had; French without ``--data-dir``.
    """
    source, target = request.subset.split("-")
    if request.data_dir is not None:
        origin = str(request.data_dir)
        pairs = _from_folder(request.data_dir, source, target)
    elif {source, target} <= set(HUB_LANGUAGES):
        splits = load_hub(HUB_REPO, HUB_REVISION, HUB_FILES, request.offline)
        origin = f"hub {HUB_REPO}@{HUB_REVISION[:12]}"
        pairs = _from_columns(splits, source, target, origin)
    else:
        raise UserError(
            f"multi30k {request.subset} needs --data-dir: the hub's copy has no French",
            origin=HUB_REPO,
            hint=_wanted(),
        )
    return Splits(
        **{split: numbered(_RAW_STEMS[split], rows) for split, rows in _checked(pairs, origin).items()}
    )


TASK = Task(
    card=TaskCard(
        name="multi30k",
        version=1,
        title="Multi30k image captions, translation",
        licence="CC-BY-NC-SA-4.0 (translations; captions of Flickr30k)",
        citation=(
            "Elliott, Frank, Sima'an and Specia 2016, Multi30K: Multilingual English-German Image "
            "Descriptions, Workshop on Vision and Language, doi:10.18653/v1/W16-3210; French: Elliott, "
            "Frank, Barrault, Bougares and Specia 2017, WMT, doi:10.18653/v1/W17-4718"
        ),
        metrics=("bleu", "chrf++"),
        subsets={
            direction: Subset(source_language=direction[:2], target_language=direction[3:])
            for direction in ("de-en", "en-de", "fr-en", "en-fr", "de-fr", "fr-de")
        },
        scales={
            "small": ScaleCard(
                data=f"Multi30k task 1, 29,000 / 1,014 / 1,000 captions, tested on {TEST_SET}; "
                f"hub {HUB_REPO}@{HUB_REVISION[:12]} or --data-dir",
                backbone="t5-small",
            )
        },
    ),
    load=load,
)
