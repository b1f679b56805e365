"""The result store: folders that are whole or absent.

Layout of a results folder::

    specs/<hash>.yaml                     every resolved spec that ran here
    data/<task>.<subset>.<scale>-<fingerprint>/   the examples as they were used
    token-ids/<split>.<side>-<hash>/      their token ids; made again where they are removed
    warm-starts/<id>/                     shared starting points
    trainings/<id>/                       trained models with their logs and ledgers
    checkpoints/<id>/                     of warm starts and trainings that are under way
    cells/<cell id>/decode/               predictions, and what scoring needs to know of the task
    cells/<cell id>/scores/<metric>/      statistics of every example, and the score with its signature
    cache/<metric>-<hash>/                what learned metrics have scored, by segment

A folder is written into a temporary sibling, every file synced, then renamed: a reader sees all of it or
none. ``DONE.json`` carries the size and SHA-256 of every file, so damage is found before it is used, and the
folder's place below the results folder (``cells/<cell id>/decode``), so that an exchange of two is found too.
(What 0.1.0 has written names no place.)
"""

import errno
import glob
import hashlib
import json
import os
import re
import shutil
import tempfile
import uuid
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path
from types import MappingProxyType
from typing import Any

from warmup_bench.contracts.errors import UserError
from warmup_bench.contracts.validation import shortened

SCHEMA_VERSION = 2
"""Of what is written; newer ones are refused."""
DONE = "DONE.json"
LONG_NAME = "x" * 200
"""As long as the name of a cell may be."""
FEW_ROWS, FEW_BYTES = 100_000, 2**28
"""Of a parquet file that may hold anything: what it unfolds into does no harm."""
MOST_GROWTH = 200
"""Times its size that a larger one may unfold into."""


_guards: ContextVar[tuple[Callable[[], None], ...]] = ContextVar("guards", default=())
"""Asked before anything is put in its place."""


class CorruptError(UserError):
    """A stored folder that is not what its manifest says. It is never used and never deleted."""


@contextmanager
def guarded(guard: Callable[[], None]) -> Iterator[None]:
    """In here ``guard`` is asked before each thing that is stored; where it raises, that is not stored."""
    before = _guards.set((*_guards.get(), guard))
    try:
        yield
    finally:
        _guards.reset(before)


def _ask_guards() -> None:
    for guard in _guards.get():
        guard()


def is_done(folder: Path) -> bool:
    """Whether the folder was written to its end."""
    return (folder / DONE).is_file()


def is_whole(folder: Path) -> bool:
    """Whether the folder was written to its end; False where there is nothing.

    Raises:
        CorruptError: It has files and no manifest: that was lost, since a folder appears with both.
    """
    if is_done(folder):
        return True
    if folder.is_dir() and any(folder.iterdir()):
        raise CorruptError(
            f"stored folder {folder} has lost its {DONE}; it is not used",
            hint="Restore that, or move the folder away to have it made again.",
        )
    return False


@contextmanager
def writing(
    folder: Path, *, replace: bool = False, depth: int = 0, made_from: Mapping[str, str] | None = None
) -> Iterator[Path]:
    """Write a folder whole or not at all: yields a temporary folder that is renamed on success.

    Args:
        folder: Where it will stand.
        replace: Put it in the place of an older one, which is moved aside first and then removed.
        depth: How many parts of its path are its place, below the results folder; 0: it may stand anywhere.
        made_from: SHA-256 of the stored files that it was made from, by what they are.

    Raises:
        UserError: The place can't be written (read-only, no space, no folder).
    """
    token = uuid.uuid4().hex[:8]
    temporary = folder.with_name(f".{folder.name}.{token}.tmp")
    older = folder.with_name(f".{folder.name}.{token}.old.tmp")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        temporary.mkdir()
        yield temporary
        _write_manifest(temporary, _origin(folder, depth, made_from))
        _ask_guards()
        if replace and folder.exists():
            folder.rename(older)
        try:
            temporary.rename(folder)
        except OSError:
            if not is_done(folder):  # another process may have finished the same work first
                raise
        sync(folder.parent)
    except Exception as error:
        failed = system_error(error)
        if failed is None:
            raise
        raise unwritable(folder, failed) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        shutil.rmtree(older, ignore_errors=True)


def restore_replaced(folder: Path) -> None:
    """Put an older folder back that a killed writer had moved aside for a new one."""
    older = sorted(folder.parent.glob(f".{glob.escape(folder.name)}.*.old.tmp"))
    if older and not folder.exists() and is_done(older[0]):
        older[0].rename(folder)
    clear_unfinished(folder.parent, folder.name)


def clear_unfinished(parent: Path, name: str = "") -> None:
    """Remove what killed writers have left in ``parent`` of the folder or file ``name``; "": of any.

    Only for who alone may write there: it would take a running writer's work.
    """
    for temporary in parent.glob(f".{glob.escape(name)}*.tmp"):
        if temporary.is_dir():
            shutil.rmtree(temporary, ignore_errors=True)
        else:
            temporary.unlink(missing_ok=True)


def check(folder: Path, only: Collection[str] | None = None) -> Path:
    """Verify a finished folder against its manifest and return it.

    Args:
        folder: What :func:`writing` has made.
        only: Names of the files that will be read; None: all of them. A report has no use for the gigabytes
            of a model.

    Raises:
        CorruptError: A file is missing, has another size or other bytes, or the manifest can't be read.
    """
    manifest = read_json(folder / DONE)
    try:
        _verify(folder, manifest, only)
    except CorruptError:
        if read_json(folder / DONE) == manifest:
            raise
        return check(folder, only)  # another process has let its model go, or taken it in, since it was read
    return folder


def _verify(folder: Path, manifest: dict[str, Any], only: Collection[str] | None) -> None:
    """See that a folder is what its manifest says.

    Raises:
        CorruptError: It is not.
    """
    place = manifest.get("place", "")
    if not (isinstance(place, str) and folder.absolute().as_posix().endswith(f"/{place}" * bool(place))):
        raise _corrupt(folder / DONE, f"is that of {str(place)[:200]}")
    version = manifest.get("schema_version")
    if not isinstance(version, int) or version < 1:
        raise _corrupt(folder / DONE, "names no schema version")
    if version > SCHEMA_VERSION:
        raise UserError(
            f"{folder} has schema version {version}, this program reads up to {SCHEMA_VERSION}",
            hint="Upgrade warmup-bench.",
        )
    for name, (size, digest) in _listed(folder, manifest).items():
        if only is not None and name not in only:
            continue
        path = folder / name
        if not path.is_file():
            raise _corrupt(path, "is missing")
        if path.stat().st_size != size:
            raise _corrupt(path, f"has {path.stat().st_size} bytes, not {size}")
        if _digest(path) != digest:
            raise _corrupt(path, "has other contents than were stored")


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object from a stored file.

    Raises:
        CorruptError: It can't be read as one.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        json.dumps(content, ensure_ascii=False).encode()  # lone surrogates can't be shown or stored again
    except (OSError, ValueError, RecursionError) as error:
        raise _corrupt(path, f"can't be read ({error})") from error
    if not isinstance(content, dict):
        raise _corrupt(path, "holds no object")
    return content


def write_json(path: Path, content: Any) -> None:
    """Write :func:`json_text`."""
    path.write_text(json_text(content), encoding="utf-8")


def json_text(content: Any) -> str:
    """Readable JSON, keys sorted."""
    return json.dumps(content, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def write_file(path: Path, text: str) -> None:
    """Write one text file whole or not at all.

    Raises:
        UserError: The place can't be written.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_text(text, encoding="utf-8")
        sync(temporary)
        _ask_guards()
        temporary.replace(path)
        sync(path.parent)
    except OSError as error:
        raise unwritable(path, error) from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def make_folder(path: Path) -> Path:
    """Make a folder with its parents, unless it is there, and return it.

    Raises:
        UserError: The place can't be written.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise unwritable(path, error) from error
    return path


def require_path(out: Path) -> None:
    """See that a path of a results folder can name one; it need not be there.

    Raises:
        UserError: It is no UTF-8, or longer than the system takes.
    """
    try:
        str(out).encode()
        (out / "cells" / LONG_NAME).lstat()
    except (FileNotFoundError, NotADirectoryError):
        return
    except (OSError, ValueError) as error:
        what = error.strerror if isinstance(error, OSError) else "it is no text of UTF-8 without NUL"
        raise UserError(
            f"results folder {shortened(ascii(str(out)))} can't be: {what}",
            origin="--out",
            hint="Choose another --out.",
        ) from error


def require_writable(out: Path) -> None:
    """Fail before the first step where results can't be stored.

    Raises:
        UserError: ``out`` is a file, or can't be made or written.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=out):
            pass
    except OSError as error:
        raise UserError(
            f"results folder {out} is not writable: {error.strerror or error}",
            origin="--out",
            hint="Choose another --out.",
        ) from error


def write_table(path: Path, columns: dict[str, Any]) -> None:
    """Write columns of equal length as parquet."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table(columns), path)


def write_small_table(path: Path, table: Any) -> None:
    """Write an arrow table in few bytes: numbers in their smallest type that loses nothing, byte by byte."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.table({name: _smallest(table.column(name)) for name in table.column_names})
    numbers = [field.name for field in table.schema if is_number(field.type)]
    pq.write_table(
        table,
        path,
        compression="zstd",
        compression_level=19,
        write_statistics=False,
        use_dictionary=[name for name in table.column_names if name not in numbers],
        column_encoding=dict.fromkeys(numbers, "BYTE_STREAM_SPLIT"),
    )


def is_number(kind: Any) -> bool:
    """Whether a type of arrow is one of numbers; truths are none."""
    import pyarrow as pa

    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind))


def _smallest(column: Any) -> Any:
    """A column of numbers in the smallest type that holds every value exactly; another one as it is."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if not is_number(column.type):
        return column
    for kind in (pa.uint8(), pa.int8(), pa.uint16(), pa.int16(), pa.int32(), pa.int64(), pa.float32()):
        try:
            narrow = column.cast(kind)
        except pa.ArrowInvalid:  # it would lose something
            continue
        if pc.all(pc.equal(narrow.cast(column.type), column)).as_py() is not False:
            return narrow
    return column


def read_table(path: Path) -> Any:
    """A stored parquet file as a pyarrow table.

    Raises:
        CorruptError: It can't be read.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        # One file is one file: no search for partitions in its path, which takes longer than the reading.
        with pq.ParquetFile(path) as file:
            _require_honest(file.metadata, path)
            table = file.read(use_threads=False)
        table.column_names  # noqa: B018 - bytes that are not UTF-8 show only here
    except (OSError, ValueError, pa.ArrowException) as error:
        raise _corrupt(path, f"can't be read ({error})") from error
    return table


def _require_honest(facts: Any, path: Path) -> None:
    """See that a parquet file does not unfold into far more than it is: each row has an id or a number of its
    own, which takes a byte.

    Raises:
        CorruptError: It claims more rows than bytes, or grows more than a text can.
    """
    size = path.stat().st_size
    unpacked = sum(facts.row_group(i).total_byte_size for i in range(facts.num_row_groups))
    if facts.num_rows > max(size, FEW_ROWS) or unpacked > max(MOST_GROWTH * size, FEW_BYTES):
        raise _corrupt(path, f"claims {facts.num_rows:,} rows and {unpacked:,} bytes in {size:,} bytes")


def _corrupt(path: Path, what: str) -> CorruptError:
    return CorruptError(
        f"stored file {path} {what}; its folder is not used",
        hint=f"Restore it, or move {path.parent} away to have it made again.",
    )


def system_error(error: Exception) -> OSError | None:
    """The operating system's error behind an exception: libraries in Rust tell it in words only."""
    if isinstance(error, OSError):
        return error
    number = re.search(r"(?:os error|code:) (\d+)", str(error))
    return None if number is None else OSError(int(number[1]), os.strerror(int(number[1])))


def unwritable(path: Path, error: OSError) -> UserError:
    """What to tell the user of a failed write."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        what, hint = "no space is left", "Free some, then run the same command again."
    else:
        what, hint = error.strerror or str(error), "Choose another --out."
    return UserError(f"can't write {path}: {what}", origin="--out", hint=hint)


def _listed(folder: Path, manifest: dict[str, Any]) -> dict[str, tuple[int, str]]:
    """Size and digest of every file of a manifest.

    Raises:
        CorruptError: It lists none so, or one outside of the folder.
    """
    files = manifest.get("files")
    if not isinstance(files, dict):
        raise _corrupt(folder / DONE, "lists no files")
    for name, facts in files.items():
        inside = not Path(name).is_absolute() and ".." not in Path(name).parts and "\0" not in name
        known = isinstance(facts, list) and [type(fact) for fact in facts] == [int, str]
        if not inside or not known:
            raise _corrupt(folder / DONE, f"lists {name[:80]!r}, which can't be one of its files")
    return files


def made_from(folder: Path) -> dict[str, str]:
    """SHA-256 of the stored files that a finished folder was made from; {} where it doesn't tell.

    Raises:
        CorruptError: Its manifest can't be read.
    """
    noted = read_json(folder / DONE).get("made_from", {})
    if not (isinstance(noted, dict) and all(isinstance(digest, str) for digest in noted.values())):
        raise _corrupt(folder / DONE, "names no files that it was made from")
    return noted


def digest_of(folder: Path, name: str) -> str:
    """SHA-256 of a file of a finished folder, as its manifest has it.

    Raises:
        CorruptError: The manifest can't be read, or doesn't list the file.
    """
    files = _listed(folder, read_json(folder / DONE))
    if name not in files:
        raise _corrupt(folder / DONE, f"lists no {name}")
    return files[name][1]


def _origin(folder: Path, depth: int, made_from: Mapping[str, str] | None) -> dict[str, Any]:
    """What a manifest tells of a folder beside its files."""
    place = {"place": "/".join(folder.absolute().parts[-depth:])} if depth else {}
    return {**place, **({"made_from": dict(made_from)} if made_from else {})}


def _write_manifest(folder: Path, origin: Mapping[str, Any] = MappingProxyType({})) -> None:
    files = {}
    for path in sorted(folder.rglob("*")):
        sync(path)
        if not path.is_dir():
            files[str(path.relative_to(folder))] = (path.stat().st_size, _digest(path))
    write_json(folder / DONE, {"schema_version": SCHEMA_VERSION, "files": files, **origin})
    sync(folder / DONE)
    sync(folder)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sync(path: Path) -> None:
    """See that a file, or the names in a folder, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
