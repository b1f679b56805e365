"""Scores of stored predictions: one folder a metric, a pure function of ``decode/``.

Plain metrics score a cell by itself. A learned metric scores the segments of many cells together, each once,
with its model loaded once.
"""

import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from warmup_bench.contracts.boundary import checked_statistics, described, score_of, statistics_of
from warmup_bench.contracts.errors import UserError
from warmup_bench.contracts.learned_metric import LearnedMetric, Segment, is_learned
from warmup_bench.contracts.metric import FloatArray, Metric, MetricContext, references_of_each
from warmup_bench.contracts.names import file_name
from warmup_bench.contracts.registry import Entry, metrics
from warmup_bench.contracts.settings import Score
from warmup_bench.contracts.task import Example, TaskCard
from warmup_bench.score.cache import cache_folder, digest, read_cache, write_part
from warmup_bench.score.inputs import column_read
from warmup_bench.store.folders import (
    check,
    clear_unfinished,
    digest_of,
    is_done,
    read_json,
    read_table,
    write_json,
    write_table,
    writing,
)
from warmup_bench.store.locks import hold
from warmup_bench.store.stored import PREDICTIONS, column, is_score_of, read_facts

PART = 512
"""Segments that are scored before they are stored: what an interruption can lose."""

Progress = Callable[[int, int], None]
"""Called with (done, total)."""


@dataclass(frozen=True)
class Predictions:
    """What a cell has stored for scoring.

    Attributes:
        ids: Of the examples.
        references, sources: Their texts, in the same order.
        table: Everything stored of them, as columns.
        context: What their metrics are made with.
        metrics: Metrics of the task's card, the main one first.
    """

    ids: list[str]
    references: list[list[str]]
    sources: list[str]
    table: Any
    context: MetricContext
    metrics: tuple[str, ...]

    def hypotheses(self, metric: Metric) -> list[str]:
        """The texts that a metric takes for hypotheses.

        Raises:
            UserError: These predictions don't have them.
        """
        texts: list[str] = self.table[column_read(metric, self.table.column_names)].to_pylist()
        return texts


@dataclass
class Tally:
    """What a learned metric had to do.

    Attributes:
        cells: Cells scored.
        segments: Distinct segments of theirs.
        cached: Those that were known.
        notes: What its scores leave to say.
    """

    cells: int = 0
    segments: int = 0
    cached: int = 0
    notes: tuple[str, ...] = ()


def task_facts(
    card: TaskCard, subset: str, examples: Sequence[Example], notes: Sequence[str] = ()
) -> dict[str, Any]:
    """What scoring and reports need to know of a task and its data, stored beside the predictions so that the
    task is not needed.
    """
    return {
        "target_language": card.subsets[subset].target_language,
        "labels": list(card.labels),
        "metrics": list(card.metrics),
        "references": references_of_each(example.golds for example in examples),
        **({"notes": list(notes)} if notes else {}),
    }


def read_predictions(cell: Path, settings: Score | None = None) -> Predictions:
    """The predictions of a cell, checked against their manifest.

    Raises:
        CorruptError: They are damaged.
    """
    check(cell / "decode")
    path = cell / "decode" / PREDICTIONS
    table = read_table(path)
    context, named = read_facts(cell, settings)
    return Predictions(
        ids=column(table, "id", "text", path),
        references=column(table, "references", "texts", path),
        sources=column(table, "source", "text", path),
        table=table,
        context=context,
        metrics=named,
    )


def score_folder(cell: Path, key: str) -> Path:
    """Where a metric's statistics and score of a cell are.

    Raises:
        UserError: The key is not a name of a folder.
    """
    return cell / "scores" / file_name(key, "metric")


def scores_lock(cell: Path) -> Path:
    """The lock of whoever writes a cell's scores: a run that has just decoded it, or ``score`` beside it."""
    return cell.parent.parent / "locks" / f"{cell.name}.scores.lock"


def key_of(entry: Entry[Any], metric: Metric) -> str:
    """Name of a metric's folder."""
    return metric.key if is_learned(metric) else entry.name


def is_scored(cell: Path, entry: Entry[Any], metric: Metric) -> bool:
    """Whether a cell holds this metric's score, made by the same code with the same signature, and of the
    predictions that the cell has now.

    Raises:
        CorruptError: What it holds is damaged.
    """
    folder = score_folder(cell, key_of(entry, metric))
    if not is_done(folder):
        return False
    stored = read_json(check(folder) / "score.json")
    if not is_score_of(folder, cell):
        return False
    return (stored.get("signature"), stored.get("code")) == (metric.signature(), entry.code)


def score_cell(
    cell: Path, references: Sequence[str], settings: Score, progress: Progress = lambda done, total: None
) -> None:
    """Score one cell with plain metrics; those that are scored already stay.

    Another process that scores the cell is waited for, and what it has scored is not scored again.
    """
    predictions = read_predictions(cell, settings)
    with hold(scores_lock(cell)):
        clear_unfinished(cell / "scores")
        for done, reference in enumerate(references):
            progress(done, len(references))
            entry = metrics().load(reference)
            metric: Metric = entry.value(predictions.context)
            if not is_scored(cell, entry, metric):
                statistics = statistics_of(
                    metric, predictions.hypotheses(metric), predictions.references, predictions.sources
                )
                _write(cell, reference, entry, metric, predictions.ids, statistics, [])
    progress(len(references), len(references))


def score_learned(
    out: Path,
    cells: Sequence[Path],
    reference: str,
    settings: Score,
    *,
    device: str = "auto",
    progress: Progress = lambda done, total: None,
) -> Tally:
    """Score cells with one learned metric; only segments that the cache does not hold are asked.

    Raises:
        UserError: The metric can't score here, or its model gave no finite score.
    """
    entry = metrics().load(reference)
    together: dict[Any, list[tuple[Path, Predictions]]] = defaultdict(list)
    for cell in cells:
        predictions = read_predictions(cell, settings)
        metric = entry.value(predictions.context)
        if not is_scored(cell, entry, metric):
            together[metric].append((cell, predictions))
    tally = Tally()
    notes: list[str] = []
    for metric, group in together.items():
        segments = [metric.segments(p.hypotheses(metric), p.references, p.sources) for _, p in group]
        distinct = {digest(s): s for of_cell in segments for of_one in of_cell for s in of_one}
        known = read_cache(cache_folder(out, metric))
        tally.segments += len(distinct)
        tally.cached += len(distinct.keys() & known.keys())
        unscored = {key: segment for key, segment in distinct.items() if key not in known}
        known |= _ask(out, metric, unscored, device, progress)
        for (cell, p), of_cell in zip(group, segments, strict=True):
            found = metric.statistics([[known[digest(s)] for s in of_one] for of_one in of_cell])
            statistics = checked_statistics(metric, found, len(p.ids))
            cell_notes = metric.notes(p.hypotheses(metric), p.references)
            with hold(scores_lock(cell)):
                if not is_scored(cell, entry, metric):  # by another process, in the meantime
                    _write(cell, reference, entry, metric, p.ids, statistics, cell_notes)
            tally.cells += 1
            notes += [f"{cell.name}: {note}" for note in cell_notes]
    tally.notes = tuple(notes)
    return tally


def _ask(
    out: Path, metric: LearnedMetric, segments: dict[str, Segment], device: str, progress: Progress
) -> dict[str, float]:
    """Score segments, long ones first, and store each part as soon as it is full."""
    order = sorted(segments, key=lambda key: (-segments[key].size, key))
    scores: list[float] = []
    stored = 0
    if order:
        progress(0, len(order))
        folder, identity = cache_folder(out, metric), metric.identity()
        try:
            for batch in metric.score([segments[key] for key in order], device=device):
                keys = order[len(scores) : len(scores) + len(batch)]
                scores += _finite(batch, [segments[key] for key in keys], metric)
                progress(len(scores), len(order))
                if len(scores) - stored >= PART:
                    write_part(folder, identity, order[stored : len(scores)], scores[stored:])
                    stored = len(scores)
        finally:
            if len(scores) > stored:
                write_part(folder, identity, order[stored : len(scores)], scores[stored:])
        if len(scores) != len(order):
            raise UserError(f"{metric.name} gave {len(scores)} scores for {len(order)} segments")
    return dict(zip(order, scores, strict=True))


def _finite(scores: list[float], segments: Sequence[Segment], metric: LearnedMetric) -> list[float]:
    """The scores of a batch.

    Raises:
        UserError: One is not finite: it would lose every comparison without a word.
    """
    for value, segment in zip(scores, segments, strict=True):
        if not math.isfinite(value):
            raise UserError(
                f"{metric.name} gave no finite score for '{segment.hypothesis[:80]}'",
                hint="Half precision may overflow; use float32.",
            )
    return scores


def _write(
    cell: Path,
    reference: str,
    entry: Entry[Any],
    metric: Metric,
    ids: Sequence[str],
    statistics: FloatArray,
    notes: Sequence[str],
) -> None:
    """Store a metric's statistics and score, in the place of an older one."""
    key = key_of(entry, metric)
    of = {PREDICTIONS: digest_of(cell / "decode", PREDICTIONS)}
    with writing(score_folder(cell, key), replace=True, depth=4, made_from=of) as folder:
        columns: dict[str, Any] = {"id": list(ids)}
        columns |= {f"s{i}": statistics[:, i] for i in range(statistics.shape[1])}
        write_table(folder / "statistics.parquet", columns)
        score = {
            "key": key,
            "metric": reference if reference == entry.name else str(Path(reference).resolve()),
            "code": entry.code,
            "score": score_of(metric, statistics),
            **described(metric),
            "notes": list(notes),
        }
        write_json(folder / "score.json", score)
