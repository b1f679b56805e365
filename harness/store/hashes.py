"""What tells one set of files from another: models of metrics, checkpoints of backbones."""

import hashlib
import re
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path


def hash_files(folder: Path, files: Sequence[Path]) -> str:
    """First 12 hex digits of the SHA-256 over names and contents."""
    digest = hashlib.sha256()
    for path in sorted(files):
        stat = path.stat()
        contents = _content_hash(path.resolve(), stat.st_size, stat.st_mtime_ns)
        digest.update(f"{path.relative_to(folder)}\x1f{contents}\x1e".encode())
    return digest.hexdigest()[:12]


@lru_cache(maxsize=256)
def _content_hash(path: Path, size: int, changed: int) -> str:
    """SHA-256 of a file; size and time of change only tell the cache that it is another one.

    The cache of the hub names the blobs of large files by their SHA-256, which spares reading gigabytes.
    """
    if path.parent.name == "blobs" and re.fullmatch(r"[0-9a-f]{64}", path.name):
        return path.name
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
