"""What the translation tasks share: directions and metrics."""

from collections.abc import Iterable

from warmup_bench import Subset

METRICS = ("bleu", "chrf++", "comet")
PAPER_DIRECTIONS = ("de-en", "en-de", "fr-en", "en-fr", "ru-en", "en-ru", "zh-en", "en-zh")
"""German, French, Russian and Chinese with English, both ways."""


def languages(subset: str) -> tuple[str, str]:
    """Source and target language of a subset named ``de-en`` or ``de-en-…``."""
    source, target = subset.split("-")[:2]
    return source, target


def subsets(directions: Iterable[str], note: str = "") -> dict[str, Subset]:
    """A subset for each direction, with its languages."""
    return {
        direction: Subset(
            source_language=languages(direction)[0], target_language=languages(direction)[1], note=note
        )
        for direction in directions
    }
