"""Tasks without Python: a YAML file, or a hub data set in one line, as a :class:`~warmup_bench.Task`.

A reference is the path of a YAML file, ``FILE.yaml@COMMIT`` for a hub data set whose commit the file leaves
open, or ``hf:OWNER/NAME@COMMIT?source=COLUMN&target=COLUMN``. :func:`pinned` adds the commit, so that a spec
names one state of the data.
"""

import hashlib
import re
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote

from warmup_bench.contracts.errors import UserError
from warmup_bench.contracts.registry import Entry
from warmup_bench.contracts.task import (
    SPLITS,
    Example,
    LoadRequest,
    ScaleCard,
    SplitName,
    Splits,
    Subset,
    Task,
    TaskCard,
)
from warmup_bench.contracts.validation import known_keys, validated
from warmup_bench.data.declaration import Declaration
from warmup_bench.data.files import absent_files, split_paths
from warmup_bench.data.layout import REVISION, resolve_revision
from warmup_bench.data.multiple_choice import LETTERS
from warmup_bench.data.plain_yaml import read_yaml
from warmup_bench.data.rows import read_examples
from warmup_bench.data.splitting import drawn, without_held_out

OPTIONS = ("config", "source", "target", "references", "metrics", "language")
"""What the one line can say of a hub data set."""


def load_declared(reference: str) -> Entry[Task]:
    """The task of a reference.

    Raises:
        UserError: A file that can't be read or declares no task, or a commit that can't be looked up.
    """
    content, origin, base = _content(reference)
    if commit := _open_commit(content, offline=False):
        content["data"]["revision"] = commit
    code = hashlib.sha256(repr(content).encode()).hexdigest()[:12]
    task = make_task(content, origin, base)
    return Entry(task.card.name, task, origin, code)


def read_task(path: str | Path) -> Task:
    """The task that a YAML file declares: what a package registers in one line of Python.

    Raises:
        UserError: As :func:`load_declared`.
    """
    return load_declared(str(path)).value


def pinned(reference: str, *, offline: bool) -> str:
    """The reference with the commit of its hub data set, where it has one and names none.

    Raises:
        UserError: As :func:`load_declared`.
    """
    commit = _open_commit(_content(reference)[0], offline=offline)
    if not commit:
        return reference
    if not reference.startswith("hf:"):
        return f"{reference}@{commit}"
    place, mark, options = reference.partition("?")
    return f"{place.partition('@')[0]}@{commit}{mark}{options}"


def _open_commit(content: Mapping[str, Any], *, offline: bool) -> str:
    """The commit of a hub data set that a declaration leaves open; "" where it leaves none open."""
    data = content.get("data")
    name = data.get("hub") if isinstance(data, Mapping) else None
    named = str(data.get("revision", "")) if isinstance(data, Mapping) else ""
    if not isinstance(name, str) or REVISION.fullmatch(named):
        return ""
    return resolve_revision(name, named, offline=offline)


def with_columns(reference: str, source: str | None, target: str | None) -> str:
    """The reference of a hub data set with the columns that the command line names.

    Raises:
        UserError: The task is another one: it knows its columns.
    """
    given = {key: value for key, value in (("source", source), ("target", target)) if value}
    if given and not reference.startswith("hf:"):
        raise UserError(
            f"task '{reference}' knows its columns",
            origin=f"--{next(iter(given))}",
            hint="Columns are named for --task hf:OWNER/NAME; of a YAML file they stand under columns.",
        )
    added = "&".join(f"{key}={quote(value, safe='')}" for key, value in given.items())
    return f"{reference}{'&' if '?' in reference else '?'}{added}" if added else reference


def _content(reference: str) -> tuple[dict[str, Any], str, Path]:
    """What is declared, where it stands, and the folder that its files lie in."""
    if reference.startswith("hf:"):
        return _of_line(reference), reference, Path()
    name, _, commit = reference.partition("@")
    path = Path(name)
    try:
        content = read_yaml(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise UserError(f"task file {path} does not exist", hint="Check the path.") from error
    except (ValueError, OSError) as error:  # a UnicodeDecodeError is a ValueError
        raise UserError(f"task file {path} can't be read: {' '.join(str(error).split())}") from error
    if not isinstance(content, dict):
        raise UserError(
            f"task file {path} holds no mapping",
            hint="'warmup-bench new task NAME --yaml' makes one that works.",
        )
    if commit and isinstance(content.get("data"), dict):
        content["data"]["revision"] = commit
    return {str(key): value for key, value in content.items()}, str(path), path.absolute().parent


def _of_line(reference: str) -> dict[str, Any]:
    place, _, line = reference.removeprefix("hf:").partition("?")
    name, _, revision = place.partition("@")
    options = dict(parse_qsl(line))
    if unknown := set(options) - set(OPTIONS):
        raise UserError(
            f"'{min(unknown)}' is no option of a hub data set",
            origin=reference,
            hint=f"Options: {', '.join(OPTIONS)}; a YAML file can say more.",
        )
    if "source" not in options or not {"target", "references"} & set(options):
        raise UserError(
            f"which columns of {name} are what is not told",
            origin=reference,
            hint="Add --source COLUMN and --target COLUMN.",
        )
    config = options.get("config", "")
    slug = re.sub(r"[^a-z0-9_.+-]+", "-", name.rpartition("/")[2].lower()).strip("-") or "data"
    return {
        "name": f"{slug}-{config.lower()}" if re.fullmatch(r"[\w.+-]+", config) else slug,
        "title": f"{name}, {options['source']} to {options.get('target') or options['references']}",
        "licence": "as its page on the hub states it",
        "citation": f"https://huggingface.co/datasets/{name}",
        "metrics": options.get("metrics", "chrf++,rougeL").split(","),
        "language": options.get("language", "en"),
        "data": {"hub": name, "revision": revision, "config": config},
        "columns": {key: options[key] for key in ("source", "target", "references") if key in options},
        "rows": {"empty": "drop"},
        "split": {"validation": 0.1, "test": 0.1},
    }


def make_task(content: Mapping[str, Any], origin: str, base: Path) -> Task:
    """The task that a mapping declares; ``base`` is the folder that its local files lie in.

    Raises:
        UserError: It declares none: the key is named.
    """
    whole = _validated(content, origin)
    plain = {key: value for key, value in content.items() if key != "subsets"}
    source, target = whole.languages
    names = whole.subsets or {source if source == target else f"{source}-{target}": {}}
    parts = {
        name: _validated(_merged(plain, differs), f"{origin}, subsets.{name}")
        for name, differs in names.items()
    }
    labels = whole.columns.label_names
    if whole.columns.options:
        labels = LETTERS[: whole.columns.most_options]
    card = TaskCard(
        name=whole.name,
        version=whole.version,
        title=whole.title,
        licence=whole.licence,
        citation=whole.citation,
        metrics=tuple(whole.metrics),
        labels=labels,
        subsets={
            name: Subset(source_language=part.languages[0], target_language=part.languages[1], note=part.note)
            for name, part in parts.items()
        },
        scales=_scales(whole, origin),
    )
    return Task(card, partial(_load, parts, base), partial(_missing, parts, base))


def _validated(content: Mapping[str, Any], origin: str) -> Declaration:
    known_keys(content, Declaration, origin)
    return validated(Declaration, content, origin)


def _merged(content: Mapping[str, Any], differs: Mapping[str, Any]) -> dict[str, Any]:
    """A declaration with what differs in a subset: sections key by key."""
    merged = dict(content)
    for key, value in differs.items():
        old = merged.get(key)
        merged[key] = {**old, **value} if isinstance(old, Mapping) and isinstance(value, Mapping) else value
    return merged


def _scales(whole: Declaration, origin: str) -> dict[Any, ScaleCard]:
    named: Mapping[Any, dict[str, Any]] = whole.scales or {
        "mini": {"backbone": "mini-t5"},
        "small": {"backbone": "t5-small"},
    }
    return {
        scale: validated(
            ScaleCard,
            {
                "data": _told(whole),
                **content,
                "settings": _merged(whole.settings, content.get("settings", {})),
            },
            f"{origin}, scales.{scale}",
        )
        for scale, content in named.items()
    }


def _told(whole: Declaration) -> str:
    """What the data are, in a few words."""
    data, split = whole.data, whole.split
    if data.place:
        config = f", configuration {data.config}" if data.config else ""
        told = f"{'hub' if data.hub else 'GitHub'} {data.place}@{data.revision[:12]}{config}"
    else:
        told = "local files, pinned by the fingerprint of the examples"
    names = [name for name in ("validation", "test") if getattr(split, name) is not None]
    return f"{told}; {' and '.join(names)} drawn by seed {split.seed} where missing" if names else told


def _load(parts: Mapping[str, Declaration], base: Path, request: LoadRequest) -> Splits:
    part = parts[request.subset]
    paths = split_paths(part.data, base, request)
    found: dict[SplitName, Sequence[Example]] = {
        split: read_examples(part, split, paths[split]) for split in SPLITS if split in paths
    }
    train = list(found.get("train", ()))
    drawn_first: tuple[SplitName, ...] = ("test", "validation")
    for split in drawn_first:
        amount = getattr(part.split, split)
        if split not in found and amount is not None:
            train, found[split] = drawn(train, amount, part.split.seed)
            train = without_held_out(train, found[split])
            if not (train and found[split]):
                raise UserError(
                    f"drawing the split {split} leaves nothing to train on: groups or texts are too alike",
                    origin=part.data.place or str(base),
                    hint="Draw less under split, or name the splits yourself.",
                )
    if absent := [split for split in ("validation", "test") if split not in found]:
        raise UserError(
            f"the data have no {' and no '.join(absent)} split, only {', '.join(paths)}",
            origin=part.data.place or str(base),
            hint=f"Name their split under data, or draw one: split: {{{absent[0]}: 500}}.",
        )
    return Splits(train, found["validation"], found["test"])


def _missing(parts: Mapping[str, Declaration], base: Path, request: LoadRequest) -> list[str]:
    return absent_files(parts[request.subset].data, base, request)
