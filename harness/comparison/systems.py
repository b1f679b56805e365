"""The systems of a comparison: groups of stored cells, plain text files or plain lists, in one shape."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from warmup_bench.comparison.where import choose, telling_apart
from warmup_bench.contracts.errors import UserError
from warmup_bench.contracts.metric import FloatArray, Metric, MetricContext
from warmup_bench.store.stored import DIGEST, references_digest

if TYPE_CHECKING:
    from warmup_bench.store.results import Result


TEXT_METRICS = ("bleu", "chrf++")
"""Metrics of text files where none are named."""


@dataclass(frozen=True)
class System:
    """The outputs of one system in one run or more (seeds), with their statistics.

    Attributes:
        name: Shown in tables.
        runs: Label of each run: the seed, or the file's place in the list.
        ids: Of the examples, in order.
        groups: Document of each example, or None.
        sources: Inputs; None where they are not known.
        references: Of each example; None where no texts are stored.
        references_digests: Of the references of each example.
        outputs: Of each run, in the order of ``ids``; None where no texts are stored.
        metrics: By key, in the order they are shown.
        statistics: By key, [runs, examples, k].
        warm_starts: Id of the warm start of each run, by its label; empty where none is known (text files).
    """

    name: str
    runs: tuple[str, ...]
    ids: tuple[str, ...]
    groups: tuple[str | None, ...] | None
    sources: tuple[str, ...] | None
    references: tuple[tuple[str, ...], ...] | None
    references_digests: tuple[int, ...]
    outputs: tuple[tuple[str, ...], ...] | None
    metrics: dict[str, Metric]
    statistics: dict[str, FloatArray]
    warm_starts: dict[str, str] = field(default_factory=dict)

    def part(self, runs: Sequence[str], ids: Sequence[str]) -> "System":
        """The system with these runs and these examples only, in this order."""
        if (tuple(runs), tuple(ids)) == (self.runs, self.ids):
            return self
        at = {name: i for i, name in enumerate(self.ids)}
        rows = [at[name] for name in ids]
        chosen = [self.runs.index(run) for run in runs]
        return replace(
            self,
            runs=tuple(runs),
            ids=tuple(ids),
            groups=self.groups and tuple(self.groups[i] for i in rows),
            sources=self.sources and tuple(self.sources[i] for i in rows),
            references=self.references and tuple(self.references[i] for i in rows),
            references_digests=tuple(self.references_digests[i] for i in rows),
            outputs=self.outputs and tuple(tuple(self.outputs[r][i] for i in rows) for r in chosen),
            statistics={key: values[chosen][:, rows] for key, values in self.statistics.items()},
        )


def matched(a: System, b: System, *, intersect: bool) -> tuple[System, System, int]:
    """Both systems on the same runs and examples, and how many examples were dropped.

    Raises:
        UserError: No common run; other ids without ``intersect``, or none in common; an id that stands for
            different references.
    """
    runs = [run for run in a.runs if run in b.runs]
    if not runs:
        raise UserError(
            f"{a.name} (runs {', '.join(a.runs)}) and {b.name} (runs {', '.join(b.runs)}) share no seed",
            hint="Compare runs of the same seeds: they start from the same models.",
        )
    known = set(b.ids)
    ids = [name for name in a.ids if name in known]
    dropped = len(set(a.ids) | known) - len(ids)
    if dropped and not intersect:
        missing = next(iter(set(a.ids) ^ known))
        raise UserError(
            f"{a.name} and {b.name} hold different examples: {dropped} are in one only, such as {missing!r}",
            hint="Pass --intersect to compare on the common ones.",
        )
    if not ids:
        raise UserError(f"{a.name} and {b.name} have no example in common", hint="Compare one test set.")
    a, b = a.part(runs, ids), b.part(runs, ids)
    golds: list[Sequence[Any]] = [a.references_digests, b.references_digests]
    if a.references is not None and b.references is not None:
        golds = [a.references, b.references]
    for name, gold, other in zip(ids, *golds, strict=True):
        if gold != other:
            raise UserError(
                f"example {name!r} has other references in {a.name} than in {b.name}",
                hint="These are two test sets: their scores can't be paired.",
            )
    return a, b, dropped


def read_systems(
    names: Sequence[str],
    *,
    metrics: Sequence[str] = (),
    where: Sequence[str] = (),
    references: Sequence[Path] = (),
    source: Path | None = None,
    groups: Path | None = None,
    labels: Sequence[str] = (),
    language: str = "en",
) -> list[System]:
    """Systems by name: stored cells or, where there are references, text files.

    Args:
        names: As :func:`read_stored_system` and :func:`read_text_systems` take them.
        metrics: By key; (): all that are stored, and :data:`TEXT_METRICS` of text files.
        where: ``KEY=VALUE`` of the stored cells that are meant.
        references, source, groups: Text files, a line a segment.
        labels, language: Of text files: the labels of a classification, the target language (ISO 639-1).

    Raises:
        UserError: Something that can't be read, or that stored cells or text files don't have.
    """
    if references:
        if where:
            raise UserError("--where chooses among stored cells", hint="Text files are named one by one.")
        loaded = make_metrics(metrics or TEXT_METRICS, language, labels, len(references))
        return read_text_systems(names, references, source, groups, loaded)
    for option, value in (("source", source), ("groups", groups), ("labels", labels)):
        if value:
            raise UserError(
                f"--{option} is for text files; stored cells know their own", hint="Text files need --ref."
            )
    return [read_stored_system(name, metrics or None, where) for name in names]


def read_text_systems(
    names: Sequence[str],
    references: Sequence[Path],
    source: Path | None,
    groups: Path | None,
    metrics: dict[str, Metric],
) -> list[System]:
    """Systems from plain text, one segment a line; several runs of one system are separated by commas.

    Raises:
        UserError: A file that can't be read, is empty, or has another number of lines than the first
            reference.
    """
    golds = [read_lines(path) for path in references]
    count, origin = len(golds[0]), str(references[0])
    if not count:
        raise UserError(f"{origin} is empty", origin="--ref")
    for path, lines in zip(references[1:], golds[1:], strict=True):
        _same_length(path, lines, count, origin)
    by_example = tuple(zip(*golds, strict=True))
    sources, named = (
        None if path is None else tuple(_same_length(path, read_lines(path), count, origin))
        for path in (source, groups)
    )
    documents = None if named is None else tuple(name.strip() or None for name in named)
    systems = []
    for name in names:
        paths = [Path(part) for part in name.split(",")]
        outputs = [_same_length(path, read_lines(path), count, origin) for path in paths]
        shown = name if len(paths) == 1 else f"{paths[0]} and {len(paths) - 1} more"
        systems.append(make_system(shown, outputs, by_example, metrics, sources=sources, groups=documents))
    return systems


def make_system(
    name: str,
    outputs: Sequence[Sequence[str]],
    references: Sequence[Sequence[str]],
    metrics: dict[str, Metric],
    *,
    sources: Sequence[str] | None = None,
    groups: Sequence[str | None] | None = None,
) -> System:
    """A system from the texts of its runs.

    Args:
        name: Shown in tables.
        outputs: Of each run, an output an example.
        references: Of each example.
        metrics: By key.
        sources, groups: Input and document of each example.
    """
    golds = tuple(map(tuple, references))
    return System(
        name=name,
        runs=tuple(str(number) for number in range(len(outputs))),
        ids=tuple(f"line {i}" for i in range(1, len(golds) + 1)),
        groups=None if groups is None else tuple(groups),
        sources=None if sources is None else tuple(sources),
        references=golds,
        references_digests=_digests(golds),
        outputs=tuple(map(tuple, outputs)),
        metrics=metrics,
        statistics={
            key: np.stack([metric.segment_statistics(run, golds, sources or ()) for run in outputs])
            for key, metric in metrics.items()
        },
    )


@lru_cache(maxsize=1)
def _digests(golds: tuple[tuple[str, ...], ...]) -> tuple[int, ...]:
    """Of the references that all systems of a comparison share."""
    return tuple(map(references_digest, golds))


def read_lines(path: Path) -> list[str]:
    """The lines of a UTF-8 file, without their ends; other line separators of Unicode end no line.

    Raises:
        UserError: It can't be read.
    """
    try:
        text = path.read_bytes().decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise UserError(f"can't read {path}: {reason}") from error
    lines = text.replace("\r\n", "\n").split("\n")
    return lines[:-1] if lines[-1] == "" else lines


def _same_length(path: Path, lines: list[str], count: int, origin: str) -> list[str]:
    if len(lines) != count:
        raise UserError(
            f"{path} has {len(lines)} lines, {origin} has {count}",
            hint="Line i of every file must be the same segment; plain text can't be intersected.",
        )
    return lines


def read_stored_system(name: str, keys: Sequence[str] | None, where: Sequence[str] = ()) -> System:
    """One system from stored cells: ``DIR:METHOD`` (every seed), or cell folders separated by commas.

    Args:
        name: As above; METHOD is a row name of ``warmup-bench report``.
        keys: Metrics by key; None: all that are stored.
        where: ``KEY=VALUE`` of the cells that are meant.

    Raises:
        UserError: Nothing is stored there, cells that do not belong together, a metric that is not stored.
        CorruptError: A stored file is damaged.
    """
    results = _results(name)
    cells = choose([result.cell for result in results], where, name)
    results = [result for result in results if result.cell in cells]
    first = results[0]
    seeds = [cell.seed for cell in cells]
    if len(set(seeds)) < len(seeds):
        raise UserError(
            f"{name} means several cells of one seed",
            hint=telling_apart(cells)
            or "Name the cell folders of one version of the code, separated by commas.",
        )
    stored = [entry["key"] for entry in first.scores]
    for key in keys or ():
        if key not in stored:
            raise UserError(
                f"{first.place} has no scores of metric '{key}'", hint=f"Stored: {', '.join(stored)}."
            )
    tables = [result.examples() for result in results]
    ids = tables[0]["id"]
    texts = [r.predictions() for r in results] if all(r.has_texts for r in results) else []
    for result in results:
        if absent := set(keys or stored) - {entry["key"] for entry in result.scores}:
            raise UserError(
                f"{result.place} has no scores of metric '{min(absent)}'",
                hint="'warmup-bench score' makes them, or leave it out with --metric.",
            )
    metrics = {key: first.metric(key) for key in keys or stored}
    statistics = {}
    for key, metric in metrics.items():
        scored = [result.statistics(key) for result in results]
        if any(names != ids for names in (*(names for names, _ in scored), *(t["id"] for t in tables))):
            raise UserError(f"the cells of {name} hold different examples", hint="Compare them one by one.")
        signatures = {entry["signature"] for r in results for entry in r.scores if entry["key"] == key}
        if signatures != {metric.signature()}:
            raise UserError(
                f"{metric.name} of {name} was scored with other settings: {' and '.join(signatures)}",
                hint="Score the cells again with this version.",
            )
        statistics[key] = np.stack([values for _, values in scored])
    groups = tables[0]["group"]
    return System(
        name=first.cell.label if ":" in name else name,
        runs=tuple(map(str, seeds)),
        ids=tuple(ids),
        groups=None if all(group is None for group in groups) else tuple(groups),
        sources=tuple(texts[0]["source"]) if texts else None,
        references=tuple(map(tuple, texts[0]["references"])) if texts else None,
        references_digests=tuple(tables[0][DIGEST]),
        outputs=tuple(tuple(run["hypothesis"]) for run in texts) if texts else None,
        metrics=metrics,
        statistics=statistics,
        warm_starts={str(cell.seed): cell.warm_start_id for cell in cells},
    )


def _results(name: str) -> "list[Result]":
    from warmup_bench.store.results import read_results

    folder, _, label = name.rpartition(":")
    if folder and not Path(name).exists():
        stored = read_results(Path(folder))
        results = [result for result in stored if result.cell.label == label]
        if not results:
            labels = ", ".join(sorted({result.cell.label for result in stored}))
            raise UserError(f"no stored cell of method '{label}' in {folder}", hint=f"Stored: {labels}.")
    else:
        results = [_cell_at(Path(part)) for part in name.split(",")]
    return sorted(results, key=lambda result: result.cell.seed)


def _cell_at(path: Path) -> "Result":
    """The cell of a run in its folder, or that of a published study by the same name."""
    from warmup_bench.store.results import read_result, read_results
    from warmup_bench.store.study import is_published

    if is_published(path.parent.parent) and path.parent.name == "cells":
        return read_results(path.parent.parent, [path.name])[0]
    if path.is_file():
        raise UserError(f"{path} is a text file", hint="Name its references with --ref.")
    if not (path / "scores").is_dir():
        raise UserError(
            f"{path} is not a stored cell",
            hint="Name a folder under cells/, or all seeds of a method as DIR:METHOD.",
        )
    return read_result(path)


def make_metrics(
    keys: Sequence[str], language: str, labels: Sequence[str], references: int
) -> dict[str, Metric]:
    """The metrics of text files, by key.

    Raises:
        UserError: An unknown metric, or one that needs labels.
    """
    from warmup_bench.contracts.registry import metrics

    context = MetricContext(language, tuple(labels), references)
    return {key: metrics().load(key).value(context) for key in keys}
