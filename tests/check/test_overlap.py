from hypothesis import given
from hypothesis import strategies as st

from warmup_bench.check.overlap import NEAR, ORDER, STOCK, Pair, exact_duplicates, near_duplicates, ngrams
from warmup_bench.contracts.task import Example, numbered

WORDS = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"]


def sources(prefix: str, *texts: str) -> list[Example]:
    return numbered(prefix, [(text, "y") for text in texts])


def test_ngrams_are_words_without_case_and_punctuation() -> None:
    found = list(ngrams("One, two; THREE four - five six seven eight nine."))
    assert found == [tuple(WORDS[0:8]), tuple(WORDS[1:9])]
    assert list(ngrams("One two!")) == [("one", "two")]
    assert list(ngrams("?!")) == []
    assert list(ngrams("他们在北京住了八年")) == [tuple("他们在北京住了八"), tuple("们在北京住了八年")]


def test_exact_needs_source_and_target() -> None:
    train = numbered("t", [("a", "1"), ("b", "2"), ("a", "1")])
    test = numbered("e", [("b", "2"), ("b", "3"), ("a", "1"), ("A", "1")])
    assert exact_duplicates(train, test) == [
        Pair("e-00000", "t-00001", 1.0),
        Pair("e-00002", "t-00000", 1.0),
    ]


def test_the_share_is_of_the_test_source_in_one_training_source() -> None:
    # 12 words have 5 8-grams. The first 11 words alone hold 4 of them, the first 10 only 3.
    text = " ".join(WORDS)
    four, three = " ".join(WORDS[:11]), " ".join(WORDS[:10])
    assert near_duplicates(sources("t", three, f"{four} and more"), sources("e", text)) == [
        Pair("e-00000", "t-00001", 0.8)
    ]
    assert near_duplicates(sources("t", three), sources("e", text)) == []
    # Together two sources hold all five; that is not a duplicate of either.
    assert near_duplicates(sources("t", three, " ".join(WORDS[2:])), sources("e", text)) == []
    assert near_duplicates(sources("t", f"{text} {text}"), sources("e", text)) == [
        Pair("e-00000", "t-00000", 1.0)
    ]


def test_wording_of_the_task_itself_is_not_counted() -> None:
    stock = "answer the question with one letter and write nothing else than that"
    test = sources("e", *(f"{stock} {number} is {number}" for number in range(100)))
    assert near_duplicates(sources("t", f"{stock} 100 is 100"), test) == []
    twin = sources("t", f"{stock} 17 is 17")
    assert near_duplicates(twin, test) == [Pair("e-00017", "t-00000", 1.0)]


@given(
    st.lists(st.lists(st.sampled_from("abc"), min_size=1, max_size=12), min_size=1, max_size=6),
    st.lists(st.lists(st.sampled_from("abc"), min_size=1, max_size=12), min_size=1, max_size=6),
)
def test_against_the_definition(train: list[list[str]], test: list[list[str]]) -> None:
    def grams(words: list[str]) -> set[str]:
        return {"".join(words[i : i + ORDER]) for i in range(max(1, len(words) - ORDER + 1))}

    expected = {}
    for number, words in enumerate(test):
        holders = {gram: sum(gram in grams(other) for other in test) for gram in grams(words)}
        counted = {gram for gram in grams(words) if holders[gram] <= max(1, STOCK * len(test))}
        shares = [len(counted & grams(other)) / len(counted) if counted else 0 for other in train]
        if max(shares) >= NEAR:
            expected[f"e-{number:05d}"] = max(shares)
    found = near_duplicates(
        sources("t", *(" ".join(words) for words in train)),
        sources("e", *(" ".join(words) for words in test)),
    )
    assert {pair.test: pair.share for pair in found} == expected
