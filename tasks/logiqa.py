"""Logical multiple choice: a question with four options, the target is the right letter.

Scale ``mini``: reasoning-gym's syllogisms, knights and knaves, and propositional logic, each with three
wrong options that are proved wrong (:mod:`warmup_bench.tasks.mini.puzzles`). No puzzle of one split stands in
another, whatever its options, and in each split every letter is right equally often.

Scales ``small`` and ``paper``: LogiQA itself, questions of the Chinese civil service examination in English,
with the published splits. Its gold letter names the letter that is printed before an option, and 19 test
questions print theirs in the order A, C, B, D: options are put into the order of their letters. By place, as
we read them up to version 2 and others may, 12 of the 651 test labels are wrong.
"""

import random
from collections.abc import Iterable
from pathlib import Path

from warmup_bench import Example, LoadRequest, ScaleCard, Splits, Subset, Task, TaskCard
from warmup_bench.data.hub import Repository, check_contents, gather, missing
from warmup_bench.data.lines import damaged, text_lines
from warmup_bench.data.multiple_choice import METRICS, in_printed_order, question
from warmup_bench.tasks.mini import puzzles
from warmup_bench.tasks.mini.published import published
from warmup_bench.tasks.mini.puzzles import LETTERS, MAX_CHARS, Puzzle

SEED = 20250218
REPOSITORY = Repository(
    "github", "lgw863/LogiQA-dataset", "ff6c4cbca47627b3ac2da94a29fa28204a167b41", "logiqa"
)
_FILES = [
    REPOSITORY.file("Train.txt", blob="13d2d013ab6fde9d0ca6821c92731c35032195b9"),
    REPOSITORY.file("Eval.txt", blob="d1a5dcfec88386cd7892bf207071a716310e2c48"),
    REPOSITORY.file("Test.txt", blob="edee44d10d49a610fc8e7c89921eb05215aa7fee"),
]
_BLOCK = 8
"""Lines of an example: an empty one, the answer's letter, context, question, four options."""
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
        Example(f"{split}-{i:05d}", puzzle.source(position), LETTERS[position], options=LETTERS)
        for i, (puzzle, position) in enumerate(zip(chosen, positions, strict=True))
    ]


def load(request: LoadRequest) -> Splits:
    """Load or make the three splits.

    Raises:
        UserError: Files are missing or damaged.
    """
    if request.scale == "mini":
        return _mini()
    paths = gather(_FILES, request)
    splits = [_read(split, path) for split, path in zip(("train", "eval", "test"), paths, strict=True)]
    return Splits(*splits, notes=check_contents(_FILES, paths))


def _missing(request: LoadRequest) -> list[str]:
    return [] if request.scale == "mini" else missing(_FILES, request)


def _read(split: str, path: Path) -> list[Example]:
    """Blocks of eight lines; ours are written in the place of the printed letters."""
    lines = text_lines(path)
    while lines and not lines[-1]:
        lines.pop()
    if not lines:
        raise damaged(path, "is empty")
    examples = []
    for start in range(0, len(lines), _BLOCK):
        block = lines[start : start + _BLOCK]
        letter = block[1].upper() if len(block) == _BLOCK else ""
        if block[0] or letter not in LETTERS or not all(block[2:]):
            raise damaged(
                path,
                f"lines {start + 1} to {start + _BLOCK} are not an empty line, a letter from A to D, a "
                "context, a question and four options",
            )
        name = f"{split}-{start // _BLOCK:05d}"
        context, asked, *options = block[2:]
        examples.append(question(name, (context, asked), in_printed_order(options), LETTERS.index(letter)))
    return examples


def _mini() -> Splits:
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


_DATA = (
    f"LogiQA, English (GitHub {REPOSITORY.pinned}), options by their printed letters (since version 3: by "
    "place, 12 of the 651 test labels are wrong, and published figures may rest on those)"
)
_REAL = {"train": {"max_source_tokens": 512, "max_target_tokens": 8}, "decode": {"max_tokens": 4}}

TASK = Task(
    card=TaskCard(
        name="logiqa",
        version=3,
        title="Logical multiple choice, four options",
        licence="Apache-2.0 (reasoning-gym)",
        citation=(
            "Liu, Cui, Liu, Huang, Wang and Zhang 2020, LogiQA: A Challenge Dataset for Machine Reading "
            "Comprehension with Logical Reasoning, IJCAI, arXiv 2007.08124; mini: Stojanovski et al. 2025, "
            "Reasoning Gym: Reasoning Environments for Reinforcement Learning with Verifiable Rewards, arXiv "
            "2505.24760; knights and knaves after Xie et al. 2024, arXiv 2410.23123"
        ),
        metrics=METRICS,
        labels=LETTERS,
        subsets={"en": Subset()},
        scales={
            "mini": ScaleCard(
                data="reasoning-gym syllogisms, propositional logic, knights and knaves",
                sizes=(4000, 300, 600),
                published=published("logiqa"),
                settings={
                    "budget": {"steps": 150},
                    "train": {"max_target_tokens": 8},
                    "decode": {"max_tokens": 4},
                },
            ),
            "small": ScaleCard(
                data=_DATA,
                sizes=(7376, 651, 651),
                licence="not stated, for research",
                backbone="t5-small",
                settings={"budget": {"steps": 1000}, **_REAL},
            ),
            "paper": ScaleCard(
                data=_DATA,
                sizes=(7376, 651, 651),
                licence="not stated, for research",
                backbone="t5-base",
                settings={"budget": {"steps": 3000}, **_REAL},
            ),
        },
    ),
    load=load,
    missing=_missing,
)
