"""Expected texts are what a speaker of each language writes; CLDR agrees with them."""

import datetime as dt

import pytest

from warmup_bench.tasks.mini import cldr, inventory

DAY = dt.date(2024, 3, 5).toordinal()  # a Tuesday
SWISS = ("territory", "CH")


def written(composition: cldr.Composition) -> dict[str, str]:
    return {language: cldr.renderer(language)(composition) for language in cldr.LANGUAGES}


def test_names_and_units_after_a_label() -> None:
    assert written(("label", SWISS, ("unit", "length-kilometer", 5))) == {
        "en": "Switzerland: 5 kilometers",
        "de": "Schweiz: 5 Kilometer",
        "fr": "Suisse: 5 kilomètres",
        "ru": "Швейцария: 5 километров",
        "zh": "瑞士: 5公里",
    }


@pytest.mark.parametrize(
    ("number", "russian"),
    [(1, "1 час"), (2, "2 часа"), (5, "5 часов"), (21, "21 час"), (2.5, "2,5 часа")],
)
def test_russian_plural_forms(number: float, russian: str) -> None:
    assert written(("alone", ("unit", "duration-hour", number)))["ru"] == russian


def test_french_writes_one_and_a_half_in_the_singular() -> None:
    assert written(("alone", ("unit", "duration-hour", 1.5)))["fr"] == "1,5 heure"


def test_full_dates_differ_in_word_order() -> None:
    assert written(("alone", ("date", DAY, "full"))) == {
        "en": "Tuesday, March 5, 2024",
        "de": "Dienstag, 5. März 2024",
        "fr": "mardi 5 mars 2024",
        "ru": "вторник, 5 марта 2024 г.",
        "zh": "2024年3月5日星期二",
    }


def test_relative_times_keep_their_unit() -> None:
    assert written(("alone", ("relative", "day", 10))) == {
        "en": "in 10 days",
        "de": "in 10 Tagen",
        "fr": "dans 10 jours",
        "ru": "через 10 дней",
        "zh": "10天后",
    }
    assert written(("alone", ("relative", "week", -1)))["de"] == "vor 1 Woche"


def test_lists() -> None:
    three = (("territory", "FR"), ("territory", "IT"), ("territory", "JP"))
    assert written(("and", *three))["en"] == "France, Italy, and Japan"
    assert written(("or", *three))["de"] == "Frankreich, Italien oder Japan"
    assert written(("and", *three[:2]))["zh"] == "法国和意大利"
    assert written(("label-and", SWISS, *three[:2]))["fr"] == "Suisse: France et Italie"
    assert written(("label-paren", SWISS, *three[:2]))["ru"] == "Швейцария: Франция (Италия)"


def test_money_and_large_numbers() -> None:
    assert written(("alone", ("amount", "USD", 5))) == {
        "en": "5 US dollars",
        "de": "5 US-Dollar",
        "fr": "5 dollars des États-Unis",
        "ru": "5 долларов США",
        "zh": "5美元",
    }
    assert written(("alone", ("compact", 3_000_000)))["zh"] == "300万"
    assert written(("alone", ("compact", 3_000_000)))["ru"] == "3 миллиона"
    assert written(("alone", ("percent", 25)))["de"] == "25 %"
    assert written(("alone", ("price", "EUR", 7.5)))["fr"] == "7,50 €"


def test_only_plain_spaces() -> None:
    # Babel has U+202F in "PM" times and Russian years, U+00A0 in French units, U+2009 around en dashes.
    pieces = [
        ("moment", DAY, 15, 30),
        ("interval", DAY, DAY + 40, "yMMMd"),
        ("unit", "mass-gram", 5),
        ("price", "EUR", 7.5),
    ]
    texts = [text for piece in pieces for text in written(("alone", piece)).values()]
    assert any("3:30 PM" in text for text in texts)
    assert {c for text in texts for c in text if c.isspace()} == {" "}


def test_every_code_has_a_name_in_every_language() -> None:
    for kind, codes in (
        ("territory", inventory.TERRITORIES),
        ("language", inventory.LANGUAGES),
        ("currency", inventory.CURRENCIES),
    ):
        for code in codes:
            assert all(name != code for name in written(("alone", (kind, code))).values()), code
    for unit in inventory.UNITS:
        for language, text in written(("alone", ("unit", unit, 5))).items():
            assert unit not in text and "5" in text, (language, text)  # Babel falls back to the id


def test_territories_have_plain_names() -> None:
    assert len(set(inventory.TERRITORIES)) == len(inventory.TERRITORIES) == 78
    for code in inventory.TERRITORIES:
        assert "(" not in written(("alone", ("territory", code)))["en"]


def test_atoms_name_what_must_be_known() -> None:
    composition = ("label", ("locale", "de", "CH"), ("relative", "day", -3))
    assert cldr.atoms(composition) == {
        ("pattern", "label"),
        ("piece", "locale"),
        ("piece", "relative"),
        ("language", "de"),
        ("territory", "CH"),
        ("relative", "day ago"),
    }


def test_the_stream_depends_on_the_seed_alone() -> None:
    first, again, other = (list(cldr.corpus(50, seed)) for seed in (1, 1, 2))
    assert first == again
    assert first != other
