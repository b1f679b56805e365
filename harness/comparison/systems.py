"""A system of a comparison: outputs and their statistics, from wherever they come."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

import numpy as np

from warmup_bench.contracts.boundary import statistics_of
from warmup_bench.contracts.errors import UserError
from warmup_bench.contracts.metric import FloatArray, Metric, MetricContext
from warmup_bench.contracts.registry import metrics as known_metrics
from warmup_bench.contracts.settings import Score
from warmup_bench.store.stored import references_digest

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
        signatures: By key, of metrics that were scored elsewhere or by another version; of others the
            metric's own holds.
        notes: What a reader must know of its outputs, one plain sentence each.
        documents: Of each example of a log, what it is: compared in place of the references, which a log may
            show in other words.
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
    signatures: dict[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    documents: tuple[str, ...] | None = None

    def signature(self, key: str) -> str:
        """How a metric was scored."""
        return self.signatures.get(key) or self.metrics[key].signature()

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
            documents=self.documents and tuple(self.documents[i] for i in rows),
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
        both = set(ids)
        missing = next(name for name in (*a.ids, *b.ids) if name not in both)
        raise UserError(
            f"{a.name} and {b.name} hold different examples: {dropped} are in one only, such as {missing!r}",
            hint="Pass --intersect to compare on the common ones.",
        )
    if not ids:
        raise UserError(f"{a.name} and {b.name} have no example in common", hint="Compare one test set.")
    a, b = a.part(runs, ids), b.part(runs, ids)
    golds: list[Sequence[Any]] = [a.references_digests, b.references_digests]
    if a.documents is not None and b.documents is not None:
        golds = [a.documents, b.documents]
    elif a.references is not None and b.references is not None:
        golds = [a.references, b.references]
    for name, gold, other in zip(ids, *golds, strict=True):
        if gold != other:
            raise UserError(
                f"example {name!r} has other references in {a.name} than in {b.name}",
                hint="These are two test sets: their scores can't be paired.",
            )
    return a, b, dropped


def make_system(
    name: str,
    outputs: Sequence[Sequence[str]],
    references: Sequence[Sequence[str]],
    metrics: dict[str, Metric],
    *,
    sources: Sequence[str] | None = None,
    groups: Sequence[str | None] | None = None,
    notes: Sequence[str] = (),
) -> System:
    """A system from the texts of its runs.

    Args:
        name: Shown in tables.
        outputs: Of each run, an output an example.
        references: Of each example.
        metrics: By key.
        sources, groups: Input and document of each example.
        notes: What a reader must know of its outputs, besides the notes of the metrics.
    """
    golds = tuple(map(tuple, references))
    told = [
        note
        for metric in metrics.values()
        for run in outputs
        for note in getattr(metric, "notes", lambda *_: [])(run, golds)
    ]
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
            key: np.stack([statistics_of(metric, run, golds, sources or ()) for run in outputs])
            for key, metric in metrics.items()
        },
        notes=tuple(dict.fromkeys([*notes, *told])),
    )


def named_by(parts: Sequence[str]) -> str:
    """What tables call a system that was given no name: by the files of its runs."""
    return parts[0] if len(parts) == 1 else f"{parts[0]} and {len(parts) - 1} more"


@lru_cache(maxsize=1)
def _digests(golds: tuple[tuple[str, ...], ...]) -> tuple[int, ...]:
    """Of the references that all systems of a comparison share."""
    return tuple(map(references_digest, golds))


def make_metrics(
    keys: Sequence[str],
    language: str,
    labels: Sequence[str],
    references: int,
    settings: Score | None = None,
) -> dict[str, Metric]:
    """The metrics of texts, by key.

    Args:
        keys: Of the metrics.
        language: Of the target.
        labels: Of a classification.
        references: Of every example, -1 where the number varies.
        settings: Which learned metrics read.

    Raises:
        UserError: An unknown metric, or one that needs labels.
    """
    context = MetricContext(language, tuple(labels), references, settings or Score())
    return {key: known_metrics().load(key).value(context) for key in keys}
