"""What the CLDR sentences speak of: short inventories of codes, each chosen by a stated rule (our choice).

Codes are ISO 3166-1 (territories), ISO 639-1 (languages), ISO 4217 (currencies) and CLDR unit ids. Names
and inflections are never written here; Babel has them.
"""

_OECD = (
    "AT AU BE CA CH CL CO CR CZ DE DK EE ES FI FR GB GR HU IE IL IS IT JP KR LT LU LV MX NL NO NZ PL PT SE"
    " SI SK TR US"
)
_EU = "AT BE BG CY CZ DE DK EE ES FI FR GR HR HU IE IT LT LU LV MT NL PL PT RO SE SI SK"
_G20 = "AR AU BR CA CN DE FR GB ID IN IT JP KR MX RU SA TR US ZA"
_ASEAN = "BN ID KH LA MY PH SG TH VN"
_SOUTH_AMERICA = "AR BO BR CL CO EC GY PE PY SR UY VE"
_MAGHREB = "DZ LY MA MR TN"
_POPULOUS = "BD BR CN DE EG ET ID IN IR JP MX NG PH PK RU TR US VN"


def _codes(*texts: str) -> tuple[str, ...]:
    return tuple(sorted(set(" ".join(texts).split())))


TERRITORIES = _codes(_OECD, _EU, _G20, _ASEAN, _SOUTH_AMERICA, _MAGHREB, _POPULOUS)
"""Members in 2024 of the OECD, EU, G20, ASEAN and Arab Maghreb Union, the states of South America, and
states of more than 80 million people; without those whose CLDR name has brackets or a dash (MM, CD)."""

LANGUAGES = _codes(
    "bg hr cs da nl en et fi fr de el hu ga it lv lt mt pl pt ro sk sl es sv",  # the EU's 24
    "ar zh ru",  # the United Nations' (with English, French and Spanish)
    "bn fa he hi id ja ko sw ta th tr uk vi",  # 13 more of wide use
)
"""The 24 official languages of the EU, the 6 of the United Nations, and 13 more of wide use."""

CURRENCIES = _codes("ARS AUD BRL CAD CNY EUR GBP IDR INR JPY KRW MXN RUB SAR TRY USD ZAR", "CHF NOK SEK")
"""The currencies of the G20, and of Switzerland, Norway and Sweden."""

UNITS: tuple[str, ...] = (
    "length-kilometer",
    "length-meter",
    "length-centimeter",
    "length-mile",
    "area-hectare",
    "area-square-kilometer",
    "area-square-meter",
    "volume-liter",
    "volume-cubic-meter",
    "volume-tablespoon",
    "mass-kilogram",
    "mass-gram",
    "duration-century",
    "duration-year",
    "duration-month",
    "duration-week",
    "duration-day",
    "duration-hour",
    "duration-minute",
    "speed-kilometer-per-hour",
    "speed-meter-per-second",
    "temperature-celsius",
    "energy-kilowatt-hour",
    "digital-gigabyte",
)
"""Units of the road sign, the recipe, the calendar and the weather report."""

COUNTS: tuple[int | float, ...] = (
    *range(1, 13),
    1.5,
    2.5,
    3.5,
    15,
    20,
    21,
    24,
    25,
    30,
    32,
    40,
    50,
    60,
    75,
    90,
    100,
)
"""Numbers of units: few, so that they are learnt, but every plural category of the five languages occurs
(Russian: 1 and 21 one, 2 and 32 few, 5 many, 1.5 other; French 1.5 is singular)."""
