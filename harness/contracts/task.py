"""What a task is: a validated card, and one function that loads its examples.

A task module holds one :class:`Task` in a variable. It is found by an entry point of the group
``warmup_bench.tasks`` or by a file path (``--task ./my_task.py``, variable ``TASK``).
"""

import hashlib
import platform
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, model_validator

from warmup_bench.contracts.names import PATTERN

Scale = Literal["mini", "small", "paper"]
SplitName = Literal["train", "validation", "test"]
SPLITS: tuple[SplitName, ...] = get_args(SplitName)


@dataclass(frozen=True, slots=True)
class Example:
    """One input with its target.

    Attributes:
        id: Stable and unique within its split; the unit of pairing in every test.
        source: What the model reads.
        target: What the model is trained to write.
        references: What a hypothesis is scored against; ``(target,)`` when empty.
        group: Document that the example belongs to; examples of one group are swapped and counted together.
        options: The labels that this example offers, of which the target is one; () where the answer is free
            text. Each of them is scored by its likelihood too.
    """

    id: str
    source: str
    target: str
    references: tuple[str, ...] = ()
    group: str | None = None
    options: tuple[str, ...] = ()

    @property
    def golds(self) -> tuple[str, ...]:
        """The references, or the target where none are given."""
        return self.references or (self.target,)


@dataclass(frozen=True, slots=True)
class Splits:
    """The three splits of a task. Training reads ``train``, choices read ``validation``, tables ``test``.

    Attributes:
        train, validation, test: The examples.
        notes: What a reader of results must know of these data, a sentence each, such as that a file is not
            the published one. The plan, the stored results and every report tell them; no fingerprint reads
            them.
    """

    train: Sequence[Example]
    validation: Sequence[Example]
    test: Sequence[Example]
    notes: tuple[str, ...] = field(default=(), kw_only=True)

    def named(self) -> dict[str, Sequence[Example]]:
        """The three by their names."""
        return {"train": self.train, "validation": self.validation, "test": self.test}

    def fingerprint(self) -> str:
        """SHA-256 (16 hex digits) over every field of every example, in order."""
        digest = hashlib.sha256()
        for name, split in self.named().items():
            digest.update(f"{name}\x1d{len(split)}\x1d".encode())
            for ex in split:
                fields = (ex.id, ex.source, ex.target, *ex.references, ex.group or "")
                options = "\x1c" + "\x1f".join(ex.options) if ex.options else ""
                digest.update(("\x1f".join(fields) + options + "\x1e").encode())
        return digest.hexdigest()[:16]

    def training_fingerprint(self) -> str:
        """The same of what training may look at, the training and validation examples."""
        return Splits(self.train, self.validation, []).fingerprint()


@dataclass(frozen=True, slots=True)
class LoadRequest:
    """What the harness asks a task for.

    Attributes:
        subset: One of the card's subsets, e.g. a direction ``de-en``.
        scale: One of the card's scales.
        data_dir: Folder with the data files, from ``--data-dir`` or ``WARMUP_BENCH_DATA``; None: the hub.
        offline: True when nothing may be fetched from a network.
    """

    subset: str
    scale: Scale
    data_dir: Path | None = None
    offline: bool = False


class Subset(BaseModel):
    """A part of a task that is trained and reported by itself, such as a translation direction."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    source_language: str = Field(default="en", description="ISO 639-1 code of the source")
    target_language: str = Field(default="en", description="ISO 639-1 code of the target")
    note: str = Field(default="", description="what is special about it, e.g. which test set it has")
    trained_as: str = Field(
        default="",
        description="subset with the same training and validation examples, this one or another: they differ "
        "in their test sets alone, so one model is trained for all. Empty: a model of its own",
    )


class PublishedData(BaseModel):
    """Data that are made from installed packages, as they were where numbers on them were published."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    releases: dict[str, str] = Field(description="of the packages; python is the interpreter's")
    fingerprints: dict[str, str] = Field(description="of every subset, without limits")

    def difference(self, fingerprints: Mapping[str, str]) -> str:
        """Why data with these fingerprints, by subset, are others, in a few words: the packages whose release
        is another one here. Empty where the data are the published ones, or no package explains it."""
        if all(self.fingerprints.get(subset) == here for subset, here in fingerprints.items()):
            return ""
        here = {name: installed_version(name) for name in self.releases}
        return ", ".join(
            f"{name} {here[name]} (published: {release})"
            for name, release in self.releases.items()
            if here[name] != release
        )


def installed_version(package: str) -> str:
    """Release of an installed package without its local part ("2.13.0+cpu"); "none" where there is none."""
    if package == "python":
        return platform.python_version()
    try:
        return version(package).partition("+")[0]
    except PackageNotFoundError:
        return "none"


class ScaleCard(BaseModel):
    """What a task uses at one scale; ``settings`` are its defaults of the run spec's sections."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    data: str = Field(description="what the examples are, with the pinned revision of what is fetched")
    sizes: tuple[int, int, int] | None = Field(
        default=None,
        description="train, validation and test examples of the first subset, as published or where not "
        "published as last built; a run tells how many it used. None: not told",
    )
    licence: str = Field(default="", description="of these data, where the scales of a task differ")
    access: str = Field(default="", description="in a few words, how to get data that can't just be fetched")
    published: PublishedData | None = Field(
        default=None, description="what numbers were published on, where data are made from what is installed"
    )
    backbone: str = Field(default="mini-t5", description="used where none is asked for")
    settings: dict[str, Any] = Field(default_factory=dict)


class TaskCard(BaseModel):
    """The facts of a task, validated when its module is loaded."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_.+-]*$")
    version: int = Field(ge=1, description="raise it when a change alters the examples")
    title: str
    licence: str
    citation: str
    metrics: tuple[str, ...] = Field(min_length=1, description="the first one is the main metric")
    labels: tuple[str, ...] = Field(
        default=(), description="closed set of targets, for classification metrics"
    )
    subsets: dict[Annotated[str, Field(pattern=PATTERN)], Subset] = Field(
        min_length=1, description="the first one is the default"
    )
    scales: dict[Scale, ScaleCard] = Field(min_length=1, description="the first one is the default")

    @model_validator(mode="after")
    def _distinct(self) -> "TaskCard":
        for what in ("metrics", "labels"):
            values = getattr(self, what)
            if len(set(values)) != len(values):
                raise ValueError(f"{what} repeats a value: {values}")
        for name, subset in self.subsets.items():
            trained = self.subsets.get(subset.trained_as)
            if subset.trained_as and (trained is None or trained.trained_as != subset.trained_as):
                problem = f"is trained as {subset.trained_as}, which is not a subset that is so itself"
                raise ValueError(f"subset {name} {problem}")
        return self

    def licence_of(self, scale: Scale) -> str:
        """The licence of the data at a scale."""
        return self.scales[scale].licence or self.licence


@dataclass(frozen=True)
class Task:
    """A card and its loader.

    Attributes:
        card: The facts.
        load: ``load(request) -> Splits``, deterministic for a given request.
        missing: The files that ``load`` would have to fetch or can't find, told without a network and without
            reading them; None for a task that needs no files.
        build: ``build(folder, say)`` makes the data files in a folder (None: where ``load`` looks for them by
            itself) and returns it; ``say`` is called with each step. None where nothing can be built.
    """

    card: TaskCard
    load: Callable[[LoadRequest], Splits]
    missing: Callable[[LoadRequest], Sequence[str]] | None = None
    build: Callable[[Path | None, Callable[[str], None]], Path] | None = None


def numbered(prefix: str, pairs: Iterable[tuple[str, str]]) -> list[Example]:
    """Make examples with ids ``prefix-00000``, ``prefix-00001``, … from (source, target) pairs in order."""
    return [Example(f"{prefix}-{i:05d}", source, target) for i, (source, target) in enumerate(pairs)]
