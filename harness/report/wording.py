"""The sentences of a report: what was found, what that does not show, and the footnotes."""

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from warmup_bench.comparison import Comparison
from warmup_bench.comparison.seeds import least_seeds
from warmup_bench.contracts.settings import Stats
from warmup_bench.report.numbers import counted, format_p
from warmup_bench.report.table import (
    Column,
    Footnotes,
    Gain,
    Group,
    MeanScore,
    Missing,
    Row,
    Table,
    main_column,
)

if TYPE_CHECKING:
    from warmup_bench.report.sheets import Block

TOP = 0.005
"""Points below 100 that a table shows as 100.00."""
_LABELS = re.compile(r"(?:^|\|)labels:(\d+)\|")
"""In the signatures of metrics of labels: how many there are."""
EQUAL_COMPUTE = 0.05
"""Share by which training FLOPs may differ and still be called equal."""
MANY_SEEDS = least_seeds()
"""Matched seeds from which a two-sided exact test over seeds can reach 5%."""


def heading(table: Table) -> str:
    """Title, scale and, where all columns share them, test examples, seeds and data: one line."""
    parts = [table.title, f"scale {table.scale}"]
    of_subsets = [column for column in table.columns if column.subset is not None]
    sizes, prints = {c.examples for c in of_subsets}, {c.data for c in of_subsets}
    if len(sizes) == 1:
        parts.append(f"{sizes.pop()} {table.split} examples")
    parts.append(_seeds(table))
    if len(prints) == 1:
        parts.append(f"data {prints.pop()}")
    return " · ".join(parts)


def _seeds(table: Table) -> str:
    counts = sorted({len(s.seeds) for _, s in _scores(table.groups)})
    return f"{'/'.join(map(str, counts)) or 'no'} seed{'' if counts == [1] else 's'}"


def findings(groups: Sequence[Group], columns: Sequence[Column], stats: Stats) -> tuple[str, ...]:
    """One sentence for each row that is compared, on the average or the first column."""
    main = main_column(columns)
    nothing = f"Nothing is compared here: that needs '{stats.baseline}' and another method."
    sentences = []
    for group in groups:
        where = f"{group.name}: " if len(groups) > 1 else ""
        of_rows = [_finding(row, main, stats.baseline, stats.margin) for row in group.compared]
        sentences += [where + sentence for sentence in of_rows or [nothing]]
    return tuple(sentences)


def _finding(row: Row, main: Column, baseline: str, margin: float | None) -> str:
    cell = row.cells[main.key]
    if isinstance(cell, Missing):
        return f"{row.method}: nothing to compare ({cell.reason})."
    if not isinstance(cell.gain, Gain):
        reason = "" if cell.gain is None else f" ({cell.gain.reason})"
        return f"{row.method}: not compared with {baseline}{reason}."
    gain, c = cell.gain, cell.gain.comparison
    times = None if row.cost is None else row.cost.times_baseline
    cost = "" if times is None else f" at {times:.1f} times its training FLOPs"
    name = f"{main.metric_name} on average" if main.subset is None else main.metric_name
    few = "" if c.seeds >= MANY_SEEDS else f"{counted(c.seeds, 'seed')} can't show what holds for others: "
    return f"{few}{row.method} against {baseline}{cost}: {_result(gain, name, margin)} ({_evidence(gain)})."


def _result(gain: Gain, name: str, margin: float | None) -> str:
    """What a comparison shows, and for whom; within a margin, that nothing is there which matters."""
    models = "this pair of models" if gain.comparison.seeds == 1 else f"these {gain.comparison.seeds} pairs"
    if gain.finding.equivalent:
        return f"no difference above the margin of {margin:g} {name}"
    if gain.finding.reach == "nobody" or gain.better is None:
        neither = "" if margin is None else f", nor that it is within the margin of {margin:g}"
        return f"no difference in {name} is shown{neither}"
    result = f"{'better' if gain.better else 'worse'} by {abs(gain.comparison.difference):.2f} {name}"
    return (
        f"{result}, for other seeds too"
        if gain.finding.reach == "other seeds"
        else f"{result} for {models} alone"
    )


def _evidence(gain: Gain) -> str:
    """The p of these models beside that of other seeds."""
    sign = "≤" if gain.comparison.p_at_floor else "="
    told = [f"p {sign} {format_p(gain.corrected_p)} for these models"]
    if gain.finding.other_seeds_p is not None:
        told.append(f"p = {format_p(gain.finding.other_seeds_p)} for other seeds")
    if (p := gain.finding.corrected_equivalence_p) is not None:
        told.append(f"p = {format_p(p)} that it is above the margin")
    return ", ".join(told)


def scope(groups: Sequence[Group], columns: Sequence[Column], scale: str) -> str:
    """What the numbers do not show."""
    gains = [score.gain for _, score in _scores(groups) if isinstance(score.gain, Gain)]
    if not gains:
        return "No difference was tested, so nothing follows about one."
    counts = sorted({gain.comparison.seeds for gain in gains})
    fewest, most = counts[0], counts[-1]
    sizes = sorted({column.examples for column in columns if column.subset is not None})
    count = f"{fewest} to {most}" if most > fewest else str(fewest)
    pairs = "this pair" if most == 1 else f"these {count} pairs"
    examples = f"{sizes[0]} examples" if len(sizes) == 1 else "test sets"
    hold = all(gain.finding.reach == "other seeds" for gain in gains if gain.finding.reach != "nobody")
    unseen = "other data" if hold and fewest >= MANY_SEEDS else "other seeds, other data"
    # A baseline with another method's budget is a control of compute, not what is compared at equal compute.
    rows = [
        row
        for group in groups
        for row in group.compared
        if not row.method.startswith(f"{group.rows[0].method} (")
    ]
    ratios = [row.cost.times_baseline for row in rows if row.cost and row.cost.times_baseline]
    equal = all(abs(ratio - 1) <= EQUAL_COMPUTE for ratio in ratios)
    limits = [f"it does not show what holds for {unseen}{'' if equal else ' or at equal compute'}"]
    if scale == "mini":
        limits.append("and a mini result says nothing of the paper's setting")
    return f"This speaks of {pairs} of trained models on these {examples}; {', '.join(limits)}."


def notes(
    groups: Sequence[Group],
    columns: Sequence[Column],
    stats: Stats,
    blocks: "Sequence[Block]",
    said: Sequence[str],
) -> Footnotes:
    """The footnotes of a table."""
    return Footnotes(
        reading=(
            _reading(blocks),
            *_split(blocks),
            *_apart(blocks),
            *_warmups(blocks),
            *_cut(groups),
            *_skipped(groups),
            *_limits(groups, columns),
            *said,
        ),
        tests=_tests(groups, columns, stats),
        missing=tuple(_missing(groups, columns)),
        signatures=_by_value((c.metric_name, c.name, c.signature) for c in columns if c.signature),
        data=_by_value(
            ("", c.subset, f"{c.data}, {c.examples} examples") for c in columns if c.subset and c.data
        ),
    )


def _reading(blocks: "Sequence[Block]") -> str:
    starts = sorted({block.settings.warm_start.steps for block in blocks})
    after = f" ({'/'.join(map(str, starts))} steps)" if any(starts) else ""
    return (
        "Score: mean over seeds ± standard deviation. Costs: training after the shared warm start"
        f"{after}, sampling included, and decoding the test set; means over a row's cells, peak memory the "
        "largest."
    )


def _split(blocks: "Sequence[Block]") -> Iterable[str]:
    if blocks and (split := blocks[0].settings.decode.split) != "test":
        yield f"Decoded and scored: the {split} examples, by which settings are chosen; no test example."


def _apart(blocks: "Sequence[Block]") -> Iterable[str]:
    """The settings that a spec gives to some rows of a group alone."""
    for block in blocks:
        for key, values in block.apart.items():
            yield f"{_rows_of(block, blocks)} differ in {key}: {values}."


def _warmups(blocks: "Sequence[Block]") -> Iterable[str]:
    for block in blocks:
        if block.warmups:
            usual = ", ".join(f"warmup.{key}={value}" for key, value in block.warmups.items())
            yield f"{_rows_of(block, blocks)} that say nothing else have {usual}."


def _rows_of(block: "Block", blocks: "Sequence[Block]") -> str:
    return f"Rows of {block.name}" if len(blocks) > 1 else "Rows"


def _cut(groups: Sequence[Group]) -> Iterable[str]:
    most = max((row.cost.truncated for group in groups for row in group.rows if row.cost), default=0)
    if most:
        yield f"Up to {most:,} examples of a cell, in training or test, were cut to the token limits."


def _skipped(groups: Sequence[Group]) -> Iterable[str]:
    """The rows that have lost steps: they have learned in fewer than they have spent."""
    lost = [
        f"{_place(group, row, groups)} {row.cost.skipped:,} of {row.cost.steps:,.0f}"
        for group in groups
        for row in group.rows
        if row.cost and row.cost.skipped
    ]
    if lost:
        yield (
            "Steps skipped because the loss or its gradient was not finite, the most of any cell: "
            f"{', '.join(lost)}."
        )


def _limits(groups: Sequence[Group], columns: Sequence[Column]) -> Iterable[str]:
    """Columns in which nothing can show: every row at the top, or where guessing would be."""
    for column in columns:
        cells = [row.cells[column.key] for group in groups for row in group.rows]
        means = [cell.mean for cell in cells if isinstance(cell, MeanScore)]
        name = f"{column.metric_name} of {column.name}" if column.subset else f"Average {column.metric_name}"
        if not means or not column.higher_is_better:
            continue
        if min(means) >= 100 - TOP:
            yield f"{name}: every row is at {100:.2f}, the best there is, so that no gain could show."
        elif (labels := _LABELS.search(column.signature)) and column.examples:
            chance = 1 / int(labels[1])
            error = (chance * (1 - chance) / column.examples) ** 0.5
            if max(means) <= 100 * (chance + 2 * error):
                yield (
                    f"{name}: no row is above what guessing among {labels[1]} labels gives on "
                    f"{column.examples} examples ({100 * chance:.0f} and two standard errors)."
                )


def _tests(groups: Sequence[Group], columns: Sequence[Column], stats: Stats) -> tuple[str, ...]:
    gains = [(key, s.gain) for key, s in _scores(groups) if isinstance(s.gain, Gain)]
    if not gains:
        return ()
    metric_of = {column.key: column.metric_name for column in columns}
    family: dict[str, int] = defaultdict(int)
    tests: dict[str, dict[str, None]] = defaultdict(dict)
    for key, gain in gains:
        family[metric_of[key]] += 1
        tests[metric_of[key]][f"{gain.comparison.test}{_swaps(gain.comparison)}"] = None
    sizes = " and ".join(f"{size} of {name}" for name, size in family.items())
    shared: dict[str, list[str]] = defaultdict(list)
    for name, tests_of_metric in tests.items():
        shared[" or ".join(sorted(tests_of_metric))].append(name)
    used = ", ".join(
        test + (f" of {' and '.join(names)}" if len(shared) > 1 else "") for test, names in shared.items()
    )
    level = 1 - stats.confidence
    sentences = [
        f"Δ against {stats.baseline} on matched seeds: {stats.confidence:.0%} interval by t, over seeds "
        f"and examples; p two-sided for these models, by {used}; Holm-corrected "
        f"over this table's comparisons ({sizes}); seed {stats.seed}. °: p at most {level:.2g} after the "
        "correction, for better or worse."
    ]
    if max(gain.comparison.seeds for _, gain in gains) > 1:
        sentences.append(
            "p for other seeds: the larger of the interval's own test, Holm-corrected, and of the sign flips "
            f"of the seeds' differences on these examples. Bold and *: it is at most {level:.2g} too, and "
            "the difference is shown for other seeds and examples."
        )
    if columns[-1].subset is None:
        sentences.append(
            "Average: the mean of the columns' scores. Where all columns have the same ids, the examples of "
            "one id are swapped and counted together, since they may be translations of one another; else "
            "each by itself, and the interval counts the spread within each test set."
        )
    # That a p is exact stands with its test; the number of swaps would make a note of every comparison.
    seen = dict.fromkeys(
        note for _, gain in gains for note in gain.comparison.notes if not note.startswith("p is exact")
    )
    return (*sentences, *(f"{note[0].upper()}{note[1:]}." for note in seen))


def _swaps(comparison: Comparison) -> str:
    return (
        " (every swap)" if comparison.test.startswith("exact ") else f" ({comparison.randomizations:,} swaps)"
    )


def _missing(groups: Sequence[Group], columns: Sequence[Column]) -> Iterable[str]:
    """Why cells are not there, rows and columns of one reason together; and rows with fewer seeds."""
    most = max((len(score.seeds) for _, score in _scores(groups)), default=0)
    reasons: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for group in groups:
        for row in group.rows:
            place = _place(group, row, groups)
            for column in columns:
                cell = row.cells[column.key]
                if isinstance(cell, Missing):
                    reasons[f"missing, {cell.reason}"][place].append(column.name)
                    continue
                if len(cell.seeds) < most:
                    seeds = ", ".join(map(str, cell.seeds))
                    reasons[f"{len(cell.seeds)} of {most} seeds ({seeds})"][place].append(column.name)
                if isinstance(cell.gain, Missing):
                    reasons[f"no difference, {cell.gain.reason}"][place].append(column.name)
    for reason, places in reasons.items():
        where = "; ".join(f"{place} · {', '.join(names)}" for place, names in places.items())
        yield f"{where}: {reason}."


def _place(group: Group, row: Row, groups: Sequence[Group]) -> str:
    """A row's name in its table."""
    return f"{group.name} · {row.method}" if len(groups) > 1 else row.method


def _by_value(values: Iterable[tuple[str, str, str]]) -> tuple[tuple[str, str], ...]:
    """(names, value) from (common name, name, value): the names that share a value, after the common one;
    the common one alone where all share it.
    """
    names: dict[tuple[str, str], list[str]] = defaultdict(list)
    for common, name, value in values:
        names[common, value].append(name)
    pairs = []
    for (common, value), sharing in names.items():
        listed = ", ".join(dict.fromkeys(sharing))
        alone = len(names) == 1 and common
        named = common if alone or common == listed else ", ".join(filter(None, (common, listed)))
        pairs.append((named, value))
    return tuple(pairs)


def _scores(groups: Sequence[Group]) -> Iterable[tuple[str, MeanScore]]:
    """Every score, with the key of its column."""
    for group in groups:
        for row in group.rows:
            for key, cell in row.cells.items():
                if isinstance(cell, MeanScore):
                    yield key, cell
