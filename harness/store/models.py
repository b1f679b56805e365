"""Models in the store: let go once nothing needs them any more, taken in again when something does.

A warm start or a training is stored with its model or without. Of one without, ``DONE.json`` lists the
records, and under ``removed`` the size and SHA-256 of what went, under ``removed_by`` the setting that asked
for it. The manifest is changed before files go, and after they have come back: a process that is killed in
between leaves files that no manifest lists, which whoever works on the folder next removes.
"""

import logging
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from warmup_bench.contracts.errors import UserError
from warmup_bench.store.folders import (
    DONE,
    CorruptError,
    check,
    is_done,
    json_text,
    read_json,
    sync,
    unwritable,
    write_file,
    writing,
)
from warmup_bench.store.locks import hold
from warmup_bench.store.training_log import LOG

RECORDS = ("ledger.json", "provenance.json", LOG)
"""Files of a warm start or a training that always stay; a report reads no others."""
_AGAIN = "again"
"""Folder in which a model is made again before it is taken in."""
_log = logging.getLogger(__name__)


def has_model(folder: Path) -> bool:
    """Whether a warm start or a training is stored with its model.

    A manifest that can't be read is for :func:`warmup_bench.store.folders.check` to name.
    """
    if not is_done(folder):
        return False
    try:
        return not read_json(folder / DONE).get("removed")
    except CorruptError:
        return True


@contextmanager
def reading(*folders: Path) -> Iterator[None]:
    """Read the models of warm starts and trainings; nobody lets them go meanwhile.

    Raises:
        UserError: One was let go before.
    """
    with ExitStack() as locks:
        for folder in folders:
            locks.enter_context(hold(lock_of(folder)))
            require_model(folder)
        yield


def require_model(folder: Path) -> None:
    """See that the model of what is stored was not let go.

    Raises:
        UserError: It was; says what to do.
    """
    if not is_done(folder) or has_model(folder):
        return
    setting = read_json(folder / DONE).get("removed_by", "store.models")
    raise UserError(
        f"the model of {folder} was not kept ({setting})",
        hint="'warmup-bench run' trains it again for cells that need it. To have the model itself, run its "
        "spec in a folder of its own: --out FOLDER --set store.models=all.",
    )


def lock_of(folder: Path) -> Path:
    """The lock of a warm start or a training: of who makes it, reads its model or lets it go."""
    kind = folder.parent.name.removesuffix("s")
    return folder.parents[1] / "locks" / f"{kind}-{folder.name}.lock"


def is_untidy(folder: Path) -> bool:
    """Whether a folder without its model holds files of one: who removed it, or made it again, was killed."""
    return is_done(folder) and not has_model(folder) and bool(_unlisted(folder))


def let_go(folder: Path, setting: str) -> None:
    """Remove the model of a warm start or a training; its records stay. Only for who holds its lock.

    Args:
        folder: Its folder, which is done.
        setting: What asked for it, as ``store.models=none``.

    Raises:
        UserError: The folder can't be written.
        CorruptError: It is damaged; nothing is removed.
    """
    if has_model(folder):
        manifest = read_json(check(folder, only=RECORDS) / DONE)
        files = manifest["files"]
        kept = {name: facts for name, facts in files.items() if name in RECORDS}
        removed = {name: facts for name, facts in files.items() if name not in RECORDS}
        changed = {"files": kept, "removed": removed, "removed_by": setting}
        write_file(folder / DONE, json_text({**manifest, **changed}))
    end_removal(folder)


def end_removal(folder: Path) -> None:
    """Remove what :func:`is_untidy` finds. Only for who holds the folder's lock."""
    for path in _unlisted(folder) if is_untidy(folder) else ():
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            with suppress(OSError):
                path.unlink()


@contextmanager
def writing_model(folder: Path) -> Iterator[Path]:
    """:func:`warmup_bench.store.folders.writing`; a folder whose model was let go gets it back and keeps its
    records, those of the first time. Only for who holds its lock.

    Raises:
        UserError: The place can't be written.
    """
    anew = not is_done(folder) or has_model(folder)
    with writing(folder if anew else folder / _AGAIN, depth=2 if anew else 0) as temporary:
        yield temporary
    if not anew:
        try:
            _take_in(folder, folder / _AGAIN)
        except OSError as error:
            raise unwritable(folder, error) from error


def _take_in(folder: Path, again: Path) -> None:
    """Put a model that was made again in its place."""
    old, new = read_json(folder / DONE), read_json(again / DONE)
    files = {name: facts for name, facts in new["files"].items() if name not in old["files"]}
    for name in files:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (again / name).replace(folder / name)
        sync((folder / name).parent)
    taken_in = {"schema_version": new["schema_version"], "files": {**old["files"], **files}}
    content = {key: value for key, value in old.items() if key not in ("removed", "removed_by")} | taken_in
    shutil.rmtree(again, ignore_errors=True)  # before the manifest, after which nobody looks for it
    write_file(folder / DONE, json_text(content))
    if _weights(files) != _weights(old["removed"]):
        _log.warning(
            "%s was made again with other weights than before (another machine, or a GPU): what was decoded "
            "earlier is not of these.",
            folder,
        )


def _weights(files: dict[str, Any]) -> dict[str, Any]:
    return {name: facts for name, facts in files.items() if name.endswith(".safetensors")}


def _unlisted(folder: Path) -> list[Path]:
    """What stands in a folder and is none of its records."""
    return [path for path in folder.iterdir() if path.name not in (DONE, *RECORDS)]
