from warmup_bench.data.texts import damaged_text, decomposed, hidden, outside, tokenised, without_text

PLACED = [("a", "text"), ("b", " \t"), ("c", "Gr\ufffdn"), ("d", "")]


def test_places_of_what_is_wrong():
    assert without_text(PLACED) == ["b", "d"]
    assert damaged_text(PLACED) == ["c"]
    assert outside([("a", "A"), ("b", "a")], ("A", "B")) == ["b has 'a'"]


def test_marks_of_tokenisers():
    plain = ["It rains.", "C'est vrai ?", "a@b.c", "3 . 5 is odd", "...", "A & B", "user @ home"]
    marked = ["It rains .", "un@@ believ@@ able", "▁It ▁rains", "don &apos;t", "state @-@ of", "state￭@ of"]
    assert tokenised(plain) == 0
    assert [tokenised([text]) for text in marked] == [1] * 6


def test_characters_of_no_width_and_letters_in_parts() -> None:
    assert hidden([("line 1", "a\u200bb"), ("line 2", "ab"), ("line 3", "\u0915\u094d\u200d\u0937")]) == [
        "line 1"
    ]
    assert decomposed(["e\u0301t\u00e9", "\u00e9t\u00e9", "plain"]) == 1
