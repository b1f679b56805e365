"""Models of learned metrics on this machine: a folder, or a snapshot in the cache of the Hugging Face hub.

Nothing here reaches a network but :func:`fetch`.
"""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from warmup_bench.contracts.errors import UserError

TOKENIZER = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "vocab.txt",
    "merges.txt",
    "*.model",
)
"""Files of a tokenizer, as patterns."""


def find_model(reference: str) -> Path | None:
    """The folder of a model by local path or hub id, None where it is not on this machine."""
    folder = Path(reference).expanduser()
    if folder.is_dir():
        return folder
    if reference.startswith((".", "/", "~")):
        return None
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(reference, local_files_only=True))
    except (LocalEntryNotFoundError, HFValidationError, OSError, ValueError):
        return None


def fetch(reference: str, patterns: Sequence[str] | None = None) -> Path:
    """Download a model (or its files of some patterns) into the cache of the hub.

    Raises:
        UserError: It can't be reached, does not exist, or is gated.
    """
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(reference, allow_patterns=list(patterns) if patterns else None))
    except Exception as error:  # the hub's client raises errors of several libraries
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise UserError(
            f"model {reference} can't be downloaded: {reason}",
            origin="the hub",
            hint="A gated model needs its licence accepted on its page, then 'hf auth login'.",
        ) from error


def matching(folder: Path, patterns: Iterable[str]) -> list[Path]:
    """Files of a folder that match any of the patterns, sorted."""
    return sorted({path for pattern in patterns for path in folder.glob(pattern) if path.is_file()})


def short_name(reference: str) -> str:
    """The last part of a hub id or path, as letters, digits and ``. _ -``."""
    return re.sub(r"[^\w.-]", "-", reference.rstrip("/").split("/")[-1], flags=re.ASCII)
