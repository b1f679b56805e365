"""Logical multiple choice: a question with four options, the target is the right letter.

Scale ``mini``: reasoning-gym's syllogisms, knights and knaves, and propositional logic, each with three
wrong options that are proved wrong (:mod:`tasks.mini.puzzles`). No puzzle of one split stands in another,
whatever its options, and in each split every letter is right equally often.
"""

import random
from collections.abc import Iterable

from harness.task import Example, LoadRequest, ScaleCard, Splits, Subset, Task, TaskCard
from tasks.mini import puzzles
from tasks.mini.puzzles import LETTERS, MAX_CHARS, Puzzle

SEED = 20250218
# generator -> (items to make, share of test, of validation, of train)
_MIX = (
    (puzzles.syllogisms, 2800, (240, 120, 1600)),
    (puzzles.propositional, 4000, (220, 110, 1500)),
    (puzzles.knights_knaves, 1400, (140, 70, 900)),
)


def _distinct(made: Iterable[Puzzle]) -> list[Puzzle]:
    """The first puzzle of each key that is short enough."""
    found: dict[object, Puzzle] = {}
    for puzzle in made:
        if max(len(puzzle.source(i)) for i in range(len(LETTERS))) <= MAX_CHARS:
            found.setdefault(puzzle.key, puzzle)
    return list(found.values())


def _examples(split: str, chosen: list[Puzzle], rng: random.Random) -> list[Example]:
    rng.shuffle(chosen)
    positions = [i % len(LETTERS) for i in range(len(chosen))]
    rng.shuffle(positions)
    return [
        Example(f"{split}-{i:05d}", puzzle.source(position), LETTERS[position])
        for i, (puzzle, position) in enumerate(zip(chosen, positions, strict=True))
    ]


def load(request: LoadRequest) -> Splits:
    """Make the three splits: 4,000 / 300 / 600 puzzles of three kinds in the same proportions."""
    rng = random.Random(SEED)
    test: list[Puzzle] = []
    validation: list[Puzzle] = []
    train: list[Puzzle] = []
    for make, size, (n_test, n_validation, n_train) in _MIX:
        made = _distinct(make(size, SEED))
        test += made[:n_test]
        validation += made[n_test : n_test + n_validation]
        train += made[n_test + n_validation :][:n_train]
    return Splits(
        train=_examples("train", train, rng),
        validation=_examples("validation", validation, rng),
        test=_examples("test", test, rng),
    )


TASK = Task(
    card=TaskCard(
        name="logiqa",
        version=1,
        title="Logical multiple choice, four options",
        licence="Apache-2.0 (reasoning-gym, which generates the puzzles)",
        citation=(
            "Stojanovski et al. 2025, Reasoning Gym: Reasoning Environments for Reinforcement Learning with "
            "Verifiable Rewards, arXiv 2505.24760; knights and knaves after Xie et al. 2024, arXiv 2410.23123"
        ),
        metrics=("accuracy", "macro-f1"),
        labels=LETTERS,
        subsets={"en": Subset()},
        scales={
            "mini": ScaleCard(
                data="reasoning-gym syllogisms, propositional logic, knights and knaves: 4,000 / 300 / 600",
                settings={
                    "budget": {"steps": 150},
                    "train": {"max_target_tokens": 8},
                    "decode": {"max_tokens": 4},
                },
            )
        },
    ),
    load=load,
)
