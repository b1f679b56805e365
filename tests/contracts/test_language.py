import pytest

from warmup_bench.contracts.errors import UserError
from warmup_bench.contracts.language import known_language, language_code


@pytest.mark.parametrize(
    ("code", "tags"),
    [
        ("zh", ("zh", "zh-CN", "zh_TW", "ZH-tw", "zho", "chi", "cmn_Hans", "zho_Hant", "zh-Hant-HK")),
        ("en", ("en", "EN", "en-US", "eng", "eng_Latn", "en-GB-oxendict")),
        ("de", ("de", "deu", "ger", "deu_Latn", "de-AT", "de-1996", " de ")),
        ("ar", ("ar", "arb_Arab")),
        ("nb", ("nb", "nob_Latn")),
        ("es", ("es-419",)),
        ("yue", ("yue_Hant",)),
        ("ace", ("ace_Arab", "ace_Latn")),
    ],
)
def test_one_language_by_its_many_codes(code, tags):
    assert {known_language(tag) for tag in tags} == {code}


@pytest.mark.parametrize(
    ("tag", "hint"),
    [
        ("xx", "Give one language's code"),
        ("de-en", "Give one language's code"),  # a direction, not a language
        ("und", "Give one language's code"),
        ("zh-Qqqq", "Give one language's code"),
        ("", "Give one language's code"),
        ("German", "The code of German is de"),
    ],
)
def test_what_is_no_language_is_named_with_its_option(tag, hint):
    assert known_language(tag) is None
    with pytest.raises(UserError, match=rf"'{tag}' is no language code \(from --language\)\. {hint}"):
        language_code(tag, "--language")
