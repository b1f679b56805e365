"""What a published folder holds of a run's folders: their numbers, and nothing that names a machine."""

import filecmp
import json
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from harness.storage.compact import write_columns, write_statistics
from harness.storage.migrations import read_facts_file
from harness.storage.results import NUMBER_COLUMNS, Result
from harness.storage.store import DONE, check, is_done, read_json, read_table, unwritable, write_json
from harness.storage.stored import NUMBERS, predictions_file
from harness.storage.stored import statistics as read_statistics
from harness.storage.training_log import PACKED, read_log, write_packed_log


@dataclass(frozen=True)
class Part:
    """One folder to publish.

    Attributes:
        name: Where it goes, relative to the published folder.
        write: Writes its files into a folder.
        once: Whether the first one stays although another run has other numbers for it.
    """

    name: str
    write: Callable[[Path], None]
    once: bool = False


def parts_of(result: Result) -> Iterator[Part]:
    """What a finished cell is published as: decode, scores, training, warm start.

    Raises:
        CorruptError: Its warm start is damaged.
    """
    run, name = result.folder.parent.parent, f"cells/{result.folder.name}"
    training, warm_start = f"trainings/{result.cell.training_id}", f"warm-starts/{result.cell.warm_start_id}"
    started = is_done(run / warm_start) and check(run / warm_start)
    yield Part(f"{name}/decode", partial(_write_decode, result))
    for score in result.scores:
        yield Part(f"{name}/scores/{score['key']}", partial(_write_score, result, score))
    yield Part(training, partial(_write_training, run / training))
    if started:  # another run may have made it again: the same weights in other seconds
        yield Part(warm_start, partial(_write_training, run / warm_start), once=True)


def stored_part(dest: Path, name: str) -> Part:
    """A part as it was published already.

    Raises:
        CorruptError: It is damaged.
    """
    return Part(name, partial(_copy, check(dest / name)))


def equal_parts(a: Part, b: Part) -> bool:
    """Whether two parts hold the same numbers.

    Files are compared by content where other versions of the libraries would pack them in other bytes.

    Raises:
        UserError: The folder for temporary files can't be written.
    """
    try:
        with tempfile.TemporaryDirectory() as here, tempfile.TemporaryDirectory() as there:
            a.write(Path(here))
            b.write(Path(there))
            names = sorted(path.name for path in Path(here).iterdir())
            return names == sorted(path.name for path in Path(there).iterdir()) and all(
                _equal_files(Path(here, name), Path(there, name)) for name in names
            )
    except OSError as error:
        raise unwritable(Path(tempfile.gettempdir()), error) from error


def portable(content: Any) -> Any:
    """Plain data in which every absolute path is its last name: no folder of a machine is told."""
    if isinstance(content, Mapping):
        return {portable(key): portable(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [portable(value) for value in content]
    return _portable(content) if isinstance(content, str) else content


def portable_command(arguments: Sequence[str]) -> list[str]:
    """The same of a command line, where a path may stand behind an equals sign."""
    return ["=".join(map(_portable, argument.split("=", 1))) for argument in arguments]


def _portable(text: str) -> str:
    for kind in (PurePosixPath, PureWindowsPath):
        path = kind(text)
        if path.is_absolute() or text.startswith("~"):
            return path.name
    return text


def numbers_of(content: Any) -> Any:
    """Plain data without its texts: what a plugin writes into a log is not known here."""
    if isinstance(content, Mapping):
        return {key: numbers_of(value) for key, value in content.items() if not isinstance(value, str)}
    if isinstance(content, list | tuple):
        return [numbers_of(value) for value in content if not isinstance(value, str)]
    return content


def _write_decode(result: Result, folder: Path) -> None:
    decode = result.folder / "decode"
    for name in ("cell.json", "ledger.json"):
        shutil.copyfile(decode / name, folder / name)
    write_json(folder / "task.json", read_facts_file(result.folder))
    write_columns(folder / NUMBERS, {**result.examples(), **_numeric_columns(result)})


def _numeric_columns(result: Result) -> dict[str, Any]:
    """The columns of the predictions with one number or truth an example, such as ``warmup_tokens``."""
    import pyarrow as pa

    path = predictions_file(result.folder) if result.has_texts else result.folder / "decode" / NUMBERS
    table = read_table(path)
    kinds = pa.types.is_boolean, pa.types.is_integer, pa.types.is_floating
    return {
        name: table.column(name).to_pylist()
        for name, kind in zip(table.column_names, table.schema.types, strict=True)
        if name not in NUMBER_COLUMNS and any(is_kind(kind) for is_kind in kinds)
    }


def _write_score(result: Result, score: Mapping[str, Any], folder: Path) -> None:
    write_json(folder / "score.json", {**score, "metric": portable(score["metric"])})
    write_statistics(folder / "statistics.parquet", *result.statistics(score["key"]))


def _write_training(source: Path, folder: Path) -> None:
    """Of a training or a warm start: its ledger, log and provenance."""
    shutil.copyfile(source / "ledger.json", folder / "ledger.json")
    if (source / "provenance.json").is_file():
        write_json(folder / "provenance.json", portable(read_json(source / "provenance.json")))
    if lines := read_log(source):
        write_packed_log(folder, numbers_of(lines))


def _copy(source: Path, folder: Path) -> None:
    shutil.copytree(source, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns(DONE))


def _equal_files(a: Path, b: Path) -> bool:
    if a.name == PACKED:  # as text: a loss that is NaN equals itself
        return json.dumps(read_log(a.parent)) == json.dumps(read_log(b.parent))
    if a.name == NUMBERS:
        return bool(read_table(a).to_pydict() == read_table(b).to_pydict())
    if a.suffix == ".parquet":
        (ids, values), (other_ids, others) = (read_statistics(read_table(path), path) for path in (a, b))
        return ids == other_ids and values.shape == others.shape and bool((values == others).all())
    return filecmp.cmp(a, b, shallow=False)
