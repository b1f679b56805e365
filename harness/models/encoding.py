"""The token ids of a split, made once for all cells: kept beside the data, mapped into memory when read.

Tokenizing a large split takes minutes, and every cell of a tokenizer reads the same ids. They are kept uncut,
so that cells with other limits share them; the folder's name says of which texts and which tokenizer they
are. They can be removed at any time: they are made again, as they are where a file is damaged.
"""

import hashlib
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal, overload

import numpy as np
from numpy.typing import NDArray

from warmup_bench.models.base import Backbone
from warmup_bench.models.batching import Encoded, frame
from warmup_bench.store.folders import (
    DONE,
    CorruptError,
    check,
    clear_unfinished,
    is_done,
    read_json,
    read_table,
    writing,
)
from warmup_bench.store.hashes import hash_files
from warmup_bench.store.locks import hold

Column = Literal["source", "target"]
LIBRARIES = ("transformers", "tokenizers", "sentencepiece")
"""Whose releases the ids may depend on."""


@dataclass(frozen=True, slots=True)
class Rows:
    """Lists of ids, one a text and end to end: ``ids[ends[i]:ends[i + 1]]`` are those of text i."""

    ids: NDArray[np.int32]
    ends: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.ends) - 1

    def __getitem__(self, index: int) -> list[int]:
        if not 0 <= index < len(self):
            raise IndexError(index)
        row: list[int] = self.ids[self.ends[index] : self.ends[index + 1]].tolist()
        return row

    def __iter__(self) -> Iterator[list[int]]:
        return (self[index] for index in range(len(self)))

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Tokens of each text, [texts]."""
        return np.diff(self.ends)


class EncodedSplit(Sequence[Encoded]):
    """The examples of a split, each made from its ids when it is asked for.

    Attributes:
        cut: How many have a source or target that is cut.
    """

    def __init__(
        self, backbone: Backbone, sources: Rows, targets: Rows, max_source: int, max_target: int
    ) -> None:
        """``max_source`` and ``max_target`` bound what :func:`warmup_bench.models.batching.frame` makes."""
        self._backbone, self._sources, self._targets = backbone, sources, targets
        self._limits = max_source, max_target
        around = len(backbone.prefix) + len(backbone.suffix)
        longer = (sources.lengths > max(0, max_source - around)) | (targets.lengths > max_target - 1)
        self.cut = int(longer.sum())

    def __len__(self) -> int:
        return len(self._sources)

    @overload
    def __getitem__(self, index: int) -> Encoded: ...
    @overload
    def __getitem__(self, index: slice) -> list[Encoded]: ...
    def __getitem__(self, index: int | slice) -> Encoded | list[Encoded]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        return frame(self._backbone, self._sources[index], self._targets[index], *self._limits)[0]


def encode_split(
    backbone: Backbone, data: Path, split: str, max_source: int, max_target: int, *, cache: Path
) -> EncodedSplit:
    """What :func:`warmup_bench.models.batching.encode_examples` makes of a stored split, from kept ids.

    Args:
        backbone: Its tokenizer makes the ids.
        data: Folder of the examples, checked.
        split: One of its splits.
        max_source, max_target: Limits.
        cache: Folder of the kept ids, in the results folder.

    Raises:
        UserError: ``cache`` can't be written.
    """
    sources, targets = (text_ids(backbone, data, split, side, cache=cache) for side in ("source", "target"))
    return EncodedSplit(backbone, sources, targets, max_source, max_target)


def text_ids(backbone: Backbone, data: Path, split: str, column: Column, *, cache: Path) -> Rows:
    """The uncut ids of one side of a stored split, made if they are not kept yet; as :func:`encode_split`."""
    folder = cache / f"{split}.{column}-{_key(backbone, data, split)}"
    if not _is_sound(folder):
        with hold(cache.parent / "locks" / f"ids-{folder.name}.lock"):
            if not _is_sound(folder):  # nobody has made them meanwhile
                clear_unfinished(cache, folder.name)
                texts = read_table(data / f"{split}.parquet").column(column).to_pylist()
                rows = _make(backbone, texts, target=column == "target")
                with writing(folder, replace=True, depth=2) as place:
                    np.save(place / "ids.npy", rows.ids)
                    np.save(place / "ends.npy", rows.ends)
    return Rows(*(np.load(folder / f"{name}.npy", mmap_mode="r") for name in ("ids", "ends")))


def _is_sound(folder: Path) -> bool:
    """Whether kept ids are there, and are what was written."""
    try:
        return is_done(folder) and bool(check(folder))
    except CorruptError:
        return False


def _make(backbone: Backbone, texts: Sequence[str], *, target: bool) -> Rows:
    ids, ends = array("i"), [0]
    for row in backbone.many_ids(texts, target=target):
        ids.extend(row)
        ends.append(len(ids))
    return Rows(np.array(ids, np.int32), np.array(ends, np.int64))


def _key(backbone: Backbone, data: Path, split: str) -> str:
    """Hash of what the ids depend on: the stored texts, the tokenizer, the libraries' releases."""
    texts = str(read_json(data / DONE)["files"].get(f"{split}.parquet"))
    tokenizer = backbone.tokenizer
    special = tokenizer.all_special_tokens, tokenizer.all_special_ids, tokenizer.unk_token_id
    parts = texts, type(tokenizer).__name__, repr(special), _contents(tokenizer), *map(_release, LIBRARIES)
    return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()[:16]


def _contents(tokenizer: Any) -> str:
    """All that makes a tokenizer: its core where it has one, else its files."""
    if (core := getattr(tokenizer, "backend_tokenizer", None)) is not None:
        return str(core.to_str())
    with TemporaryDirectory() as place:
        tokenizer.save_pretrained(place)
        return hash_files(Path(place), [path for path in Path(place).rglob("*") if path.is_file()])


def _release(library: str) -> str:
    try:
        return version(library)
    except PackageNotFoundError:
        return "none"
