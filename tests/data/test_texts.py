from warmup_bench.data.texts import damaged_text, outside, tokenised, without_text

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
