"""Published gains beside measured ones: where a claim's own terms are met, and why not elsewhere."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import product

from warmup_bench.comparison.paper import PaperTable
from warmup_bench.comparison.verdict import ENOUGH, judge
from warmup_bench.contracts.settings import Settings
from warmup_bench.report.table import Gain, Group, MeanScore, Missing, Published, Table

LEGEND = (
    "Verdict on a published gain: reproduced, where the measured interval excludes 0 and covers it; smaller "
    "or larger, where it excludes 0 and the published gain; not distinguishable from 0, where it holds 0; "
    f"underpowered, where it holds both and the power is below {ENOUGH:.0%}. Power: the chance that a "
    "comparison with this one's standard error (from the width of its interval) finds the published gain."
)


def with_published(
    table: Table, studies: Sequence[PaperTable], smaller: Sequence[PaperTable], settings: Sequence[Settings]
) -> Table:
    """The table with the published gains that speak of its cells, or with the reason why there are none.

    Args:
        table: Finished otherwise.
        studies: The paper's tables at scale ``paper``.
        smaller: The same at the other scales: their results are refused in so many words.
        settings: Of each group.
    """
    beside: list[Published] = []
    refused: dict[str, None] = {}
    of_task = [study for study in studies if study.spec.task == table.task]
    if table.scale != "paper":
        if of_task or any((s.spec.task, s.spec.scale) == (table.task, table.scale) for s in smaller):
            refused[f"this is scale {table.scale}, other data or another model than the paper's"] = None
    else:
        for study in of_task:
            for group, given in zip(table.groups, settings, strict=True):
                if group.backbone not in study.spec.backbones:
                    continue
                if reason := _unlike(study, table, group, given):
                    refused[f"{study.name}: {reason}"] = None
                    continue
                beside += _beside(study, table, group)
        if of_task and not beside and not refused:
            named = ", ".join(name for study in of_task for name in study.spec.backbones)
            refused[f"the backbone is not the paper's ({named})"] = None
    notes = []
    if beside:
        sources = dict.fromkeys(published.claim.source for published in beside)
        notes += [LEGEND, f"Published: {' '.join(sources)}"]
    if refused:
        notes.append(f"No published gain is set beside these: {'; '.join(refused)}.")
    return replace(table, published=tuple(beside), notes=replace(table.notes, published=tuple(notes)))


def _unlike(study: PaperTable, table: Table, group: Group, settings: Settings) -> str:
    """What sets a group apart from the claim; empty where nothing does."""
    spec = study.spec
    subsets = {column.subset for column in table.columns if column.subset is not None}
    if subsets != set(spec.subsets):
        return f"the claim is on {', '.join(spec.subsets)}, this on {', '.join(sorted(subsets))}"
    if table.split != "test":
        return f"the claim is on test data, this on {table.split} data"
    limit = settings.limit.model_dump(exclude_none=True)
    if limit != spec.limit:
        return f"a part of the data ({', '.join(f'limit.{key}={value}' for key, value in limit.items())})"
    if table.baseline != spec.stats.baseline:
        return f"the claim is a gain over {spec.stats.baseline}, this over {table.baseline}"
    methods = {row.method for row in group.rows}
    lacking = [name for name in spec.methods if name not in methods]
    return f"no row '{lacking[0]}'" if lacking else ""


def _beside(study: PaperTable, table: Table, group: Group) -> list[Published]:
    """Each claim of a study whose metric is in the table, on the column that covers all its subsets.

    A claim is a gain of one method over one other, so that its study has just these two.
    """
    (method,) = (name for name in study.spec.methods if name != table.baseline)
    row = next(row for row in group.rows if row.method == method)
    # The average where there is one; else every column is of the one subset.
    whole = table.columns[-1:] if table.columns[-1].subset is None else table.columns
    beside = []
    for claim, column in product(study.claims, whole):
        if column.metric_name != claim.metric:
            continue
        cell = row.cells[column.key]
        gain = cell.gain if isinstance(cell, MeanScore) else cell
        place = group.name, method, column.key
        if not isinstance(gain, Gain):
            beside.append(Published(claim, *place, gain or Missing("no baseline"), None))
        elif (error := gain.comparison.error) is None:
            beside.append(Published(claim, *place, Missing("no interval"), None))
        else:
            c = gain.comparison
            judgement = judge(claim.gain, c.difference, error, c.confidence)
            beside.append(Published(claim, *place, c, judgement))
    return beside
