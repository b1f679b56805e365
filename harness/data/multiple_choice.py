"""What the multiple-choice tasks share: how a question is written, and by which metrics it is judged."""

import re
from collections.abc import Sequence

from warmup_bench.contracts.errors import UserError
from warmup_bench.contracts.task import Example

LETTERS = tuple("ABCDEFGHIJ")
METRICS = ("accuracy", "macro-f1", "ranked-accuracy", "ranked-macro-f1", "unparsed")
_PRINTED = re.compile(r"([A-Ea-e])[.)?]\s*")


def in_printed_order(options: Sequence[str]) -> list[str]:
    """Options in the order of the letters that are printed before them ("B.", "b)", "B?"), without these.

    A gold letter names a printed letter, wherever its option stands. An option without a letter has one of
    those that are left, in order. Where one letter is printed twice, the places count for all.
    """
    letters = LETTERS[: len(options)]
    printed, texts = [], []
    for option in options:
        found = _PRINTED.match(option)
        letter = found[1].upper() if found else ""
        printed.append(letter if letter in letters else "")
        texts.append(option[found.end() :] if found and letter in letters else option)
    stated = [letter for letter in printed if letter]
    if len(set(stated)) < len(stated):
        return texts
    free = iter([letter for letter in letters if letter not in stated])
    places = [letter or next(free) for letter in printed]
    return [text for _, text in sorted(zip(places, texts, strict=True))]


def question(
    name: str, parts: Sequence[str], options: Sequence[str], answer: int, group: str | None = None
) -> Example:
    """A question with lettered options, one a line; the target is the letter of the right one.

    Args:
        name: Id of the example.
        parts: Context and question, each on a line of its own; empty ones are left out.
        options: Texts of the options, two to ten.
        answer: Index of the right one.
        group: Document that the question belongs to.

    Raises:
        UserError: The answer is none of the options, or there are too many of them.
    """
    if not 2 <= len(options) <= len(LETTERS) or not 0 <= answer < len(options):
        raise UserError(
            f"example {name} has {len(options)} options and the answer number {answer + 1}",
            hint="The file is damaged, or another version of the data set.",
        )
    letters = LETTERS[: len(options)]
    texts = [" ".join(text.split()) for text in (*parts, *options)]
    lines = [text for text in texts[: len(parts)] if text]
    lines += [f"{letter}) {text}" for letter, text in zip(letters, texts[len(parts) :], strict=True)]
    return Example(name, "\n".join(lines), letters[answer], group=group, options=letters)
