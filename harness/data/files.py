"""Where the files of a declared task are: fetched at their commit, in a data folder, or beside its YAML."""

from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

from warmup_bench.contracts.errors import UserError
from warmup_bench.contracts.task import SPLITS, LoadRequest, SplitName
from warmup_bench.data.declaration import Data
from warmup_bench.data.hub import File, Repository, gather, missing
from warmup_bench.data.layout import folder_layout, hub_layout, is_known

T = TypeVar("T")
Paths = list[Path] | dict[str, Path]
"""Tables one after the other, or a text file a column."""
OTHER_NAMES: dict[SplitName, tuple[str, ...]] = {"validation": ("dev", "valid", "val")}
"""What data sets call a split besides its name here."""


def split_paths(data: Data, base: Path, request: LoadRequest) -> dict[SplitName, Paths]:
    """The files of every split that there is.

    Args:
        data: What is declared.
        base: The folder that local files lie in, but for ``--data-dir``.
        request: The data folder, and whether anything may be fetched.

    Raises:
        UserError: Files are missing or can't be told.
    """
    return {split: _by_column(data, split, paths) for split, paths in _found(data, base, request).items()}


def absent_files(data: Data, base: Path, request: LoadRequest) -> list[str]:
    """Names of the files that would have to be fetched or are not there, told without a network."""
    if data.place and (data.files or request.data_dir is None):
        if not data.files and not is_known(data.place, data.revision, data.config):
            return [f"the files of {data.place}"]
        return missing([file for files in _repository_files(data, True).values() for file in files], request)
    try:
        _found(data, base, request)
    except UserError as error:
        return [error.problem]
    return []


def _found(data: Data, base: Path, request: LoadRequest) -> Mapping[SplitName, list[Path]]:
    if not data.place:
        folder = request.data_dir or base
        return {
            split: [found for path in paths for found in _matching(folder, path)]
            for split, paths in _named(data).items()
        }
    if request.data_dir is not None and not data.files:
        return _chosen(data, folder_layout(_copy(data, request.data_dir), data.config))
    files = _repository_files(data, request.offline)
    return {split: gather(of_split, request) for split, of_split in files.items()}


def _repository_files(data: Data, offline: bool) -> dict[SplitName, list[File]]:
    named = _named(data) or _chosen(data, hub_layout(data.place, data.revision, data.config, offline=offline))
    folder = data.folder or data.place.rpartition("/")[2]
    repository = Repository("hub" if data.hub else "github", data.place, data.revision, folder, data.access)
    return {split: [repository.file(path) for path in paths] for split, paths in named.items()}


def _named(data: Data) -> dict[SplitName, list[str]]:
    """The paths that are written down, in order."""
    listed: dict[SplitName, list[str]] = {}
    for split, paths in data.files.items():
        listed[split] = (
            [paths] if isinstance(paths, str) else list(paths.values() if isinstance(paths, dict) else paths)
        )
    return listed


def _by_column(data: Data, split: SplitName, paths: list[Path]) -> Paths:
    columns = data.files.get(split)
    if not isinstance(columns, dict):
        return paths
    if len(columns) != len(paths):
        problem = f"data.files.{split} names {len(columns)} columns, and {len(paths)} files are there"
        raise UserError(problem, origin=str(paths[0].parent), hint="Name one text file a column.")
    return dict(zip(columns, paths, strict=True))


def _chosen(data: Data, found: Mapping[str, list[T]]) -> dict[SplitName, list[T]]:
    """The splits of a hub data set, by our names."""
    chosen: dict[SplitName, list[T]] = {}
    for split in SPLITS:
        asked = data.splits.get(split)
        names = (asked,) if asked else (split, *OTHER_NAMES.get(split, ()))
        name = next((name for name in names if name in found), None)
        if name is not None:
            chosen[split] = found[name]
        elif asked or split == "train":
            raise UserError(
                f"data set {data.hub} has no split '{asked or split}'",
                origin=f"data.splits.{split}",
                hint=f"It has: {', '.join(found)}. Name one of them: splits: {{{split}: NAME}}.",
            )
    return chosen


def _copy(data: Data, folder: Path) -> Path:
    """The copy of a hub data set in or below a data folder."""
    owner, _, name = data.place.partition("/")
    below = [folder / part for part in (data.folder, name, f"{owner}/{name}", f"{owner}--{name}") if part]
    return next((path for path in below if path.is_dir()), folder)


def _matching(folder: Path, path: str) -> list[Path]:
    whole = folder / path
    if whole.is_file():
        return [whole]
    found = [] if Path(path).is_absolute() else sorted(p for p in folder.glob(path) if p.is_file())
    if not found:
        raise UserError(
            f"there is no {path}", origin=str(folder), hint="Mend data.files, or pass --data-dir DIR."
        )
    return found
