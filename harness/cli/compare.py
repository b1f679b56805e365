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
        texts: What :func:`warmup_bench.comparison.reading.read_systems` reads beside the names.
        stats: Of :class:`Stats`.
        intersect, examples: As :func:`warmup_bench.comparison.pairwise.compare_systems` takes them.
        format_: One of :data:`FORMATS`.

    Raises:
        UserError: A request that can't be met, or systems that can't be paired.
    """
    from warmup_bench.comparison.alone import score_system
    from warmup_bench.comparison.pairwise import compare_systems
    from warmup_bench.comparison.reading import read_systems
    from warmup_bench.report.alone import print_scored
    from warmup_bench.report.comparison import print_compared

    check_format(format_, FORMATS)
    systems = read_systems(names, **texts)
    if len(systems) == 1:
        print_scored(score_system(systems[0], Stats(**stats)), format_)
        return
    compared = compare_systems(systems, Stats(**stats), intersect=intersect, examples=examples)
    print_compared(compared, format_)
