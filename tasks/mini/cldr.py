"""Parallel sentences in five languages composed from CLDR data through Babel.

A composition is a pattern over one to three pieces: ``("label", ("territory", "CH"), ("unit",
"length-kilometer", 5))`` is "Switzerland: 5 kilometers" in English and "Швейцария: 5 километров" in
Russian. Names, plural forms, word order of dates, list patterns all come from Babel; what holds pieces
together is a CLDR list pattern, a CLDR date-time pattern, ``{0} ({1})`` or ``{0}: {1}``. The same
compositions are rendered in every language, so the test sets of all directions are parallel.

Spaces: Babel writes U+00A0, U+202F and U+2009 (French and Russian numbers, English times, intervals);
all become a plain space, so that a metric's tokeniser and a small vocabulary see one kind of space.
"""

import datetime as dt
import random
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from warmup_bench.tasks.mini import inventory
from warmup_bench.tasks.mini.kept import kept

if TYPE_CHECKING:
    from babel import Locale

LANGUAGES = ("en", "de", "fr", "ru", "zh")
MIN_CHARS, MAX_CHARS = 24, 90  # of the English sentence

Piece = tuple[Any, ...]
Composition = tuple[Any, ...]

_SPACES = str.maketrans({"\u00a0": " ", "\u202f": " ", "\u2009": " "})
_SECONDS = {"minute": 60, "hour": 3600, "day": 86400, "week": 604800, "month": 2592000, "year": 31536000}
# No medium dates: Chinese writes them like long ones, so a translator could not know which was meant.
_DATE_SKELETONS = ("yMMMM", "MMMMd", "yQQQQ", "yMMMEd", "MMMMW")
_INTERVAL_SKELETONS = ("yMMMd", "yMMMM", "MMMd", "yMMMEd")


# Pieces -----------------------------------------------------------------------------------------------


def _long(patterns: Any) -> str:
    """``long``, or ``short`` where a locale leaves the long form to CLDR's inheritance (Chinese)."""
    return "long" if "other" in patterns.get("long", {}) else "short"


def _territory(locale: "Locale", code: str) -> str:
    return str(locale.territories[code])


def _language(locale: "Locale", code: str) -> str:
    return str(locale.languages[code])


def _locale(locale: "Locale", language: str, territory: str) -> str:
    # Locale.get_display_name's form; a Locale object exists only for the pairs that CLDR has data for.
    return f"{_language(locale, language)} ({_territory(locale, territory)})"


def _currency(locale: "Locale", code: str) -> str:
    return str(locale.currencies[code])


def _amount(locale: "Locale", code: str, number: int) -> str:
    from babel.numbers import format_currency

    return format_currency(number, code, "#,##0", locale=locale, format_type="name", currency_digits=False)


def _price(locale: "Locale", code: str, number: float) -> str:
    from babel.numbers import format_currency

    return format_currency(number, code, locale=locale)


def _percent(locale: "Locale", number: int) -> str:
    from babel.numbers import format_percent

    return format_percent(number / 100, locale=locale)


def _compact(locale: "Locale", number: int) -> str:
    from babel.numbers import format_compact_decimal

    form: Any = _long(locale.compact_decimal_formats)
    return format_compact_decimal(number, format_type=form, locale=locale, fraction_digits=1)


def _unit(locale: "Locale", unit: str, number: float) -> str:
    from babel.units import format_unit

    length: Any = _long(locale._data["unit_patterns"][unit])
    return format_unit(number, unit, length, locale=locale)


def _relative(locale: "Locale", unit: Any, number: int) -> str:
    from babel.dates import format_timedelta

    delta = dt.timedelta(seconds=number * _SECONDS[unit])
    # An endless threshold keeps the unit: 10 days stay days and do not become a week.
    return format_timedelta(delta, unit, threshold=float("inf"), add_direction=True, locale=locale)


def _date(locale: "Locale", ordinal: int, form: Any) -> str:
    from babel.dates import format_date, format_skeleton

    date = dt.date.fromordinal(ordinal)
    if form in ("full", "long"):
        return format_date(date, form, locale=locale)
    return format_skeleton(form, dt.datetime.combine(date, dt.time()), locale=locale)


def _moment(locale: "Locale", ordinal: int, hour: int, minute: int) -> str:
    from babel.dates import format_time, get_datetime_format

    time = format_time(dt.time(hour, minute), "short", locale=locale)
    pattern = str(get_datetime_format("full", locale=locale)).replace("'", "")
    return pattern.replace("{0}", time).replace("{1}", _date(locale, ordinal, "full"))


def _interval(locale: "Locale", start: int, end: int, skeleton: str) -> str:
    from babel.dates import format_interval

    return format_interval(
        dt.date.fromordinal(start), dt.date.fromordinal(end), skeleton, fuzzy=False, locale=locale
    )


_RENDER: dict[str, Callable[..., str]] = {
    "territory": _territory,
    "language": _language,
    "locale": _locale,
    "currency": _currency,
    "amount": _amount,
    "price": _price,
    "percent": _percent,
    "compact": _compact,
    "unit": _unit,
    "relative": _relative,
    "date": _date,
    "moment": _moment,
    "interval": _interval,
}


# Patterns ---------------------------------------------------------------------------------------------


def _join(locale: "Locale", pattern: str, parts: list[str]) -> str:
    from babel.lists import format_list

    if pattern == "alone":
        return parts[0]
    if pattern == "paren":
        return f"{parts[0]} ({parts[1]})"
    if pattern == "label":
        return f"{parts[0]}: {parts[1]}"
    if pattern == "label-paren":
        return f"{parts[0]}: {parts[1]} ({parts[2]})"
    if pattern == "label-and":
        return f"{parts[0]}: {format_list(parts[1:], 'standard', locale)}"
    return format_list(parts, "standard" if pattern == "and" else "or", locale)


def renderer(language: str) -> Callable[[Composition], str]:
    """Return the function that writes a composition in ``language`` (``en``, ``de``, ``fr``, ``ru``, ``zh``).

    It remembers the pieces that it has written: they come back often, and Babel is not fast.
    """
    from babel import Locale

    locale = Locale.parse(language)
    seen: dict[Piece, str] = {}

    def piece(key: Piece) -> str:
        if key not in seen:
            seen[key] = _RENDER[key[0]](locale, *key[1:]).translate(_SPACES)
        return seen[key]

    def sentence(composition: Composition) -> str:
        pattern, *pieces = composition
        return _join(locale, pattern, [piece(p) for p in pieces]).translate(_SPACES)

    return sentence


# Sampling ---------------------------------------------------------------------------------------------

# Word-like material dominates: what has to be translated rather than copied. What a sentence is about
# (heads) and what is said of it (values) are of different kinds: the sentences read like entries of an
# almanac, and a small model can tell the order of pieces by their kind.
_HEADS = {"territory": 10, "date": 7, "language": 6, "currency": 3}
_VALUES = {"unit": 10, "relative": 8, "amount": 5, "interval": 3, "compact": 2, "percent": 2, "price": 2}
_LISTED = {
    "territory": 8,
    "unit": 6,
    "language": 5,
    "relative": 4,
    "date": 3,
    "currency": 3,
    "amount": 3,
    "locale": 3,
}
_ALONE = {"moment": 4, "interval": 2, "date": 2}
_PATTERNS = {"and": 20, "or": 14, "label": 26, "paren": 14, "label-and": 12, "label-paren": 8, "alone": 6}
_FIRST_DAY, _LAST_DAY = dt.date(2000, 1, 1).toordinal(), dt.date(2029, 12, 31).toordinal()


def _weighted(rng: random.Random, weights: dict[str, int]) -> str:
    return rng.choices(list(weights), list(weights.values()))[0]


def _sample_piece(rng: random.Random, kind: str) -> Piece:
    match kind:
        case "territory":
            return kind, rng.choice(inventory.TERRITORIES)
        case "language":
            return kind, rng.choice(inventory.LANGUAGES)
        case "locale":
            return kind, rng.choice(inventory.LANGUAGES), rng.choice(inventory.TERRITORIES)
        case "currency":
            return kind, rng.choice(inventory.CURRENCIES)
        case "amount":
            return kind, rng.choice(inventory.CURRENCIES), int(rng.choice(inventory.COUNTS) * 2)
        case "price":
            return kind, rng.choice(inventory.CURRENCIES), rng.choice(inventory.COUNTS) * 5
        case "percent":
            return kind, rng.randrange(5, 100, 5)
        case "compact":
            return kind, rng.choice((1, 2, 3, 4, 5, 7, 10, 25, 50)) * rng.choice((10**6, 10**9))
        case "unit":
            return kind, rng.choice(inventory.UNITS), rng.choice(inventory.COUNTS)
        case "relative":
            number = rng.choice((1, 2, 3, 4, 5, 6, 8, 10, 12, 15, 20, 21, 30))
            return kind, rng.choice(list(_SECONDS)), rng.choice((-1, 1)) * number
        case "date":
            form = rng.choice(("full", "full", "long", "long", *_DATE_SKELETONS))
            return kind, rng.randint(_FIRST_DAY, _LAST_DAY), form
        case "moment":
            day = rng.randint(_FIRST_DAY, _LAST_DAY)
            return kind, day, rng.randrange(24), rng.choice((0, 15, 30, 45))
        case _:  # an interval of days, or of months
            start = rng.randint(_FIRST_DAY, _LAST_DAY)
            skeleton = rng.choice(_INTERVAL_SKELETONS)
            return (
                kind,
                start,
                start + rng.randint(*((40, 150) if skeleton == "yMMMM" else (1, 60))),
                skeleton,
            )


def _sample(rng: random.Random) -> Composition:
    def one(weights: dict[str, int]) -> Piece:
        return _sample_piece(rng, _weighted(rng, weights))

    pattern = _weighted(rng, _PATTERNS)
    match pattern:
        case "alone":
            return pattern, one(_ALONE)
        case "label":
            return pattern, one(_HEADS), one(_VALUES)
        case "paren":
            return pattern, one(_VALUES), one(_HEADS)
        case "label-paren":
            return pattern, one(_HEADS), one(_VALUES), one(_HEADS)
    kind = _weighted(rng, _LISTED)
    if pattern == "label-and":
        return pattern, one(_HEADS), *(_sample_piece(rng, kind) for _ in range(2))
    return pattern, *(_sample_piece(rng, kind) for _ in range(rng.choice((2, 2, 3))))


def corpus(size: int, seed: int) -> Iterator[tuple[Composition, dict[str, str]]]:
    """Yield ``size`` compositions, each with its sentence in every language of :data:`LANGUAGES`.

    No two sentences of one language are equal, so any cut of the stream into splits keeps the test
    strings of every direction out of the training data. English sentences have 24 to 90 characters.
    """
    made = kept("cldr", ["babel"], lambda: list(_compose(size, seed)), size, seed)
    for (pattern, *pieces), sentences in made:
        yield (pattern, *map(tuple, pieces)), sentences


def _compose(size: int, seed: int) -> Iterator[tuple[Composition, dict[str, str]]]:
    rng = random.Random(seed)
    write = {language: renderer(language) for language in LANGUAGES}
    seen: dict[str, set[str]] = {language: set() for language in LANGUAGES}
    made = 0
    while made < size:
        composition = _sample(rng)
        if len(set(composition[1:])) < len(composition) - 1:
            continue  # "France and France"
        english = write["en"](composition)
        if not MIN_CHARS <= len(english) <= MAX_CHARS:
            continue
        sentences = {language: write[language](composition) for language in LANGUAGES}
        if len(set(sentences.values())) < len(LANGUAGES):
            continue  # nothing to translate
        if any(text in seen[language] for language, text in sentences.items()):
            continue
        for language, text in sentences.items():
            seen[language].add(text)
        made += 1
        yield composition, sentences


def atoms(composition: Composition) -> set[tuple[str, str]]:
    """Names that a model must have seen to translate a composition: territories, languages, units, forms."""
    found = {("pattern", str(composition[0]))}
    for kind, *values in composition[1:]:
        found.add(("piece", kind))
        if kind in ("territory", "language", "currency", "unit"):
            found.add((kind, values[0]))
        elif kind in ("amount", "price"):
            found.add(("currency", values[0]))
        elif kind == "locale":
            found |= {("language", values[0]), ("territory", values[1])}
        elif kind == "relative":
            found.add((kind, f"{values[0]} {'ahead' if values[1] > 0 else 'ago'}"))
        elif kind in ("date", "interval"):
            found.add((kind, values[-1]))
    return found
