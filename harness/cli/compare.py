"""``warmup-bench compare``: systems against the first one, from stored cells, texts or logs."""

from collections.abc import Mapping, Sequence
from typing import Any

from warmup_bench.cli.formats import FORMATS
from warmup_bench.contracts.settings import Stats
from warmup_bench.report.render import check_format


def compare_command(
    names: Sequence[str],
    texts: Mapping[str, Any],
    stats: Mapping[str, Any],
    *,
    intersect: bool,
    examples: int,
    format_: str,
) -> None:
    """Compare and print.

    Args:
        names: The baseline, then the others; one alone gets its scores with intervals.
        texts: What :func:`warmup_bench.comparison.reading.read_tasks` reads beside the names.
        stats: Of :class:`Stats`.
        intersect, examples: As :func:`warmup_bench.comparison.pairwise.compare_systems` takes them.
        format_: One of :data:`FORMATS`.

    Raises:
        UserError: A request that can't be met, or systems that can't be paired.
    """
    from warmup_bench.comparison.alone import score_system
    from warmup_bench.comparison.pairwise import compare_systems
    from warmup_bench.comparison.reading import read_tasks
    from warmup_bench.report.alone import print_scored
    from warmup_bench.report.comparison import print_compared

    check_format(format_, FORMATS)
    tasks, drawn = read_tasks(names, **texts), Stats(**stats)
    if any(len(systems) == 1 for systems in tasks.values()):
        print_scored([score_system(systems[0], drawn, task) for task, systems in tasks.items()], format_)
        return
    compared = [
        compare_systems(systems, drawn, intersect=intersect, examples=examples, task=task)
        for task, systems in tasks.items()
    ]
    print_compared(compared, format_)
