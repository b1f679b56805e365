"""Systems of a comparison from texts: files with a line a segment, or columns of tables."""

from collections.abc import Sequence
from dataclasses import dataclass

from warmup_bench.comparison.systems import TEXT_METRICS, System, make_metrics, make_system, named_by
from warmup_bench.contracts.errors import UserError
from warmup_bench.contracts.language import language_code
from warmup_bench.contracts.metric import Metric, references_of_each
from warmup_bench.contracts.settings import Score
from warmup_bench.data.inputs import STDIN, Named, read_named, text_lists_of, texts_of
from warmup_bench.data.texts import damaged_text, decomposed, hidden, outside, tokenised, without_text

TOKENISED = 0.1
"""Share of outputs with marks of a tokeniser, more than in the references, that is told (our choice)."""
UNLIKE = 1.5
"""Times the references' length, or their part of it, that is told (our choice)."""


@dataclass(frozen=True)
class TestSet:
    """What the systems of a comparison share, by segment.

    Attributes:
        name: Of the file that tells how many segments there are.
        references: Those that are there: a file may have an empty line where it has no reference.
        sources, groups: None where they are not given.
        notes: What a reader must know of it.
    """

    __test__ = False  # it is no class of tests
    name: str
    references: tuple[tuple[str, ...], ...]
    sources: tuple[str, ...] | None
    groups: tuple[str | None, ...] | None
    notes: tuple[str, ...]


def read_text_systems(
    systems: Sequence[tuple[str, str]],
    references: Sequence[str],
    *,
    source: str | None = None,
    groups: str | None = None,
    metrics: Sequence[str] = (),
    labels: Sequence[str] = (),
    language: str = "en",
    settings: Score | None = None,
) -> list[System]:
    """Systems from texts; several runs of one system are separated by commas.

    Args:
        systems: Name ("": its file's) and files or columns of each.
        references, source, groups: Files or columns. An empty line of a reference is no reference.
        metrics: By key; (): :data:`TEXT_METRICS`.
        labels: Of a classification.
        language: Of the target.
        settings: Which learned metrics read.

    Raises:
        UserError: Something that can't be read, is empty, has another number of segments than the first
            reference, or a segment without reference.
    """
    given = [
        *references,
        *filter(None, (source, groups)),
        *(part for _, s in systems for part in s.split(",")),
    ]
    if given.count(STDIN) > 1:
        raise UserError("standard input can be read once", origin=STDIN, hint="Name files for the others.")
    test = _read_test_set(references, source, groups, labels)
    code = language_code(language, "--language")
    loaded = make_metrics(
        metrics or TEXT_METRICS, code, labels, references_of_each(test.references), settings
    )
    return [_read_system(name, parts.split(","), test, labels, loaded) for name, parts in systems]


def _read_test_set(
    references: Sequence[str], source: str | None, groups: str | None, labels: Sequence[str]
) -> TestSet:
    files = [read_named(name, "--ref") for name in references]
    first = files[0]
    if not first.values:
        raise UserError(f"{first.name} is empty", origin="--ref")
    for file in files[1:]:
        _require_length(file, first, "--ref")
    columns = [text_lists_of(file, "--ref") for file in files]
    golds = tuple(
        tuple(text for texts in of_one for text in texts if text.strip())
        for of_one in zip(*columns, strict=True)
    )
    for number, texts in enumerate(golds, 1):
        if not texts:
            raise UserError(
                f"{first.unit} {number} has no reference",
                origin=" ".join(f"--ref {file.name}" for file in files),
                hint="Give it one, or leave the segment out of every file.",
            )
    placed = [(f"{first.unit} {i}", text) for i, texts in enumerate(golds, 1) for text in texts]
    if labels and (strange := outside(placed, labels)):
        raise UserError(
            f"references that are none of the labels {', '.join(labels)}: {_some(strange)}",
            origin="--labels",
            hint="References of a classification are its labels, letter for letter.",
        )
    missing = sum(len(texts) < len(columns) for texts in golds)
    notes = [f"{missing} of {len(golds)} segments have fewer references than others"] if missing else []
    notes += _damage(placed, "references")
    sources: tuple[str, ...] | None = None
    documents: tuple[str | None, ...] | None = None
    if source is not None:
        named = read_named(source, "--src")
        sources = tuple(texts_of(_require_length(named, first, "--src"), "--src"))
        empty = without_text((f"{named.unit} {i}", text) for i, text in enumerate(sources, 1))
        notes += [f"the source of {_some(empty)} is empty"] if empty else []
    if groups is not None:
        lists = text_lists_of(_require_length(read_named(groups, "--groups"), first, "--groups"), "--groups")
        documents = tuple((" ".join(texts).strip() or None) for texts in lists)
    return TestSet(first.name, golds, sources, documents, tuple(notes))


def _read_system(
    name: str, parts: Sequence[str], test: TestSet, labels: Sequence[str], metrics: dict[str, Metric]
) -> System:
    outputs, notes = [], list(test.notes)
    for part in parts:
        named = read_named(part, "")
        if len(named.values) != len(test.references):
            raise _unequal(named, test.name, len(test.references), "")
        texts = texts_of(named, "")
        notes += _strange(texts, named, test.references, labels)
        outputs.append(texts)
    return make_system(
        name or named_by(parts),
        outputs,
        test.references,
        metrics,
        sources=test.sources,
        groups=test.groups,
        notes=notes,
    )


def _strange(
    texts: Sequence[str], named: Named, golds: Sequence[Sequence[str]], labels: Sequence[str]
) -> list[str]:
    """What is to be said of the outputs of one run."""
    count = len(texts)
    placed = [(f"{named.unit} {i}", text) for i, text in enumerate(texts, 1)]
    empty = without_text(placed)
    notes = [f"{len(empty):,} of {count:,} outputs are empty ({_some(empty)})"] if empty else []
    notes += _damage(placed, "outputs")
    marked, natural = tokenised(texts), tokenised([texts[0] for texts in golds])
    if marked - natural > TOKENISED * count:
        notes.append(
            f"{marked:,} of {count:,} outputs show marks of a tokeniser (' .', '@@', '▁', '&apos;'), unlike "
            "the references: metrics tokenise by themselves, so give them plain text"
        )
    unseen = hidden(placed)
    if unseen and not hidden(("", text) for texts in golds for text in texts):
        notes.append(f"{len(unseen):,} of {count:,} outputs hold characters of no width ({_some(unseen)})")
    parts, whole = decomposed(texts), decomposed(texts[0] for texts in golds)
    if abs(parts - whole) > TOKENISED * count:
        where = "the outputs" if parts > whole else "the references"
        notes.append(
            f"{where} hold letters in parts (NFD), the other side whole ones (NFC): they never match"
        )
    length = sum(map(len, texts)) / max(1, sum(len(texts[0]) for texts in golds))
    if not labels and not 1 / UNLIKE < length < UNLIKE:
        notes.append(f"its outputs have {length:.2f} times the characters of the references")
    if not labels and all(text in texts for text, texts in zip(texts, golds, strict=True)):
        notes.append("its outputs are the references themselves")
    return notes


def _damage(placed: Sequence[tuple[str, str]], what: str) -> list[str]:
    lost = damaged_text(placed)
    found = f"{len(lost):,} of {len(placed):,} {what} hold U+FFFD ({_some(lost)})"
    return [f"{found}: they were read under another encoding once"] if lost else []


def _some(places: Sequence[str]) -> str:
    return ", ".join(places[:3]) + (f" and {len(places) - 3:,} more" if len(places) > 3 else "")


def _require_length(named: Named, first: Named, origin: str) -> Named:
    if len(named.values) != len(first.values):
        raise _unequal(named, first.name, len(first.values), origin)
    return named


def _unequal(named: Named, name: str, count: int, origin: str) -> UserError:
    return UserError(
        f"{named.name} has {len(named.values)} {named.unit}s, {name} has {count}",
        origin=origin,
        hint="Line i of every file must be the same segment; plain text can't be intersected.",
    )
