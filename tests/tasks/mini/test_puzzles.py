import itertools

import pytest

from warmup_bench.tasks.mini import puzzles

FIGURES = {  # middle term m: (major premise's terms, minor premise's terms)
    1: (("m", "p"), ("s", "m")),
    2: (("p", "m"), ("s", "m")),
    3: (("m", "p"), ("m", "s")),
    4: (("p", "m"), ("m", "s")),
}
QUANTIFIERS = ("All", "No", "Some", "Some not")


@pytest.mark.parametrize(("import_existence", "valid"), [(False, 15), (True, 24)])
def test_follows_finds_the_valid_syllogisms_of_the_textbooks(import_existence: bool, valid: int) -> None:
    # 256 moods and figures: 15 are valid in modern logic, 24 where every term has members.
    count = sum(
        puzzles.follows([(a, *major), (b, *minor)], (c, "s", "p"), import_existence)
        for major, minor in FIGURES.values()
        for a, b, c in itertools.product(QUANTIFIERS, repeat=3)
    )
    assert count == valid


def test_darapti_needs_members() -> None:
    premises = [("All", "m", "p"), ("All", "m", "s")]
    assert puzzles.follows(premises, ("Some", "s", "p"), import_existence=True)
    assert not puzzles.follows(premises, ("Some", "s", "p"), import_existence=False)


def test_options_are_lettered_with_the_answer_where_it_is_asked_for() -> None:
    puzzle = puzzles.Puzzle("syllogism", "key", "Question?", "yes", ("no", "maybe", "never"))
    assert puzzle.source(0) == "Question?\nA) yes\nB) no\nC) maybe\nD) never"
    assert puzzle.source(2) == "Question?\nA) no\nB) maybe\nC) yes\nD) never"


@pytest.mark.parametrize("make", [puzzles.propositional, puzzles.knights_knaves, puzzles.syllogisms])
def test_generators_follow_their_seed(make: object) -> None:
    first, again, other = (list(make(30, seed)) for seed in (3, 3, 4))
    assert first == again
    assert len(first) > 10
    assert [p.text for p in first] != [p.text for p in other]


def test_negated_variables_leave_no_double_negation() -> None:
    from reasoning_gym.logic.propositional_logic import Expression

    turned = puzzles._turned(Expression.from_string("(¬P ∨ (Q → R))"), {"P": True, "Q": True, "R": False})
    assert puzzles._spoken(turned) == "P or (not Q implies R)"
