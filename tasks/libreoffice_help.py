"""LibreOffice's help: paragraphs written in English and their professional translations.

German, French, Russian and Chinese with English, both ways. A paragraph's translation has the same id on the
same page, so nothing is aligned by guessing. Pages, never paragraphs, are divided among the splits, the same
way in every language; the page is the group.

The files (``en-de.jsonl.gz`` and so on: id ``page#paragraph``, tag, one text a language) are built from
Debian's packages by ``warmup-bench data build libreoffice-help``
(:mod:`warmup_bench.tasks.libreoffice_build`).
"""

import hashlib
from collections.abc import Callable
from pathlib import Path

from warmup_bench import Example, LoadRequest, ScaleCard, Splits, Task, TaskCard
from warmup_bench.data.hub import File, Repository, cache_folder, gather, missing
from warmup_bench.data.splitting import shuffled, without_held_out
from warmup_bench.data.tables import read_rows
from warmup_bench.tasks.translation import METRICS, PAPER_DIRECTIONS, languages, require_scripts, subsets

REPOSITORY = Repository(
    "local",
    "LibreOffice's help",
    "",
    "lohelp",
    access=(
        "On Debian or Ubuntu 'warmup-bench data build libreoffice-help' makes the files; on another machine "
        "pass --data-dir DIR with files that were built there."
    ),
)
SEED = 20250218
TEST, VALIDATION = 0.06, 0.02
"""Shares of the pages."""


def load(request: LoadRequest) -> Splits:
    """Load one direction; training paragraphs of which a text stands in another split are left out.

    Raises:
        UserError: The file is missing or damaged.
    """
    source, target = languages(request.subset)
    (path,) = gather(_files(request.subset), request)
    splits: dict[str, list[Example]] = {"train": [], "validation": [], "test": []}
    pairs = []
    for row in read_rows(path, ["id", source, target]):
        name = row.text("id")
        page = name.partition("#")[0]
        pair = row.text(source), row.text(target)
        if not all(pair) or pair[0] == pair[1]:
            raise row.damaged("it has no translation")
        pairs.append(pair)
        splits[_split_of(page)].append(Example(name, *pair, group=page))
    require_scripts(pairs, (path, path), request.subset)
    validation, test = splits["validation"], splits["test"]
    validation = without_held_out(validation, test)
    return Splits(shuffled(without_held_out(splits["train"], validation, test), SEED), validation, test)


def _split_of(page: str) -> str:
    """The split of a page, by a hash of its name: the same in all languages and releases."""
    drawn = int(hashlib.sha256(f"{SEED} {page}".encode()).hexdigest()[:8], 16) / 16**8
    return "test" if drawn < TEST else "validation" if drawn < TEST + VALIDATION else "train"


def _files(subset: str) -> list[File]:
    other = next(language for language in languages(subset) if language != "en")
    return [REPOSITORY.file(f"en-{other}.jsonl.gz")]


def _missing(request: LoadRequest) -> list[str]:
    return missing(_files(request.subset), request)


def build(folder: Path | None, say: Callable[[str], None]) -> Path:
    """Make the four files from Debian's packages; returns their folder.

    Raises:
        UserError: As :func:`warmup_bench.tasks.libreoffice_build.build_files`.
    """
    from warmup_bench.tasks.libreoffice_build import build_files

    folder = folder or cache_folder() / REPOSITORY.folder
    build_files(folder, say)
    return folder


_DATA = "paragraphs of LibreOffice's help, from Debian's packages, divided by page (sizes: of release 7.4.7)"
_ACCESS = "run 'data build'"
_LENGTHS = {"train": {"max_source_tokens": 128, "max_target_tokens": 128}, "decode": {"max_tokens": 128}}

TASK = Task(
    card=TaskCard(
        name="libreoffice-help",
        version=1,
        title="LibreOffice's help, eight directions with English",
        licence="MPL-2.0",
        citation="The Document Foundation, LibreOffice Help, https://help.libreoffice.org",
        metrics=METRICS,
        subsets=subsets(PAPER_DIRECTIONS),
        scales={
            "small": ScaleCard(
                data=_DATA,
                sizes=(24_419, 375, 1132),
                access=_ACCESS,
                backbone="mt5-small",
                settings={"budget": {"steps": 1000}, **_LENGTHS},
            ),
            "paper": ScaleCard(
                data=_DATA,
                sizes=(24_419, 375, 1132),
                access=_ACCESS,
                backbone="mt5-base",
                settings={"budget": {"steps": 5000}, **_LENGTHS},
            ),
        },
    ),
    load=load,
    missing=_missing,
    build=build,
)
