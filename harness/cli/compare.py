"""``warmup-bench compare``: systems against the first one, from stored cells or plain text files."""

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
        names: The baseline, then the others.
        texts: What :func:`warmup_bench.comparison.systems.read_systems` reads beside the names.
        stats: Of :class:`Stats`.
        intersect, examples: As :func:`warmup_bench.comparison.pairwise.compare_systems` takes them.
        format_: One of :data:`FORMATS`.

    Raises:
        UserError: A request that can't be met, or systems that can't be paired.
    """
    from warmup_bench.comparison.pairwise import compare_systems, require_two
    from warmup_bench.comparison.systems import read_systems
    from warmup_bench.report.comparison import print_compared

    check_format(format_, FORMATS)
    require_two(names)
    systems = read_systems(names, **texts)
    compared = compare_systems(systems, Stats(**stats), intersect=intersect, examples=examples)
    print_compared(compared, format_)
