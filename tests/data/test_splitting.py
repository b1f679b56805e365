from hypothesis import given
from hypothesis import strategies as st

from warmup_bench.contracts.task import Example, numbered
from warmup_bench.data.splitting import held_out, shuffled, without_held_out


@given(st.integers(0, 50), st.integers(0, 30), st.integers(0, 2**31))
def test_held_out_examples_are_drawn_once(count: int, size: int, seed: int) -> None:
    examples = numbered("x", [(str(i), str(i)) for i in range(count)])
    rest, drawn = held_out(examples, size, seed)
    assert len(drawn) == min(size, count // 2)
    assert sorted(e.id for e in (*rest, *drawn)) == [e.id for e in examples]
    assert (rest, drawn) == held_out(examples, size, seed)


def test_the_seed_makes_the_order() -> None:
    examples = numbered("x", [(str(i), str(i)) for i in range(30)])
    assert shuffled(examples, 1) == shuffled(examples, 1) != shuffled(examples, 2) != examples


def test_a_training_pair_with_a_held_out_text_is_dropped() -> None:
    train = [
        Example("0", "ein Hund", "a dog"),
        Example("1", "Ein  HUND ", "some dog"),
        Example("2", "ein Tier", "A dog"),
        Example("3", "a dog", "ein Hund"),  # the sides are not mixed up
    ]
    assert without_held_out(train, [Example("t", "ein Hund", "a dog")], []) == [train[3]]
