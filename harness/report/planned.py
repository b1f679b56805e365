"""Cells that were asked for and are not there, so that a table can say why."""

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import product
from pathlib import Path

from warmup_bench.contracts.settings import Decode, Settings
from warmup_bench.report.failed import Failed
from warmup_bench.spec.cell import Cell
from warmup_bench.spec.spec import make_settings
from warmup_bench.store.folders import CorruptError, check, is_done
from warmup_bench.store.results import Result, read_cell
from warmup_bench.store.specs import backbone_name, is_file, labels, read_specs

Key = tuple[str, str, str, str, int, Decode]
"""Task, subset, backbone, label, seed and decoding."""


@dataclass(frozen=True, slots=True)
class Planned:
    """The coordinates of a cell that is not finished, and the reason.

    Attributes:
        task, scale, subset, backbone, settings, seed: As in :class:`warmup_bench.spec.cell.Cell`.
        label: Method, and what it is matched with.
        warmup: :attr:`Cell.warmup`; None where only a spec tells of the cell.
        reason: Why it is not there.
    """

    task: str
    scale: str
    subset: str
    backbone: str
    settings: Settings
    label: str
    warmup: str | None
    seed: int
    reason: str


def planned_of(cell: Cell, reason: str) -> Planned:
    """A cell that is known in full, e.g. one that failed."""
    return Planned(
        cell.task,
        cell.scale,
        cell.subset,
        cell.backbone,
        cell.settings,
        cell.label,
        cell.warmup,
        cell.seed,
        reason,
    )


def read_planned(out: Path, results: Sequence[Result], failed: Sequence[Failed] = ()) -> list[Planned]:
    """What failed, stopped half-way or was asked for by a spec of a folder, and is not among ``results``.

    A task, backbone or method that a spec names by its file has a name that only its code tells; the report
    runs no code, so that such cells are left out (a task file is taken for the folder's only task).
    """
    done = {_key(planned_of(result.cell, "")) for result in results}
    waiting: dict[Key, Planned] = {}
    noted = [planned_of(f.cell, f"{f.stage} failed: {f.reason}") for f in failed if f.cell is not None]
    for planned in (*noted, *_half_way(out, results), *_asked_for(out, results)):
        if (key := _key(planned)) not in done:
            waiting.setdefault(key, planned)
    return list(waiting.values())


def _key(planned: Planned) -> Key:
    """What tells a cell from others of its folder, however it was trained, which a later spec may change."""
    decode = planned.settings.decode
    return planned.task, planned.subset, planned.backbone, planned.label, planned.seed, decode


def in_spec_order(out: Path, results: Sequence[Result]) -> list[Result]:
    """Results with backbones, subsets and methods in the order in which the specs of the folder name them."""
    specs = [spec for _, spec in read_specs(out)]
    backbones = _places(backbone_name(reference) for spec in specs for reference in spec.backbones)
    subsets = _places(subset for spec in specs for subset in spec.subsets)
    methods = _places(label for spec in specs for _, label in labels(spec))

    def place(result: Result) -> tuple[int, ...]:
        cell = result.cell
        named = ((backbones, cell.backbone), (subsets, cell.subset), (methods, cell.label))
        return tuple(places.get(name, len(places)) for places, name in named)

    return sorted(results, key=place)


def _places(names: Iterable[str]) -> dict[str, int]:
    """The place of each name, the first time that it is there."""
    return {name: place for place, name in enumerate(dict.fromkeys(names))}


def _half_way(out: Path, results: Sequence[Result]) -> Iterable[Planned]:
    finished = {result.place.name for result in results}
    for folder in sorted((out / "cells").glob("*")):
        decode = folder / "decode"
        if is_done(decode) and folder.name not in finished:
            with suppress(CorruptError):  # told as damaged
                check(decode)
                yield planned_of(read_cell(folder), "decoded, but not scored")


def _asked_for(out: Path, results: Sequence[Result]) -> Iterable[Planned]:
    tasks = {r.cell.task for r in results}
    kinds = {r.cell.method: r.cell.warmup for r in results}
    for path, spec in read_specs(out):
        task = next(iter(tasks)) if is_file(spec.task) and len(tasks) == 1 else spec.task
        reason = f"asked for by spec {path.stem}, not finished: its run failed or was stopped"
        for subset, backbone, (method, label) in product(spec.subsets, spec.backbones, labels(spec)):
            if backbone.endswith(".py") or is_file(method):
                continue
            sections = spec.backbones[backbone], spec.methods.get(method, {})
            for way in ({}, *({"decode": way} for way in spec.decodings.get(label, ()))):
                settings = _as_read(make_settings(str(path), *sections, way), kinds.get(method))
                for seed in spec.seeds:
                    yield Planned(
                        task,
                        spec.scale or "",
                        subset,
                        backbone_name(backbone),
                        settings,
                        label,
                        kinds.get(method),
                        seed,
                        reason,
                    )


def _as_read(settings: Settings, warmup: str | None) -> Settings:
    """Settings with the decoding that a method has of them, where its kind is known."""
    if warmup is None:
        return settings
    return settings.model_copy(update={"decode": settings.decode.read(warmup)})
