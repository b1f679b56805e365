"""Data sets from the Hugging Face hub by pinned revision, or from the same files on disk.

Files are fetched one by one with ``hf_hub_download`` and then read by the json builder of ``datasets``.
``load_dataset(repo)`` would be shorter, but where the hub can't be reached it falls back to whatever copy
of the repository its cache holds, of any revision: silently another data set. It also decides about offline
mode when it is imported; ``local_files_only`` is decided here, call by call.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from harness.errors import UserError

if TYPE_CHECKING:
    from datasets import DatasetDict


def read_files(files: Mapping[str, Path]) -> "DatasetDict":
    """Read one JSON-lines file a split (``{"train": path, ...}``) into a ``DatasetDict``, without network.

    Raises:
        UserError: a file is not JSON lines.
    """
    from datasets import Dataset, DatasetDict
    from datasets.exceptions import DatasetGenerationError

    splits = {}
    for name, path in files.items():
        try:
            splits[name] = Dataset.from_json(str(path))
        except (DatasetGenerationError, ValueError) as error:
            raise UserError(
                f"{path.name} is not a file of JSON lines", origin=str(path), hint="Fetch it again."
            ) from error
    return DatasetDict(splits)


def _fetch(repo: str, revision: str, name: str, offline: bool) -> Path:
    """Path of one file in the hub's cache, fetched if it is not there yet."""
    from huggingface_hub import get_hf_file_metadata, hf_hub_download, hf_hub_url
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:  # a commit's files don't change, so a cached one needs no question to the hub
        return Path(
            hf_hub_download(repo, name, repo_type="dataset", revision=revision, local_files_only=True)
        )
    except LocalEntryNotFoundError:
        if offline:
            raise
    # One try: without a network hf_hub_download by itself retries for half a minute.
    get_hf_file_metadata(hf_hub_url(repo, name, repo_type="dataset", revision=revision))
    return Path(hf_hub_download(repo, name, repo_type="dataset", revision=revision))


def load_hub(repo: str, revision: str, data_files: Mapping[str, str], offline: bool) -> "DatasetDict":
    """Load the splits of a data set from exactly this revision of a repository.

    Args:
        repo: ``owner/name`` of a data set repository on the hub.
        revision: commit hash (40 hex digits); a branch name would not be pinned.
        data_files: file name in the repository of each split, all of them JSON lines.
        offline: True to use only what is in the local cache.

    Raises:
        UserError: no network, not in the cache, or no such repository, revision or file.
    """
    paths = {}
    for split, name in data_files.items():
        try:
            paths[split] = _fetch(repo, revision, name, offline)
        except Exception as error:  # the hub's clients raise errors of several HTTP libraries
            state = "offline and not in the cache" if offline else "the hub could not give it"
            raise UserError(
                f"data set {repo} is not available: {state}",
                origin=f"{name} at revision {revision[:12]}, {type(error).__name__}",
                hint=(
                    f"Pass --data-dir DIR with {', '.join(data_files.values())}, or run once on a machine "
                    "with network to fill the cache."
                ),
            ) from error
    return read_files(paths)
