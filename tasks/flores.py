"""FLORES+ dev and devtest, sentences of Wikimedia articles in every language, for the task ``wmt``.

In a data folder without them FLORES-200's plain texts stand in for them, from which they come
(``dev/deu_Latn.dev``, ``devtest/deu_Latn.devtest``, ``metadata_dev.tsv``, ``metadata_devtest.tsv``).
"""

from collections.abc import Sequence
from pathlib import Path

from warmup_bench import Example, LoadRequest
from warmup_bench.data.hub import File, Repository, check_contents, gather, missing
from warmup_bench.data.lines import damaged, paired_lines
from warmup_bench.data.tables import Row, column_names, read_rows
from warmup_bench.tasks.translation import languages, require_scripts

FLORES = Repository(
    "hub",
    "openlanguagedata/flores_plus",
    "5fec6c13f9e5a4db2f745d4ec0d7c9721ddc4f06",  # version 4.6
    "flores_plus",
    access=(
        "To get access to FLORES+: 1. sign in at "
        "https://huggingface.co/datasets/openlanguagedata/flores_plus and accept its terms (at once); "
        "2. make a token at https://huggingface.co/settings/tokens "
        "and run 'hf auth login', or set HF_TOKEN; 3. run the same command again."
    ),
)
_CODES = {
    "en": "eng_Latn",
    "de": "deu_Latn",
    "fr": "fra_Latn",
    "ru": "rus_Cyrl",
    "zh": "cmn_Hans",
}
FLORES_200 = Repository("local", "FLORES-200", "", "flores200_dataset")
"""Its plain texts, which stand in for FLORES+ where a data folder has them and not those."""
_PLAIN_CODES = _CODES | {"zh": "zho_Hans"}
_SPLITS = ("dev", "devtest")


def files(request: LoadRequest) -> list[File]:
    """What a direction reads: FLORES+, or FLORES-200 where the data folder has that alone."""
    plain, plus = _plain_files(request.subset), _plus_files(request.subset)
    in_folder = request.data_dir is not None and missing(plus, request) and not missing(plain, request)
    return plain if in_folder else plus


def held_out(request: LoadRequest) -> tuple[list[Example], list[Example], tuple[str, ...]]:
    """The sentences of dev and of devtest, and what is to be told of them.

    Raises:
        UserError: Files are missing, damaged or those of other languages, or FLORES+ is not accessible.
    """
    wanted = files(request)
    paths = gather(wanted, request)
    plain = wanted[0].repository is FLORES_200
    read, half = _plain if plain else _plus, len(paths) // 2
    dev = read("dev", paths[:half], request.subset)
    devtest = read("devtest", paths[half:], request.subset)
    notes = check_contents(wanted, paths)
    stand_in = ("FLORES-200's plain texts stand in the place of FLORES+ 4.6.",) if plain else ()
    return dev, devtest, (*stand_in, *notes)


def _plus_files(subset: str) -> list[File]:
    codes = [_CODES[language] for language in languages(subset)]
    return [FLORES.file(f"{split}/{code}.jsonl") for split in _SPLITS for code in codes]


def _plus(split: str, paths: Sequence[Path], subset: str) -> list[Example]:
    """Sentences by their id; the article (its address) is the group."""
    source, target = paths
    rows, translations = _rows(source), _rows(target)
    for path, here, other, there in (
        (target, translations, source, rows),
        (source, rows, target, translations),
    ):
        if absent := sorted(there.keys() - here.keys()):
            shown = ", ".join(map(str, absent[:5]))
            raise damaged(path, f"lacks sentences of {other.name}: ids {shown}")
    pairs = [(row.text("text").strip(), translations[i].text("text").strip()) for i, row in rows.items()]
    require_scripts(pairs, (source, target), subset)
    return [
        Example(f"{split}-{i:04d}", a, b, group=row.text("url"))
        for (i, row), (a, b) in zip(rows.items(), pairs, strict=True)
    ]


def _rows(path: Path) -> dict[int, Row]:
    """The rows of a file by their id, in its order.

    Raises:
        UserError: It is damaged, or says itself that it is in another language.
    """
    code = path.name.partition(".")[0]
    told = [name for name in ("iso_639_3", "iso_15924") if name in column_names(path)]
    found: dict[int, Row] = {}
    for row in read_rows(path, ["id", "text", "url", *told]):
        number = row.number_in("id", 10_000)
        if found.setdefault(number, row) is not row:
            raise row.damaged(f"the id {number} stands there twice")
        if not row.text("text").strip():
            raise row.damaged("column text is empty")
        for name in told:
            if (language := row.text(name)) not in code.split("_"):
                raise row.damaged(f"column {name} holds {language}", "This is the file of another language.")
    return dict(sorted(found.items()))


def _plain_files(subset: str) -> list[File]:
    """Of each split the texts of both languages and the articles."""
    codes = [_PLAIN_CODES[language] for language in languages(subset)]
    return [
        FLORES_200.file(name)
        for split in _SPLITS
        for name in (*(f"{split}/{code}.{split}" for code in codes), f"metadata_{split}.tsv")
    ]


def _plain(split: str, paths: Sequence[Path], subset: str) -> list[Example]:
    """Sentences by line; the article (its address) is the group."""
    source, target, articles = paths
    pairs, groups = paired_lines(source, target), [row.text("URL") for row in read_rows(articles, ["URL"])]
    require_scripts(pairs, (source, target), subset)
    if len(groups) != len(pairs):
        raise damaged(articles, f"has {len(groups)} rows, and {source.name} has {len(pairs)} lines")
    return [
        Example(f"{split}-{i:04d}", a, b, group=group)
        for i, ((a, b), group) in enumerate(zip(pairs, groups, strict=True))
    ]
