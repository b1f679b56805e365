"""Systems of a comparison from logs of other harnesses, aligned by example, task by task."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from warmup_bench.comparison.systems import System, named_by
from warmup_bench.contracts.errors import UserError
from warmup_bench.contracts.metric import FloatArray, Metric
from warmup_bench.data.logs import read_logs
from warmup_bench.data.logs.log import Log, Numbers
from warmup_bench.score.given import Given, higher_is_better


@dataclass(frozen=True)
class _Runs:
    """What one system did on one task: a log a run, all of the same examples."""

    name: str
    runs: dict[str, Log]
    ids: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def first(self) -> Log:
        return next(iter(self.runs.values()))

    def column(self, run: str, values: Sequence[object]) -> dict[str, object]:
        """Values of a run by example."""
        return dict(zip(self.runs[run].ids, values, strict=True))


def read_log_systems(
    systems: Sequence[tuple[str, str]],
    metrics: Sequence[str] = (),
    where: Sequence[str] = (),
    lower_is_better: Sequence[str] = (),
) -> dict[str, list[System]] | None:
    """Systems by task, in the order of the first system's tasks.

    Args:
        systems: Name ("": its path's) and logs of each, several runs separated by commas. One file that holds
            several systems stands for all of them.
        metrics: By the logs' names; (): all that have a number an example.
        where: ``task=NAME`` of the task that is meant.
        lower_is_better: Metrics of which less is better.

    Returns:
        None where none of the systems is a log.

    Raises:
        UserError: Logs that can't be read, or are of other examples than those of the first system.
    """
    read = [[read_logs(part) for part in place.split(",")] for _, place in systems]
    if not any(logs is not None for of in read for logs in of):
        return None
    by_system: dict[str, dict[str, _Runs]] = {}
    for (name, place), found in zip(systems, read, strict=True):
        parts = place.split(",")
        for part, logs in zip(parts, found, strict=True):
            if logs is None:
                raise UserError(
                    f"{part} is no log, and others are",
                    hint="Compare logs with logs, texts with texts (--ref).",
                )
        logged = [logs or [] for logs in found]
        inside = list(dict.fromkeys(log.system for log in logged[0]))
        if len(parts) == 1 and len(inside) > 1:
            for system in inside:
                shown = f"{name}: {system}" if name else system
                by_system[shown] = _by_task(shown, [[log for log in logged[0] if log.system == system]])
        else:
            shown = name or named_by(parts)
            by_system[shown] = _by_task(shown, logged)
    tasks, notes = _common_tasks(by_system, where)
    return {
        task: _systems(of_task, metrics, lower_is_better, [*notes, *more])
        for task, (of_task, more) in tasks.items()
    }


def _by_task(name: str, parts: Sequence[Sequence[Log]]) -> dict[str, _Runs]:
    """The runs of a system: an epoch of a file each."""
    found: dict[str, dict[str, Log]] = {}
    for number, logs in enumerate(parts):
        for log in logs:
            labels = [str(number)] if len(parts) > 1 else []
            label = ".".join([*labels, *([log.run] if log.run else [])]) or "0"
            found.setdefault(log.task, {})[label] = log
    if len(parts) > 1 and len(found) == len(parts) and all(len(logs) == 1 for logs in parts):
        files = ", ".join(found)
        raise UserError(
            f"the runs of {name} are of other tasks: {files}",
            hint="Commas join runs of one system on one task.",
        )
    return {task: _one_task(name, runs) for task, runs in found.items()}


def _one_task(name: str, runs: dict[str, Log]) -> _Runs:
    first = next(iter(runs.values()))
    shared = set(first.ids).intersection(*(log.ids for log in runs.values()))
    every = set().union(*(log.ids for log in runs.values()))
    ids = tuple(name for name in first.ids if name in shared)
    notes = [note for log in runs.values() for note in log.notes]
    if not ids:
        raise UserError(f"the runs of {name} have no example in common", hint="They are of other test sets.")
    if len(every) > len(ids):
        notes.append(f"{len(every) - len(ids)} examples that not every run of it has were left out")
    return _Runs(name, runs, ids, tuple(dict.fromkeys(notes)))


def _common_tasks(
    by_system: dict[str, dict[str, _Runs]], where: Sequence[str]
) -> tuple[dict[str, tuple[list[_Runs], list[str]]], list[str]]:
    """The tasks that every system has, with notes of each, and notes of those left out.

    Raises:
        UserError: There are none.
    """
    if all(len(tasks) == 1 for tasks in by_system.values()):
        alone = [next(iter(tasks.items())) for tasks in by_system.values()]
        names = list(dict.fromkeys(task for task, _ in alone))
        more = [f"the systems' tasks have other names: {', '.join(names)}"] if len(names) > 1 else []
        tasks = {names[0]: ([runs for _, runs in alone], more)}
        left: list[str] = []
    else:
        every = list(dict.fromkeys(task for of in by_system.values() for task in of))
        shared = [task for task in every if all(task in of for of in by_system.values())]
        tasks = {task: ([of[task] for of in by_system.values()], []) for task in shared}
        left = [task for task in every if task not in shared]
        if not shared:
            told = "; ".join(f"{name}: {', '.join(of)}" for name, of in by_system.items())
            raise UserError(f"the logs have no task in common ({told})", hint="Name logs of one task.")
    for condition in where:
        key, _, wanted = condition.partition("=")
        if key != "task" or wanted not in tasks:
            raise UserError(
                f"the logs have no {condition}",
                origin="--where",
                hint=f"They have: task={', task='.join(tasks)}.",
            )
        tasks = {wanted: tasks[wanted]}
    notes = (
        [f"tasks that not every system has were left out: {', '.join(left)}"] if left and not where else []
    )
    if len(tasks) > 1:
        notes.append("p values are of each task by itself: none is corrected for the number of tasks")
    return tasks, notes


def _systems(
    runs: Sequence[_Runs], metrics: Sequence[str], lower_is_better: Sequence[str], notes: Sequence[str]
) -> list[System]:
    """The systems of one task.

    Raises:
        UserError: Their examples are others under one id, or no metric is in all of them.
    """
    base = runs[0]
    told = [_require_same_documents(base, of) for of in runs]
    keys, left = _keys(runs, metrics)
    loaded = {key: _metric(key, runs, lower_is_better) for key in keys}
    return [_system(of, loaded, [*notes, *left, *more]) for of, more in zip(runs, told, strict=True)]


def _require_same_documents(base: _Runs, other: _Runs) -> list[str]:
    """See that ids mean the same in all runs of two systems; returns a note where prompts differ.

    Raises:
        UserError: An id means another document.
    """
    known = base.column(next(iter(base.runs)), base.first.documents)
    shown = base.column(next(iter(base.runs)), base.first.prompts) if base.first.prompts else {}
    prompts = 0
    for run, log in other.runs.items():
        documents = other.column(run, log.documents)
        for name in other.ids:
            if name in known and documents[name] != known[name]:
                raise UserError(
                    f"{name} of {other.name} ({log.path}) is another document than in {base.name} "
                    f"({base.first.path})",
                    hint="These are two test sets: their scores can't be paired.",
                )
        if log.prompts and shown:
            theirs = other.column(run, log.prompts)
            prompts = max(prompts, sum(name in shown and theirs[name] != shown[name] for name in other.ids))
    if not prompts:
        return []
    return [
        f"the prompts of {prompts:,} of {len(other.ids):,} examples are others than {base.name}'s (few-shot "
        "examples, instruction or template), which may be all the difference"
    ]


def _keys(runs: Sequence[_Runs], metrics: Sequence[str]) -> tuple[list[str], list[str]]:
    """Metrics that have a number of every example in every run, and a note of the others.

    Raises:
        UserError: There are none, or not those asked for.
    """
    logs = [log for of in runs for log in of.runs.values()]
    every = list(dict.fromkeys(key for log in logs for key in log.numbers))
    whole = [key for key in every if all(_is_whole(key, of) for of in runs)]
    for key in metrics:
        if key not in whole:
            why = "not a number of every example" if key in every else "no such metric"
            raise UserError(
                f"the logs have {why} under '{key}'",
                origin="--metric",
                hint=f"They have: {', '.join(whole)}.",
            )
    if not whole:
        raise UserError(
            f"{logs[0].path}: no metric has a number of every example",
            hint=f"The logs have: {', '.join(every) or 'none'}. Corpus metrics need texts and --ref.",
        )
    left = [key for key in every if key not in whole]
    note = f"without a number of every example, and left out: {', '.join(left)}"
    return list(metrics) or whole, [note] if left and not metrics else []


def _is_whole(key: str, runs: _Runs) -> bool:
    return all(
        key in log.numbers and None not in [runs.column(run, log.numbers[key])[name] for name in runs.ids]
        for run, log in runs.runs.items()
    )


def _metric(key: str, runs: Sequence[_Runs], lower_is_better: Sequence[str]) -> Metric:
    logs = [log for of in runs for log in of.runs.values()]
    told = [log.higher_is_better[key] for log in logs if key in log.higher_is_better]
    # What a name is known for goes before the log: lm-evaluation-harness registers TER as "higher".
    higher = higher_is_better(key) and (told[0] if told else True)
    if key in lower_is_better:
        higher = False
    aggregation = next((log.aggregations[key] for log in logs if key in log.aggregations), "mean")
    values = [numbers[0] for log in logs for numbers in log.numbers[key] if numbers is not None]
    shares = aggregation == "mean" and all(0 <= value <= 1 for value in values)
    harness = " and ".join(dict.fromkeys(log.harness for log in logs))
    percent = shares or key == "COMET"
    return Given(key, higher, harness, aggregation, 100.0 if percent else 1.0)


def _system(runs: _Runs, metrics: dict[str, Metric], notes: Sequence[str]) -> System:
    first = runs.first
    row = {name: i for i, name in enumerate(first.ids)}
    places = [row[name] for name in runs.ids]
    return System(
        name=runs.name,
        runs=tuple(runs.runs),
        ids=runs.ids,
        groups=None,
        sources=first.sources and tuple(first.sources[i] for i in places),
        references=first.references and tuple(first.references[i] for i in places),
        references_digests=tuple(int(first.documents[i], 16) for i in places),
        documents=tuple(first.documents[i] for i in places),
        outputs=_outputs(runs),
        metrics=metrics,
        statistics={key: _statistics(key, runs) for key in metrics},
        notes=tuple(dict.fromkeys([*notes, *runs.notes])),
    )


def _outputs(runs: _Runs) -> tuple[tuple[str, ...], ...] | None:
    found = []
    for run, log in runs.runs.items():
        if log.outputs is None:
            return None
        texts = runs.column(run, log.outputs)
        found.append(tuple(str(texts[name]) for name in runs.ids))
    return tuple(found)


def _statistics(key: str, runs: _Runs) -> FloatArray:
    """[runs, examples, 2]."""
    stacked = []
    for log in runs.runs.values():
        numbers: dict[str, Numbers | None] = dict(zip(log.ids, log.numbers[key], strict=True))
        stacked.append([numbers[name] for name in runs.ids])
    return np.array(stacked, dtype=np.float64)
