"""A sweep that chooses settings for each method: every method at every point, scored on validation alone."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from pydantic import BaseModel

from warmup_bench.contracts.errors import UserError
from warmup_bench.contracts.metric import MetricContext
from warmup_bench.contracts.registry import metrics
from warmup_bench.contracts.settings import Tune
from warmup_bench.plan.plan import Plan, make_plan, require_one_start
from warmup_bench.spec.cell import Cell
from warmup_bench.spec.spec import RunSpec, make_settings, merge, nested
from warmup_bench.store.results import Result

Point = dict[str, Any]
"""Dotted keys -> values, plain data: a section is a mapping of the keys that the grid gives."""


@dataclass(frozen=True)
class Sweep:
    """A sweep laid out.

    Attributes:
        tune: What was asked for.
        points: Of the grid.
        plans: A plan a point, in the same order.
        plan: All their cells, each once: points that a method can't tell apart share theirs.
    """

    tune: Tune
    points: tuple[Point, ...]
    plans: tuple[Plan, ...]
    plan: Plan


@dataclass(frozen=True)
class Tried:
    """What a sweep found for one method.

    Attributes:
        method: Its reference in the spec.
        scores: For each point, the score of each seed, a mean over the subsets.
        distinct: Points that the method can tell apart.
        reads: Keys of the grid that it reads.
        best: Index of the chosen point.
        flops: Operations of its distinct trainings.
    """

    method: str
    scores: tuple[tuple[float, ...], ...]
    distinct: int
    reads: tuple[str, ...]
    best: int
    flops: float

    @property
    def means(self) -> tuple[float, ...]:
        """Of every point, over seeds."""
        return tuple(float(np.mean(scores)) for scores in self.scores)


def make_sweep(spec: RunSpec, out: Path | None = None) -> Sweep:
    """Lay out the sweep of a spec.

    Args:
        spec: With a section ``tune``.
        out: Results folder; None: the spec's (or its default) and ``-tune``.

    Raises:
        UserError: No such section, several backbones, an unknown metric, or what :func:`make_plan` raises.
    """
    tune = spec.tune
    if tune is None:
        raise UserError(
            "the spec has no section 'tune'",
            origin="warmup-bench tune",
            hint="E.g. tune: {seeds: [100], grid: {train.learning_rate: [0.001, 0.003]}}",
        )
    if len(spec.backbones) > 1:
        raise UserError(
            f"a sweep is of one backbone, and the spec has {', '.join(spec.backbones)}",
            origin="backbones",
            hint="Tune one at a time: --backbone NAME.",
        )
    points = tuple(map(_read, tune.points()))
    first = make_plan(_at(spec, tune, points[0], spec.out))
    out = out or first.out.with_name(f"{first.out.name}-tune")
    # Test sets of one training share its validation examples too: one of them tells all.
    trainings = {cell.training_id: cell.subset for cell in reversed(first.cells)}
    spec = spec.model_copy(
        update={"subsets": tuple(s for s in first.spec.subsets if s in trainings.values())}
    )
    plans = tuple(make_plan(_at(spec, tune, point, out), first.data) for point in points)
    cells: dict[str, Cell] = {}
    for cell in chain.from_iterable(plan.cells for plan in plans):
        cells.setdefault(cell.id, cell)
    require_one_start(list(cells.values()))
    return Sweep(tune, points, plans, replace(plans[0], cells=tuple(cells.values())))


def _at(spec: RunSpec, tune: Tune, point: Point, out: Path | None) -> RunSpec:
    """The spec of one point. Its settings stand with the methods, so that they win over every other."""
    added = merge(
        {"budget": tune.budget} if tune.budget else {}, {"decode": {"split": "validation"}}, nested(point)
    )
    methods = {name: merge(section, added) for name, section in spec.methods.items()}
    changed: dict[str, Any] = {"seeds": tune.seeds, "match": (), "decodings": {}, "tune": None}
    return spec.model_copy(update=changed | {"methods": methods, "out": out})


def _read(point: Point) -> Point:
    """A point with its values as the settings read them: YAML 1.1 takes 1e-3 for a string."""
    settings = make_settings("tune.grid", nested(point))
    return {key: _plain(reduce(getattr, key.split("."), settings), value) for key, value in point.items()}


def _plain(read: Any, given: Any) -> Any:
    """A value as plain data; of a section only what was given of it, since the rest is the run's."""
    if not isinstance(read, BaseModel):
        return read
    section = read.model_dump(mode="json", exclude_unset=True)
    return {key: section[key] for key in given if key in section}


def metric_of(sweep: Sweep) -> str:
    """The reference of the metric to choose by, found before anything is trained.

    Raises:
        UserError: The plan has none of that name.
    """
    plan, card = sweep.plan, sweep.plan.task.value.card
    references = (*plan.metrics, *plan.learned)
    if sweep.tune.metric is None:
        return next((reference for reference in card.metrics if reference in references), references[0])
    names: dict[str, str] = {}
    for reference in references:
        language = card.subsets[plan.spec.subsets[0]].target_language
        context = MetricContext(language, card.labels, settings=plan.spec.score)
        name = metrics().load(reference).value(context).name
        names |= {reference.lower(): reference, name.lower(): reference}
    if sweep.tune.metric.lower() not in names:
        raise UserError(
            f"no cell of this sweep would be scored with metric '{sweep.tune.metric}'",
            origin="tune.metric",
            hint=f"There are: {', '.join(references)}; score.metrics adds others.",
        )
    return names[sweep.tune.metric.lower()]


def choose(sweep: Sweep, results: Sequence[Result], metric: str) -> list[Tried]:
    """The best point of each method: the highest mean over seeds and subsets (the lowest where lower is
    better), ties to the first.

    Args:
        sweep: The sweep.
        results: Every one of its cells.
        metric: Key of the score to choose by.
    """
    by_id = {result.cell.id: result for result in results}
    tried = []
    references = sweep.plan.spec.methods
    for reference, entry in zip(references, sweep.plan.methods.values(), strict=True):
        cells = [[c for c in plan.cells if c.method == entry.value.name] for plan in sweep.plans]
        scores = tuple(_scores(at_point, by_id, metric, sweep.tune.seeds) for at_point in cells)
        means = [np.mean(at_point) for at_point in scores]
        higher = _entry(by_id[cells[0][0].id], metric)["higher_is_better"]
        best = int(np.argmax(means) if higher else np.argmin(means))
        names = [tuple(c.id for c in at_point) for at_point in cells]
        trainings = {c.training_id: by_id[c.id].ledger["train_flops"] for c in chain(*cells)}
        reads = tuple(key for key in sweep.tune.grid if _reads(key, sweep.points, names))
        tried.append(Tried(reference, scores, len(set(names)), reads, best, sum(trainings.values())))
    return tried


def _scores(
    cells: Sequence[Cell], by_id: Mapping[str, Result], metric: str, seeds: Sequence[int]
) -> tuple[float, ...]:
    """The mean over subsets, for every seed."""
    return tuple(
        float(np.mean([_entry(by_id[c.id], metric)["score"] for c in cells if c.seed == seed]))
        for seed in seeds
    )


def _entry(result: Result, metric: str) -> dict[str, Any]:
    return next(score for score in result.scores if score["key"] == metric)


def _reads(key: str, points: Sequence[Point], names: Sequence[tuple[str, ...]]) -> bool:
    """Whether points that differ in one key alone are other cells."""
    alike: dict[str, set[tuple[str, ...]]] = {}
    for point, cells in zip(points, names, strict=True):
        rest = repr({other: value for other, value in point.items() if other != key})
        alike.setdefault(rest, set()).add(cells)
    return any(len(different) > 1 for different in alike.values())


def chosen_spec(spec: RunSpec, sweep: Sweep, tried: Sequence[Tried]) -> dict[str, Any]:
    """The spec without its sweep, every method with the settings that were chosen for it."""
    content = spec.model_dump(mode="json", exclude_unset=True, exclude={"tune", "methods"})
    methods = {}
    for one in tried:
        point = sweep.points[one.best]
        chosen = nested({key: point[key] for key in one.reads})
        methods[one.method] = merge(spec.methods[one.method], chosen)
    return {**content, "methods": methods}


def chosen_text(spec: RunSpec, sweep: Sweep, tried: Sequence[Tried], metric: str) -> str:
    """:func:`chosen_spec` as YAML, with the scores that it was chosen by in comments."""
    seeds = ", ".join(map(str, sweep.tune.seeds))
    lines = [
        f"# Written by 'warmup-bench tune': {metric} on validation, mean over seeds {seeds} and subsets "
        f"{', '.join(sweep.plan.spec.subsets)}.",
        f"# Every method had {len(sweep.points)} points:",
        *(f"#   {number}: {name_of(point)}" for number, point in enumerate(sweep.points, 1)),
    ]
    for one in tried:
        means = ", ".join(f"{mean:.2f}" for mean in one.means)
        lines.append(f"# {one.method}: {means}; point {one.best + 1} is chosen")
    body = yaml.safe_dump(chosen_spec(spec, sweep, tried), sort_keys=False, allow_unicode=True)
    return "\n".join([*lines, body])


def record(sweep: Sweep, tried: Sequence[Tried], metric: Mapping[str, Any]) -> dict[str, Any]:
    """Everything that the choice rests on, as plain data; the budget None where cells have several."""
    plan = sweep.plan
    budgets = {cell.settings.budget for cell in plan.cells}
    budget = budgets.pop().model_dump(exclude_none=True) if len(budgets) == 1 else None
    return {
        "task": plan.task.value.card.name,
        "scale": plan.spec.scale,
        "subsets": list(plan.spec.subsets),
        "backbone": plan.cells[0].backbone,
        "split": "validation",
        "data": plan.fingerprints,
        "metric": {key: metric[key] for key in ("key", "name", "signature", "higher_is_better")},
        "seeds": list(sweep.tune.seeds),
        "budget": budget,
        "points": list(sweep.points),
        "methods": {
            one.method: {
                "scores": [list(scores) for scores in one.scores],
                "means": list(one.means),
                "distinct_points": one.distinct,
                "chosen": one.best,
                "settings": sweep.points[one.best],
                "train_flops": one.flops,
            }
            for one in tried
        },
    }


def name_of(point: Point) -> str:
    """A point in words: the spec's keys and values."""
    return " ".join(f"{key}={in_words(value)}" for key, value in point.items())


def in_words(value: Any) -> str:
    """A value of a point, a section as a spec writes it on one line: ``{steps: 5}``."""
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{key}: {in_words(inner)}' for key, inner in value.items())}}}"
    return f"{value:g}" if isinstance(value, float) else str(value)
