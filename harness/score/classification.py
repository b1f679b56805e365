"""Accuracy and macro-F1 of labels, generated or ranked, and how a label is read from what a model wrote.

Each is given twice: for the label that the model wrote, which needs a parser, and for the option to which it
gives the highest probability (:mod:`warmup_bench.decode.ranking`), which needs none.
"""

import re
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import ClassVar

import numpy as np

from warmup_bench.contracts.errors import UserError
from warmup_bench.contracts.learned_metric import mean_percent
from warmup_bench.contracts.metric import FloatArray, MetricContext
from warmup_bench.score.inputs import check_inputs

_PARSER = "strict-v2"
"""Name of the rules of :func:`parse_label` in signatures; raise it when they change."""
GENERATED, RANKED = "hypothesis", "ranked"
"""Columns of the stored predictions: what was written, and the likeliest option."""


def parse_label(text: str, labels: Sequence[str]) -> str | None:
    """Return the label that a generated text states, or None (our choice of rules).

    In this order, first of the text as it stands, then with parentheses in place of the marks of Markdown
    and LaTeX around a label (``**A**``, ``$B$``, ``\\boxed{C}``): the text, stripped, is a label; it begins
    with ``(label)``; it begins with a label and then something that is not part of a word, the longest label
    first (a single letter must not be followed by a space, unless by one and a reason: "A dog" states no
    label, "A) a dog" and "A because" do); it is one letter that is a label in the other case. At last: it
    says somewhere which label the answer is, and not two of them ("The answer is A", "Answer: B").
    """
    answer = text.strip()
    bracketed = _bracketed(answer, tuple(labels))
    for read in (answer, bracketed):
        if read in labels:
            return read
        if opening := _opening(tuple(labels)).match(read):
            return opening["bracketed"] or opening["plain"]
        other_case = [label for label in labels if len(label) == 1 and label.lower() == read.lower()]
        if len(other_case) == 1:
            return other_case[0]
    stated = {found["stated"] for found in _statement(tuple(labels)).finditer(bracketed)}
    return stated.pop() if len(stated) == 1 else None


@dataclass(frozen=True, slots=True)
class _LabelMetric(ABC):
    """A metric of the labels that the texts state, a share in 0..100 unless it says otherwise.

    Attributes:
        title: Column name of what was written; that of ranked options says so.
        rule: Begin of the signature.
        context: Its ``labels`` are the closed set that predictions are read against.
        reads: Column of the predictions that holds the answer.
    """

    title: ClassVar[str]
    rule: ClassVar[str] = ""
    higher_is_better: ClassVar[bool] = True
    best: ClassVar[float] = 100.0
    context: MetricContext
    reads: str = GENERATED

    def __post_init__(self) -> None:
        if not self.context.labels:
            raise UserError(
                f"{self.name} needs a closed set of labels", hint="Name them in the task card's `labels`."
            )

    @property
    def name(self) -> str:
        """Column name."""
        return self.title if self.reads == GENERATED else f"ranked {self.title}"

    def notes(self, hypotheses: Sequence[str], references: Sequence[Sequence[str]]) -> list[str]:
        """How many texts state no label: they are wrong answers here, and may be right ones."""
        if self.reads != GENERATED:
            return []
        unread = [text for text in hypotheses if parse_label(text, self.context.labels) is None]
        if not unread:
            return []
        share = f"{len(unread)} of {len(hypotheses)} outputs ({len(unread) / len(hypotheses):.0%})"
        return [f"{share} state no label and count as wrong, such as '{unread[0].strip()[:40]}'"]

    @abstractmethod
    def segment_statistics(
        self, hypotheses: Sequence[str], references: Sequence[Sequence[str]], sources: Sequence[str]
    ) -> FloatArray:
        """Return statistics [examples, k]."""

    def aggregate(self, statistics: FloatArray) -> FloatArray:
        """Return 100 times the share of summed statistics [..., 2], with the shape [...]."""
        return mean_percent(statistics)

    def signature(self) -> str:
        """Return the metric's own rule, the number of labels and how the answer was found."""
        answer = f"parse:{_PARSER}" if self.reads == GENERATED else "rank:log-probability"
        return f"{self.rule}labels:{len(self.context.labels)}|{answer}"


class Accuracy(_LabelMetric):
    """Share of right labels in 0..100, scikit-learn's ``accuracy_score``. No label read is wrong."""

    __slots__ = ()
    title: ClassVar[str] = "accuracy"

    def segment_statistics(
        self, hypotheses: Sequence[str], references: Sequence[Sequence[str]], sources: Sequence[str]
    ) -> FloatArray:
        """Return [examples, 2]: 1 where the label is right, and 1 to count the example."""
        predicted, true = _one_hot(hypotheses, references, self.context.labels)
        return np.stack([(predicted * true).sum(axis=1), np.ones(len(true))], axis=1)


class MacroF1(_LabelMetric):
    """Mean over labels of F1 in 0..100, scikit-learn's ``f1_score(average="macro", zero_division=0)``.

    A text without a label counts for no predicted class. Each label weighs the same, seen in the test set or
    not.
    """

    __slots__ = ()
    title: ClassVar[str] = "macro-F1"
    rule: ClassVar[str] = "average:macro|zero_division:0|"

    def notes(self, hypotheses: Sequence[str], references: Sequence[Sequence[str]]) -> list[str]:
        """Of labels that no reference has, too: their F1 is 0, however right the answers are."""
        seen = {texts[0] for texts in references}
        absent = [label for label in self.context.labels if label not in seen]
        found = _LabelMetric.notes(self, hypotheses, references)
        if absent:
            most = 100 * (1 - len(absent) / len(self.context.labels))
            few = f"{len(absent)} of {len(self.context.labels)} labels stand in no reference"
            found.append(f"{few} ({', '.join(absent)}), so that right answers alone would have {most:.0f}")
        return found

    def segment_statistics(
        self, hypotheses: Sequence[str], references: Sequence[Sequence[str]], sources: Sequence[str]
    ) -> FloatArray:
        """Return counts [examples, 3 labels]: right, predicted and true of each label."""
        predicted, true = _one_hot(hypotheses, references, self.context.labels)
        return np.concatenate([predicted * true, predicted, true], axis=1)

    def aggregate(self, statistics: FloatArray) -> FloatArray:
        """Return 100 times macro-F1 of summed counts [..., 3 labels], with the shape [...].

        ``F1 = 2 right / (predicted + true)`` of each label, 0 where a label is neither.
        """
        right, predicted, true = np.split(statistics, 3, axis=-1)
        marked = predicted + true
        score: FloatArray = 100.0 * (2.0 * right / np.where(marked > 0, marked, 1.0)).mean(axis=-1)
        return score


class Unparsed(_LabelMetric):
    """Share of texts in 0..100 that state no label: each counts as wrong in accuracy and macro-F1."""

    __slots__ = ()
    title: ClassVar[str] = "unparsed"
    higher_is_better: ClassVar[bool] = False
    best: ClassVar[float] = 0.0

    def segment_statistics(
        self, hypotheses: Sequence[str], references: Sequence[Sequence[str]], sources: Sequence[str]
    ) -> FloatArray:
        """Return [examples, 2]: 1 where no label is stated, and 1 to count the example."""
        check_inputs(hypotheses, references)
        unread = [parse_label(text, self.context.labels) is None for text in hypotheses]
        return np.stack([np.array(unread, dtype=np.float64), np.ones(len(unread))], axis=1)


RankedAccuracy = partial(Accuracy, reads=RANKED)
RankedMacroF1 = partial(MacroF1, reads=RANKED)


def _one_hot(
    hypotheses: Sequence[str], references: Sequence[Sequence[str]], labels: tuple[str, ...]
) -> tuple[FloatArray, FloatArray]:
    """Predicted and true labels as 0/1 [examples, labels]; a row of zeros where none was read."""
    check_inputs(hypotheses, references)
    column = {label: c for c, label in enumerate(labels)}
    predicted, true = np.zeros((2, len(hypotheses), len(labels)))
    for i, (hypothesis, golds) in enumerate(zip(hypotheses, references, strict=True)):
        if len(golds) != 1 or golds[0] not in column:
            raise UserError(
                f"example number {i} has the references {list(golds)}, not one of the labels {list(labels)}",
                hint="Give each example exactly one label of the task card as its reference.",
            )
        true[i, column[golds[0]]] = 1.0
        label = parse_label(hypothesis, labels)
        if label is not None:
            predicted[i, column[label]] = 1.0
    return predicted, true


_REASON = r"(?:because|since|is (?:the )?(?:correct|right|best|answer))\b"
"""What may follow a single letter at the start of a text, which would be an article or a name else."""


def _bracketed(text: str, labels: tuple[str, ...]) -> str:
    """The text with parentheses in place of other marks around its labels."""
    return _marked(labels).sub(lambda found: f"({found['label']})", text).strip()


def _alternatives(labels: Sequence[str]) -> str:
    """A pattern of the labels, the longest first."""
    return "|".join(map(re.escape, sorted(labels, key=len, reverse=True)))


@lru_cache(maxsize=64)
def _marked(labels: tuple[str, ...]) -> re.Pattern[str]:
    r"""A label between the marks of Markdown or LaTeX: ``**A**``, ``$\boxed{\text{A}}$``, ```A```."""
    opened = r"(?:[*_$`\"“'\[{]|\\(?:boxed|text|textbf|mathbf|mathrm)\s*(?={)|\\[(\[])+"
    closed = r"(?:[*_$`\"”'\]}]|\\[)\]])+"
    label = rf"\(?(?P<label>{_alternatives(labels)})[.):]?"
    return re.compile(rf"(?<!\w){opened}{label}{closed}(?!\w)")


@lru_cache(maxsize=64)
def _statement(labels: tuple[str, ...]) -> re.Pattern[str]:
    """Where a text says which label the answer is; a letter before a word is none ("the answer is a dog")."""
    every = _alternatives(labels)
    end = rf"(?!\w)(?![.,]\d)(?!\)?\s*(?:,|/|&|\bor\b|\band\b)\s*\(?(?:{every})(?!\w))"
    letters = [label for label in labels if len(label) == 1]
    words = [label for label in labels if len(label) > 1]
    kinds = [f"(?:{_alternatives(words)}){end}"] if words else []
    kinds += [rf"(?:{_alternatives(letters)}){end}(?!\s+(?!{_REASON})\w)"] if letters else []
    said = r"(?i:\b(?:answer|choice|option)(?:\s+(?:is|would be|should be)\b\s*:?|\s*[:=])\s*(?:option\s+)?)"
    return re.compile(rf"{said}\(?(?P<stated>{'|'.join(kinds)})")


@lru_cache(maxsize=64)
def _opening(labels: tuple[str, ...]) -> re.Pattern[str]:
    """A label at the start of a text, bracketed or plain, the longest first."""
    longest_first = sorted(labels, key=len, reverse=True)
    # Its last part: the label "1" is not what "1.5" states.
    plain = "|".join(
        re.escape(label) + (rf"(?=[^\w\s]|\s+{_REASON})" if len(label) == 1 else r"(?!\w)") + r"(?![.,]\d)"
        for label in longest_first
    )
    return re.compile(rf"\((?P<bracketed>{_alternatives(labels)})\)|(?P<plain>{plain})")
