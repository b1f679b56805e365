"""The files of data sets: at one commit of a repository, on the Hugging Face hub or on GitHub, or on disk.

Without ``--data-dir`` a file is fetched once from exactly the pinned commit and kept: the hub's in the hub's
own cache, GitHub's in :func:`cache_folder`, where built data sets are too. With it, nothing but that folder
is read. ``load_dataset(repo)`` would be shorter, but where the hub can't be reached it falls back to whatever
copy of the repository its cache holds, of any revision: silently another data set.

Files are what they say: one that stands for two is refused, and so is one with the contents of another; one
that is not as published is used, and told (:func:`check_contents`).
"""

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from warmup_bench.contracts.errors import UserError
from warmup_bench.contracts.task import LoadRequest
from warmup_bench.data.lines import OPENERS, content_of


@dataclass(frozen=True, slots=True)
class Repository:
    """A repository at one commit.

    Attributes:
        host: ``hub`` (a data set repository of the Hugging Face hub), ``github``, or ``local``: what the user
            fetches or builds by hand.
        name: ``owner/name``.
        revision: Commit hash, 40 hex digits (a branch name would not be pinned); "" for local ones.
        folder: Where its files may lie below ``--data-dir``, besides the folder itself.
        access: What to do to get it, where it can't just be fetched.
    """

    host: Literal["hub", "github", "local"]
    name: str
    revision: str
    folder: str
    access: str = ""

    @property
    def pinned(self) -> str:
        """``name@revision``, short, as cards tell it."""
        return f"{self.name}@{self.revision[:12]}"

    @property
    def place(self) -> str:
        """Host and name, in words."""
        return {"hub": "hub data set ", "github": "GitHub repository ", "local": ""}[self.host] + self.name

    def file(self, path: str, *names: str, blob: str = "", sha256: str = "", unpacked: str = "") -> "File":
        """One of its files; see :class:`File`."""
        return File(self, path, names, blob, sha256, unpacked)


@dataclass(frozen=True, slots=True)
class File:
    """One file of a repository.

    Attributes:
        repository: Where it is.
        path: Its path there.
        names: Other names that it may have on disk.
        blob: Git's object id of it (GitHub; the hub's client checks what it fetches itself).
        sha256: Of it, as the hub tells it of large files.
        unpacked: Git's object id of what is in it, where it is packed: a packer may pack it otherwise.
    """

    repository: Repository
    path: str
    names: tuple[str, ...] = ()
    blob: str = ""
    sha256: str = ""
    unpacked: str = ""

    @property
    def known(self) -> str:
        """Hash of its unpacked contents, of SHA-256 or Git's (40 hex digits); "" where nobody has told it."""
        packed = Path(self.path).suffix in OPENERS
        return self.sha256 or self.unpacked or ("" if packed else self.blob)

    def holds(self, content: bytes) -> bool:
        """Whether these unpacked contents are known to be its own."""
        own = hashlib.sha256(content).hexdigest() if len(self.known) == 64 else git_blob(content)
        return own == self.known


def gather(files: Sequence[File], request: LoadRequest) -> list[Path]:
    """Paths of the files, in order: from the data folder if there is one, else fetched where need be.

    Raises:
        UserError: Files are missing: every one is named, with what to do. Or one stands for two.
    """
    if request.data_dir is None:
        return [_fetch(file, request.offline) for file in files]
    paths = [_on_disk(file, request.data_dir) for file in files]
    absent = [file for file, path in zip(files, paths, strict=True) if path is None]
    if absent:
        raise UserError(
            f"data folder lacks {', '.join(_short(file) for file in absent)}",
            origin=str(request.data_dir),
            hint=wanted(files),
        )
    found = [path for path in paths if path is not None]
    first: dict[Path, File] = {}
    for file, path in zip(files, found, strict=True):
        if (twin := first.setdefault(path, file)) != file:
            raise _one_for_two(path, f"{path.name} stands", twin, file)
    return found


def check_contents(
    files: Sequence[File], paths: Sequence[Path], others: Sequence[File] = ()
) -> tuple[str, ...]:
    """See that every file is its own, once they are read: damage is better told by its row.

    Args:
        files: The files.
        paths: Where they are.
        others: More files of the data set, such as those of other languages.

    Returns:
        What a reader of results must know: a sentence a repository that names the files whose contents are
        known not to be the published ones.

    Raises:
        UserError: Two hold the same, or one is known to hold another of the data set.
    """
    first: dict[str, tuple[File, Path]] = {}
    changed: dict[Repository, list[str]] = {}
    for file, path in zip(files, paths, strict=True):
        content = content_of(path)
        twin, same = first.setdefault(hashlib.sha256(content).hexdigest(), (file, path))
        if twin != file:
            raise _one_for_two(path, f"{same.name} and {path.name} hold the same: one stands", twin, file)
        if not file.known or file.holds(content):
            continue
        for other in others:
            if other.holds(content):
                raise UserError(
                    f"{path.name} holds {_short(other)}, and {_short(file)} is wanted there",
                    origin=str(path),
                    hint=wanted([file]),
                )
        changed.setdefault(file.repository, []).append(_short(file))
    return tuple(
        f"{', '.join(names)}: not as published in {repository.place}, commit {repository.revision[:12]} "
        "(a part, or changed)."
        for repository, names in changed.items()
    )


def _one_for_two(path: Path, what: str, first: File, second: File) -> UserError:
    problem = f"{what} for {first.path} and for {second.path}, which are two files"
    return UserError(problem, origin=str(path), hint=wanted([first, second]))


def missing(files: Sequence[File], request: LoadRequest) -> list[str]:
    """Names of the files that are neither in the data folder (if one is given) nor in the cache."""
    data_dir = request.data_dir
    paths = [_cached(file) if data_dir is None else _on_disk(file, data_dir) for file in files]
    return [_short(file) for file, path in zip(files, paths, strict=True) if path is None]


def wanted(files: Sequence[File]) -> str:
    """One sentence a repository that says which files are needed, and how they come.

    How to log in is told where something is fetched, and not here, where only a folder is read.
    """
    by_repository: dict[Repository, list[File]] = {}
    for file in files:
        by_repository.setdefault(file.repository, []).append(file)
    parts = []
    for repository, of_repository in by_repository.items():
        names = ", ".join(file.path for file in of_repository)
        commit = f", commit {repository.revision[:12]}" if repository.revision else ""
        where = f"({repository.place}{commit})"
        parts.append(f"Wanted, in the folder or below {repository.folder}/: {names} {where}.")
        if repository.host == "local" and repository.access:
            parts.append(repository.access)
    if all(repository.host != "local" for repository in by_repository):
        parts.append("Without --data-dir (and WARMUP_BENCH_DATA) they are fetched.")
    return " ".join(parts)


def cache_folder() -> Path:
    """Where fetched and built data are kept: ``WARMUP_BENCH_CACHE``, or warmup-bench in the user's cache."""
    chosen = os.environ.get("WARMUP_BENCH_CACHE")
    if chosen:
        return Path(chosen)
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "warmup-bench"


def _short(file: File) -> str:
    return (file.names or (file.path,))[0]


def _on_disk(file: File, data_dir: Path) -> Path | None:
    """The file in the data folder, under its path or one of its names, packed by gzip or not."""
    names = (file.path, *file.names, Path(file.path).name)
    for base in (data_dir / file.repository.folder, data_dir):
        for name in names:
            plain = name.removesuffix(".gz")
            for candidate in (base / f"{plain}.gz", base / plain):
                if candidate.is_file():
                    return candidate
    return None


def _cached(file: File) -> Path | None:
    repository = file.repository
    if repository.host != "hub":
        path = _kept(file)
        return path if path.is_file() else None
    from huggingface_hub import try_to_load_from_cache

    kept = try_to_load_from_cache(
        repository.name, file.path, revision=repository.revision, repo_type="dataset"
    )
    return Path(kept) if isinstance(kept, str) else None


def _kept(file: File) -> Path:
    """Where a file of GitHub's or of our own making is kept."""
    repository = file.repository
    if repository.host == "local":
        return cache_folder() / repository.folder / file.path
    return cache_folder() / repository.name / repository.revision / file.path


def _fetch(file: File, offline: bool) -> Path:
    """Path of a file in the cache, fetched if it is not there yet: a commit's files don't change."""
    cached = _cached(file)
    if cached is not None:
        return cached
    if file.repository.host == "local":
        raise UserError(
            f"{file.repository.name} is not on this machine and can't be fetched by itself",
            origin=str(_kept(file)),
            hint=file.repository.access,
        )
    if offline:
        raise _unavailable(file, "offline and not in the cache", "")
    try:
        return _from_hub(file) if file.repository.host == "hub" else _from_github(file)
    except UserError:
        raise
    except Exception as error:  # the hub's client raises errors of several HTTP libraries
        from huggingface_hub.errors import GatedRepoError

        if isinstance(error, GatedRepoError):
            raise UserError(
                f"data set {file.repository.name} is gated, and this machine has no access to it",
                origin=f"{file.path} at revision {file.repository.revision[:12]}",
                hint=file.repository.access or "Ask for access on the data set's page, then log in.",
            ) from error
        raise _unavailable(file, "its host could not give it", type(error).__name__) from error


def _unavailable(file: File, state: str, cause: str) -> UserError:
    repository = file.repository
    origin = f"{file.path} at revision {repository.revision[:12]}"
    hint = (
        f"Pass --data-dir DIR with {_short(file)}, or run once on a machine with network to fill the cache. "
        + repository.access
    )
    return UserError(
        f"data set {repository.name} is not available: {state}",
        origin=f"{origin}, {cause}" if cause else origin,
        hint=hint.strip(),
    )


def _from_hub(file: File) -> Path:
    from huggingface_hub import get_hf_file_metadata, hf_hub_download, hf_hub_url

    name, revision = file.repository.name, file.repository.revision
    # One try: without a network hf_hub_download by itself retries for half a minute.
    get_hf_file_metadata(hf_hub_url(name, file.path, repo_type="dataset", revision=revision))
    return Path(hf_hub_download(name, file.path, repo_type="dataset", revision=revision))


def _from_github(file: File) -> Path:
    """Fetch a file, check that it is the one that the commit holds, and keep it in the cache."""
    content = _download(
        f"https://raw.githubusercontent.com/{file.repository.name}/{file.repository.revision}/{file.path}"
    )
    if file.blob and git_blob(content) != file.blob:
        raise _unavailable(file, "what came is not the file of that commit", "")
    path = _kept(file)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    temporary.write_bytes(content)
    temporary.replace(path)
    return path


def _download(url: str) -> bytes:
    import urllib.request

    with urllib.request.urlopen(url, timeout=60) as answer:  # the scheme is always https
        content: bytes = answer.read()
    return content


def git_blob(content: bytes) -> str:
    """Git's object id of a file's contents: SHA-1 of a header and the bytes."""
    header = f"blob {len(content)}\0".encode()
    return hashlib.sha1(header + content, usedforsecurity=False).hexdigest()
