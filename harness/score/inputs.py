"""What metrics read, and what every one checks before it counts."""

from collections.abc import Collection, Sequence

from warmup_bench.contracts.errors import UserError
from warmup_bench.contracts.metric import Metric


def column_read(metric: Metric, columns: Collection[str]) -> str:
    """The column of the stored predictions whose texts a metric takes for hypotheses.

    ``hypothesis``, what was generated, unless the metric names another one in an attribute ``reads``, such as
    ``ranked``, the likeliest of an example's options.

    Raises:
        UserError: These predictions don't have it.
    """
    column = str(getattr(metric, "reads", "hypothesis"))
    if column not in columns:
        raise UserError(
            f"metric '{metric.name}' reads the column '{column}', which these predictions don't have",
            hint="Ranked answers need a task whose examples name their options.",
        )
    return column


def check_inputs(hypotheses: Sequence[str], references: Sequence[Sequence[str]]) -> None:
    """Raise :class:`UserError` unless every hypothesis has at least one reference."""
    if len(hypotheses) != len(references):
        raise UserError(
            f"{len(hypotheses)} hypotheses but references for {len(references)} examples",
            hint="Score predictions against the test set that they were made from.",
        )
    bare = next((i for i, golds in enumerate(references) if len(golds) == 0), None)
    if bare is not None:
        raise UserError(
            f"example number {bare} has no reference", hint="Give it one or leave it out of the test set."
        )


def reference_streams(references: Sequence[Sequence[str]]) -> list[list[str | None]]:
    """Turn references by example into sacreBLEU's streams, one a reference number.

    Examples with fewer references than others get None there, which is how sacreBLEU marks a missing one.
    """
    most = max(map(len, references), default=0)
    return [[golds[k] if k < len(golds) else None for golds in references] for k in range(most)]
