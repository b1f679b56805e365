"""Which stored cells may stand side by side, and what their rows are called."""

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from warmup_bench.contracts.errors import UserError
from warmup_bench.contracts.settings import Settings, flattened, shown
from warmup_bench.report.planned import Planned
from warmup_bench.report.row_names import make_usual, with_matches, with_versions
from warmup_bench.spec.cell import Cell, content_hash
from warmup_bench.store.results import Result
from warmup_bench.store.specs import ComparedRows, training_settings

Key = tuple[str, str, str]
"""Of a block: backbone, training settings or what was asked for together, version of the code."""


@dataclass
class MethodRuns:
    """One row: a method in a group, with its finished cells and the reasons for those that are not there.

    Attributes:
        method: Label.
        plain: Whether it is exactly the method that it is named after: nothing sets it apart.
        results: By subset, then seed.
        reasons: The same of what was asked for and is not finished.
    """

    method: str
    plain: bool
    results: dict[str, dict[int, Result]] = field(default_factory=lambda: defaultdict(dict))
    reasons: dict[str, dict[int, str]] = field(default_factory=lambda: defaultdict(dict))


@dataclass
class Block:
    """The rows of one backbone with one set of training settings, or that one spec asks for side by side.

    Attributes:
        name: Label.
        backbone: Its name.
        settings: Of one of its cells.
        warmups: How warmups are sampled in rows that say nothing of it; empty where all agree.
        apart: Settings of training in which methods differ: key -> which have which value, in words.
        lines: By label, in the order of the results' methods.
    """

    name: str
    backbone: str
    settings: Settings
    warmups: dict[str, Any] = field(default_factory=dict)
    apart: dict[str, str] = field(default_factory=dict)
    lines: dict[str, MethodRuns] = field(default_factory=dict)


@dataclass
class Sheet:
    """Cells of one task, version, scale and split in which every subset has one state of its data.

    Attributes:
        task, scale: Of every cell.
        split: What was decoded: "test" or "validation".
        results: The finished cells.
        subsets: Their subsets, in the order in which they appear.
        fingerprints: Of the data, by subset.
        blocks: By backbone and settings.
    """

    task: str
    scale: str
    split: str
    results: tuple[Result, ...]
    subsets: tuple[str, ...]
    fingerprints: dict[str, str]
    blocks: tuple[Block, ...]

    @property
    def name(self) -> str:
        """Task and scale as part of a file name."""
        return slug(self.task, self.scale)


def slug(*parts: str) -> str:
    """Parts joined by hyphens, fit for a file name and an anchor: ``a-z 0-9 . + -``."""
    text = "-".join(parts).lower()
    return "".join(c if c.isascii() and (c.isalnum() or c in ".+-") else "-" for c in text)


def sheets(results: Sequence[Result], planned: Sequence[Planned] = ()) -> list[Sheet]:
    """Sort cells into sheets; nothing of two scales, splits or states of the data shares one.

    Where the data of a subset were made with different contents, every state stands by itself.
    """
    together: dict[tuple[str, ...], list[Result]] = defaultdict(list)
    for result in results:
        cell = result.cell
        limit = cell.settings.limit.model_dump_json()
        key = (cell.task, str(cell.task_version), cell.scale, cell.settings.decode.split, limit)
        together[key].append(result)
    parts: list[list[Result]] = []
    for alike in together.values():
        states: dict[str, set[str]] = defaultdict(set)
        for result in alike:
            states[result.cell.subset].add(result.cell.data)
        split: dict[tuple[str, str], list[Result]] = defaultdict(list)
        for result in alike:
            cell = result.cell
            apart = len(states[cell.subset]) > 1
            split[(cell.subset, cell.data) if apart else ("", "")].append(result)
        parts.extend(split.values())
    return [_sheet(part, [p for p in planned if _belongs(p, part, parts)]) for part in parts]


def _belongs(planned: Planned, part: Sequence[Result], parts: Sequence[Sequence[Result]]) -> bool:
    """Whether a cell that is not there would stand in this part, and surely in no other."""

    fits = [other for other in parts if _kind(other[0].cell) == _kind(planned)]
    return len(fits) == 1 and fits[0] is part


def _kind(cell: Cell | Planned) -> tuple[Any, ...]:
    """What all cells of a part have in common, whether they are there or not."""
    return cell.task, cell.scale, cell.settings.decode.split, cell.settings.limit


def _sheet(results: Sequence[Result], planned: Sequence[Planned]) -> Sheet:
    compared = tuple(dict.fromkeys(group for result in results for group in result.compared))
    keys: dict[Key, list[Result]] = defaultdict(list)
    for result in results:
        cell = result.cell
        code = content_hash({key: cell.code.get(key, "") for key in ("task", "backbone")})
        for shared in _shared(cell, compared):
            keys[cell.backbone, shared, code].append(result)
    waiting: dict[Key, list[Planned]] = defaultdict(list)
    for plan in planned:
        for shared in _shared(plan, compared):
            same = [key for key in keys if key[:2] == (plan.backbone, shared)]
            if len(same) <= 1:  # with several versions of the code nobody knows which was meant
                waiting[same[0] if same else (plan.backbone, shared, "")].append(plan)
    rows: dict[Key, list[Cell | Planned]] = {
        key: [*(r.cell for r in keys[key]), *waiting[key]] for key in dict.fromkeys([*keys, *waiting])
    }
    rows = {key: cells for key, cells in rows.items() if not _within_one(cells, key, compared)}
    codes = {key: results[0].cell.code for key, results in keys.items() if results}
    names = _block_names({key: _values(cells) for key, cells in rows.items()}, codes)
    subsets = dict.fromkeys([*(r.cell.subset for r in results), *(p.subset for p in planned)])
    return Sheet(
        task=results[0].cell.task,
        scale=results[0].cell.scale,
        split=results[0].cell.settings.decode.split,
        results=tuple(results),
        subsets=tuple(subsets),
        fingerprints={r.cell.subset: r.cell.data for r in results},
        blocks=tuple(_block(names[key], keys[key], waiting[key]) for key in rows),
    )


def _shared(cell: Cell | Planned, compared: Sequence[ComparedRows]) -> list[str]:
    """The groups of rows that a cell stands in: of its settings, and of what was asked for together."""
    training = training_settings(cell.settings)
    return [
        training,
        *(repr(group) for group in compared if group.holds(cell.backbone, cell.label, training)),
    ]


def _within_one(cells: Sequence[Cell | Planned], key: Key, compared: Sequence[ComparedRows]) -> bool:
    """Whether the rows of one set of training settings all stand in one group that was asked for, which
    shows them beside others.
    """
    if key[1] in map(repr, compared):
        return False
    return any(all(group.holds(c.backbone, c.label, key[1]) for c in cells) for group in compared)


def _values(cells: Sequence[Cell | Planned]) -> dict[str, dict[str, list[str]]]:
    """The training settings of a group: key with dots -> value -> labels of the rows that have it."""
    rows = {cell.label: flattened(json.loads(training_settings(cell.settings))) for cell in cells}
    values: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for label, settings in rows.items():
        for key, value in settings.items():
            values[key][shown(value)].append(label)
    return values


def _in_words(values: Mapping[str, Sequence[str]]) -> str:
    """The value that all rows have, or which rows have which."""
    if len(values) == 1:
        return next(iter(values))
    return "; ".join(f"{', '.join(labels)} {value}" for value, labels in values.items())


def _block_names(
    settings: Mapping[Key, Mapping[str, Mapping[str, Sequence[str]]]], codes: Mapping[Key, Mapping[str, str]]
) -> dict[Key, str]:
    """Backbones; with the settings, or the version of task or backbone, that tell two groups of one apart.

    That of a backbone from a folder is the hash of its files, that of a plugin's file the file's.
    """
    names = {}
    for key, of_block in settings.items():
        rivals = [other for k, other in settings.items() if k[0] == key[0] and k != key]
        parts = [
            f"{name}={_in_words(values)}"
            for name, values in of_block.items()
            if list(values) != ["none"] and any(list(other[name]) != list(values) for other in rivals)
        ]
        versions = [codes.get(k, {}) for k in settings if k[:2] == key[:2]]
        for part in ("task", "backbone"):
            if len({version.get(part) for version in versions}) > 1:
                parts.append(f"{part} {codes.get(key, {}).get(part, 'not known')[:8]}")
        names[key] = " · ".join([key[0], *parts])
    return names


def _block(name: str, results: Sequence[Result], planned: Sequence[Planned]) -> Block:
    cells: list[Cell | Planned] = [*(r.cell for r in results), *planned]
    first = cells[0]
    usual = make_usual([result.cell for result in results] or planned)
    values = {**_values(cells), **usual.warmup_values()}
    apart = {key: _in_words(labels) for key, labels in values.items() if len(labels) > 1}
    block = Block(name, first.backbone, first.settings, usual.warmups_to_tell(), apart)
    bases = [usual.name(result.cell.label, result.cell.settings) for result in results]
    labels = with_matches(with_versions(bases, results), results)
    order = list(dict.fromkeys(result.cell.label for result in results))
    named = sorted(  # a method's own row before those that something sets apart
        zip(labels, results, strict=True),
        key=lambda pair: (order.index(pair[1].cell.label), pair[0] != pair[1].cell.label, pair[0]),
    )
    for label, result in named:
        line = block.lines.setdefault(label, MethodRuns(label, label == result.cell.label))
        seeds = line.results[result.cell.subset]
        if result.cell.seed in seeds:
            raise UserError(
                f"{result.place} and {seeds[result.cell.seed].place.name} hold the same cell",
                hint="Move one of them away.",
            )
        seeds[result.cell.seed] = result
    rows: dict[str, set[str]] = defaultdict(set)
    for base, label in zip(bases, labels, strict=True):
        rows[base].add(label)
    for plan in planned:
        base = usual.name(plan.label, plan.settings)
        same = rows.get(base, {base})
        if len(same) == 1:  # several versions of a method's code: nobody knows which was meant
            (label,) = same
            line = block.lines.setdefault(label, MethodRuns(label, label == plan.label))
            line.reasons[plan.subset][plan.seed] = plan.reason
    return block
