"""Which language a code means: one function, and CLDR's list of codes, for every option, card and metric."""

import re
from functools import cache

from warmup_bench.contracts.errors import UserError

_TAG = re.compile(
    r"(?P<language>[a-z]{2,3})(?:[-_](?P<script>[a-z]{4}))?(?:[-_](?P<region>[a-z]{2}|\d{3}))?"
    r"(?:[-_](?:[a-z\d]{5,8}|\d[a-z\d]{3}))*",
    re.IGNORECASE,
)
"""Language, script, region and variants of BCP 47, with hyphens or underscores."""
_NO_LANGUAGE = ("und", "mul", "mis", "zxx", "root")


def language_code(tag: str, origin: str) -> str:
    """The code that metrics go by: ISO 639-1 where there is one, else ISO 639-3.

    Args:
        tag: ``de``, ``deu``, ``ger``, ``de-AT``, ``zh_TW``, ``zho``, ``cmn_Hans`` (FLORES), in any case.
        origin: The option or card that has it, for the error.

    Raises:
        UserError: No language is known by it.
    """
    code = known_language(tag)
    if code is None:
        raise UserError(f"'{tag}' is no language code", origin=origin, hint=_advice(tag))
    return code


@cache
def known_language(tag: str) -> str | None:
    """The same, or None where no language is known by it."""
    parts = _TAG.fullmatch(tag.strip())
    if parts is None:
        return None
    from babel.core import get_global

    language, script, region = parts["language"].lower(), parts["script"], parts["region"]
    aliases = get_global("language_aliases")
    language = str(aliases.get(language, language)).split("_")[0]
    known = {str(key).split("_")[0] for key in get_global("likely_subtags")}
    known -= {*_NO_LANGUAGE}
    places, scripts = _places_and_scripts()
    if (script and script.title() not in scripts) or (region and region.upper() not in places):
        return None
    return language if language in known else None


@cache
def _places_and_scripts() -> tuple[frozenset[str], frozenset[str]]:
    from babel import Locale

    english = Locale("en")
    return frozenset(english.territories), frozenset(english.scripts)


def _advice(tag: str) -> str:
    """The code of a language that was given by its English name, or what codes look like."""
    from babel import Locale

    wanted = tag.strip().casefold()
    for code, name in Locale("en").languages.items():
        if name.casefold() == wanted and known_language(code):
            return f"The code of {name} is {code}."
    return "Give one language's code, such as de, zh, zh-TW or deu_Latn."
