"""From the rows of a declared task to its examples."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from warmup_bench.contracts.errors import UserError
from warmup_bench.contracts.task import Example
from warmup_bench.data.declaration import Columns, Declaration
from warmup_bench.data.fields import columns_of, plain, text_of, value_of
from warmup_bench.data.files import Paths
from warmup_bench.data.lines import text_lines
from warmup_bench.data.multiple_choice import LETTERS, question
from warmup_bench.data.tables import Row, read_rows


def read_examples(part: Declaration, split: str, paths: Paths) -> list[Example]:
    """The examples of one split.

    Raises:
        UserError: A file is damaged or lacks a column, a value is not what it is said to be, an id stands
            for two rows, or no row is left.
    """
    used = [*part.columns.fields(), *part.rows.keep]
    columns = list(dict.fromkeys(column for field in used for column in columns_of(field)))
    rows: Iterable[Row]
    if isinstance(paths, dict):
        rows = _aligned(paths, columns)
    else:
        rows = read_rows(paths, columns, format=part.data.format, field=part.data.field)
    examples: dict[str, Example] = {}
    for number, row in enumerate(rows):
        if not _kept(part, row):
            continue
        example = _example(part, f"{split}-{number:06d}", row)
        if example is None:
            continue
        if example.id in examples:
            raise row.damaged(
                f"the id {example.id!r} stands for two rows", "Name another column as columns.id."
            )
        examples[example.id] = example
    if not examples:
        place = ", ".join(str(path) for path in (paths.values() if isinstance(paths, dict) else paths))
        raise UserError(f"no row of split {split} is left", origin=place, hint="Look at rows.keep.")
    return list(examples.values())


def _aligned(files: dict[str, Path], columns: Sequence[str]) -> Iterator[Row]:
    """Line i of every text file as one row."""
    first = next(iter(files.values()))
    if absent := [column for column in columns if column not in files]:
        raise UserError(
            f"no file is named for the column {absent[0]}",
            origin="data.files",
            hint=f"Columns with a file: {', '.join(files)}.",
        )
    texts = {column: text_lines(path) for column, path in files.items()}
    for column, lines in texts.items():
        if len(lines) != len(texts[next(iter(texts))]):
            raise UserError(
                f"{files[column].name} has {len(lines)} lines and {first.name} has "
                f"{len(texts[next(iter(texts))])}",
                origin=str(files[column]),
                hint="Line i of every file must be the same example.",
            )
    for number, values in enumerate(zip(*texts.values(), strict=True), 1):
        yield Row(dict(zip(texts, values, strict=True)), first, number)


def _kept(part: Declaration, row: Row) -> bool:
    for field, wanted in part.rows.keep.items():
        value = value_of(field, row)
        if value not in (wanted if isinstance(wanted, list) else [wanted]):
            return False
    return True


def _example(part: Declaration, name: str, row: Row) -> Example | None:
    """The example of a row; None where it is empty and may be left out.

    Raises:
        UserError: Something of it is not what it is said to be.
    """
    columns = part.columns
    drop = part.rows.empty == "drop"
    if drop and any(value_of(field, row) is None for field in (columns.source, columns.target) if field):
        return None
    name = row_name(columns.id, row) if columns.id else name
    group = row_name(columns.group, row) if columns.group else None
    source = text_of(columns.source, row)
    if columns.options:
        options = _texts(columns.options, row)
        if len(options) > columns.most_options:
            hint = f"Set columns.most_options: {len(options)}."
            raise row.damaged(f"the number of options is {len(options)}", hint)
        example = question(name, (source,), options, _right(columns, options, row), group)
    elif columns.labels:
        labels = columns.label_names
        example = Example(name, source, _label(columns, row), group=group, options=labels)
    else:
        references = (
            tuple(text for text in _texts(columns.references, row) if text) if columns.references else ()
        )
        target = text_of(columns.target, row) if columns.target else next(iter(references), "")
        example = Example(name, source, target, references, group)
    if example.source and example.target:
        return example
    if drop:
        return None
    empty = "source" if not example.source else "target"
    raise row.damaged(f"the {empty} is empty", "Mend that row, or leave such rows out: rows: {empty: drop}.")


def row_name(field: str, row: Row) -> str:
    """An id or a group."""
    if text := text_of(field, row):
        return text
    raise row.damaged(f"{field} is empty")


def _texts(field: str | list[str], row: Row) -> list[str]:
    if isinstance(field, list):
        return [text_of(one, row) for one in field]
    value = value_of(field, row)
    if not isinstance(value, list):
        raise row.not_a("list", field, value)
    return [plain(item, field, row).strip() for item in value]


def _right(columns: Columns, options: Sequence[str], row: Row) -> int:
    """Which option is right, from 0."""
    value = value_of(columns.answer, row)
    if columns.option_labels:
        known = _texts(columns.option_labels, row)
        if len(known) != len(options):
            raise row.damaged(f"it has {len(options)} options and {len(known)} labels of options")
        return row.place(plain(value, columns.answer, row).strip(), columns.answer, known)
    kind = columns.answer_is or ("number" if isinstance(value, int) and not isinstance(value, bool) else None)
    text = plain(value, columns.answer, row).strip()
    if kind is None:
        raise row.damaged(
            f"column {columns.answer} holds {text!r}, and it is not told what that means",
            "Set columns.answer_is to number, letter or text.",
        )
    letters = list(LETTERS[: len(options)])
    known = {
        "number": [str(number) for number in range(columns.answer_from, columns.answer_from + len(options))],
        "letter": letters,
        "text": list(options),
    }[kind]
    return row.place(text.upper() if kind == "letter" else text, columns.answer, known)


def _label(columns: Columns, row: Row) -> str:
    """The label of a row: by its name, or by its number among them from 0."""
    text = text_of(columns.target, row)
    if isinstance(columns.labels, dict):
        known = columns.labels
    else:
        known = {label: label for label in columns.labels}
        if not any(label.isdigit() for label in columns.labels):
            known |= {str(number): label for number, label in enumerate(columns.labels)}
    if text not in known:
        raise row.damaged(f"column {columns.target} holds {text!r} and not one of {', '.join(known)}")
    return known[text]
