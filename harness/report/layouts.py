"""What stands in the columns of a table: ``warmup-bench report --table``."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from warmup_bench.contracts.errors import UserError


@dataclass(frozen=True, slots=True)
class Layout:
    """How a task's results are laid out.

    Attributes:
        columns: ``subsets``: one table a metric, the directions or subsets in columns and their average last;
            ``metrics``: one table a subset; ``auto``: subsets where there are several, else metrics.
        metrics: Registry keys in the order of the paper's table; only tasks with one of them are shown.
            Empty: every metric of every task, in the task's order.
    """

    columns: Literal["auto", "subsets", "metrics"]
    metrics: tuple[str, ...] = ()

    def choose(self, stored: Sequence[tuple[str, str]], wanted: Sequence[str] = ()) -> tuple[str, ...]:
        """Keys of the scores to show.

        Args:
            stored: (key, metric) of every score; several keys may be of one metric, with other settings.
            wanted: Keys to narrow them to; none: all.
        """
        keys = [key for key, _ in stored]
        if self.metrics:
            keys = [key for metric in self.metrics for key, of_metric in stored if of_metric == metric]
        return tuple(key for key in keys if not wanted or key in wanted)


LAYOUTS = {
    "auto": Layout("auto"),
    "directions": Layout("subsets"),
    "metrics": Layout("metrics"),
    "translation": Layout("subsets", ("bleu", "comet", "chrf++")),
    "summarization": Layout("metrics", ("rouge1", "rouge2", "rougeL", "bertscore")),
    "logic": Layout("metrics", ("macro-f1", "accuracy")),
}
"""Tables by name: the first three fit every task, the others are the paper's."""


def layout(name: str) -> Layout:
    """A layout by name.

    Raises:
        UserError: There is none of that name.
    """
    if name not in LAYOUTS:
        raise UserError(f"unknown table '{name}'", origin="--table", hint=f"Tables: {', '.join(LAYOUTS)}.")
    return LAYOUTS[name]


def metric_keys(wanted: Iterable[str], stored: Iterable[tuple[str, str]]) -> tuple[str, ...]:
    """Registry keys of metrics that are asked for by key or by name, in any case.

    Args:
        wanted: As typed.
        stored: (key, name) of every metric that a report could show.

    Raises:
        UserError: One is not stored.
    """
    known = {spelling.lower(): key for key, name in stored for spelling in (key, name)}
    keys = []
    for name in wanted:
        if name.lower() not in known:
            raise UserError(
                f"no stored score of metric '{name}'",
                origin="--metric",
                hint=f"Stored: {', '.join(sorted(set(known.values())))}.",
            )
        keys.append(known[name.lower()])
    return tuple(dict.fromkeys(keys))
