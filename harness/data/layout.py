"""Which files of a data set are which split, as the datasets library finds them: by its README, or names."""

import json
import re
from pathlib import Path
from typing import Any

from warmup_bench.contracts.errors import UserError
from warmup_bench.data.hub import cache_folder

Layout = dict[str, list[str]]
"""Paths by split, in order."""
REVISION = re.compile(r"[0-9a-f]{40}")


def resolve_revision(name: str, revision: str, *, offline: bool) -> str:
    """The commit (40 hex digits) of a branch or tag of a hub data set; "": of its main branch.

    Raises:
        UserError: Offline, or the hub does not have it.
    """
    if REVISION.fullmatch(revision):
        return revision
    what = f"revision '{revision}'" if revision else "the newest revision"
    hint = "Name the commit of the data: revision: and 40 hex digits, as the hub shows it under Files."
    if offline:
        raise UserError(f"{what} of data set {name} can't be looked up offline", origin=name, hint=hint)
    return _commit(name, revision, what, hint)


def _commit(name: str, revision: str, what: str, hint: str) -> str:
    """The commit of a revision; one try, where the library by itself retries for half a minute."""
    from huggingface_hub import HfApi

    try:
        return str(HfApi().dataset_info(name, revision=revision or None, timeout=20).sha)
    except Exception as error:  # the hub's client raises errors of several HTTP libraries
        problem = f"{what} of data set {name} is not available: {_reason(error)}"
        raise UserError(problem, origin=name, hint=hint) from error


def hub_layout(name: str, revision: str, config: str, *, offline: bool) -> Layout:
    """The files of a hub data set at a commit, as paths in its repository; looked up once and kept.

    Raises:
        UserError: There is no such data set, commit or configuration, or nobody could be asked.
    """
    kept = _kept(name, revision, config)
    if kept.is_file():
        layout: Layout = json.loads(kept.read_text(encoding="utf-8"))
        return layout
    hint = "Run once with a network, or write the paths of the splits under data.files."
    if offline:
        problem = f"which files of data set {name} are which split is not known on this machine"
        raise UserError(problem, origin=f"revision {revision[:12]}", hint=hint)
    _commit(name, revision, f"revision {revision[:12]}", hint)
    start = f"hf://datasets/{name}@{revision}/"
    found = _found(name, config, revision)
    if any(not path.startswith(start) for paths in found.values() for path in paths):
        # Where the hub does not answer, the library takes what its cache holds, of any revision.
        raise UserError(
            f"data set {name} is not available: the hub did not answer for revision {revision[:12]}",
            hint=hint,
        )
    layout = {split: [path.removeprefix(start) for path in paths] for split, paths in found.items()}
    kept.parent.mkdir(parents=True, exist_ok=True)
    kept.write_text(json.dumps(layout), encoding="utf-8")
    return layout


def is_known(name: str, revision: str, config: str) -> bool:
    """Whether :func:`hub_layout` answers without a network."""
    return _kept(name, revision, config).is_file()


def folder_layout(folder: Path, config: str) -> dict[str, list[Path]]:
    """The files of a copy of a hub data set, which may have those of this configuration alone.

    Raises:
        UserError: It has no such configuration, or no files of data.
    """
    patterns = _patterns(folder, config)
    found = _found(str(folder), config if patterns is None else "", data_files=patterns)
    return {split: [Path(path) for path in paths] for split, paths in found.items()}


def _patterns(folder: Path, config: str) -> Any:
    """What the README says of a configuration's files, as the library takes it; None: nothing."""
    readme = folder / "README.md"
    if not config or not readme.is_file():
        return None
    from huggingface_hub import DatasetCard

    for entry in DatasetCard.load(readme).data.to_dict().get("configs") or ():
        if entry.get("config_name") == config and (files := entry.get("data_files")):
            if isinstance(files, list) and all(isinstance(part, dict) for part in files):
                return {part["split"]: part["path"] for part in files}
            return files
    return None


def _kept(name: str, revision: str, config: str) -> Path:
    return cache_folder() / "layouts" / name / revision / f"{config or '-'}.json"


def _found(where: str, config: str, revision: str | None = None, data_files: Any = None) -> Layout:
    import datasets

    try:
        builder = datasets.load_dataset_builder(
            where, name=config or None, revision=revision, data_files=data_files
        )
    except Exception as error:  # the hub's client raises errors of several HTTP libraries
        told = str(error)
        known = re.search(r"(?:configs: |Available: )\[(.*?)\]", told)
        if known:
            problem = f"has no configuration '{config}'" if config else "has several configurations"
            hint = f"Name one as data.config: {known[1].replace(chr(39), '')}."
            raise UserError(f"data set {where} {problem}", origin="data.config", hint=hint) from error
        raise UserError(f"data set {where} is not available: {_reason(error)}") from error
    files = builder.config.data_files or {}
    return {str(split): [str(path) for path in paths] for split, paths in files.items()}


def _reason(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
