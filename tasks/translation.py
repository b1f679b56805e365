"""What the translation tasks share: directions, metrics, and a look at the script of a file."""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from warmup_bench import Subset
from warmup_bench.data.lines import damaged

METRICS = ("bleu", "chrf++", "comet")
PAPER_DIRECTIONS = ("de-en", "en-de", "fr-en", "en-fr", "ru-en", "en-ru", "zh-en", "en-zh")
"""German, French, Russian and Chinese with English, both ways."""


_SCRIPTS = {"Cyrillic": re.compile("[\u0400-\u04ff]"), "Chinese": re.compile("[\u4e00-\u9fff]")}
_OF_LANGUAGES = {"ru": "Cyrillic", "zh": "Chinese"}  # the others are written in Latin letters


def require_scripts(pairs: Sequence[tuple[str, str]], paths: tuple[Path, Path], subset: str) -> None:
    """See that texts are in the scripts of their languages: most of them, since they quote other texts.

    Args:
        pairs: Source and target texts.
        paths: The files that they are from.
        subset: The direction.

    Raises:
        UserError: They are not: a file is that of another language.
    """
    for path, language, texts in zip(paths, languages(subset), zip(*pairs, strict=True), strict=bool(pairs)):
        for script, letters in _SCRIPTS.items():
            count = sum(letters.search(text) is not None for text in texts)
            if (count * 2 >= len(texts)) != (_OF_LANGUAGES.get(language) == script):
                problem = f"is not {language}: {count:,} of {len(texts):,} texts hold {script} letters"
                raise damaged(path, problem, "This is the file of another language.")


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
