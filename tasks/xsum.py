"""One-sentence summarisation.

Scale ``mini``: documentation strings of the standard library, numpy, pandas, torch and transformers, as
installed (:mod:`warmup_bench.tasks.mini.docstrings`): from the body, at most 60 words, write the summary
line. Nothing is shipped; the examples depend on the installed versions, which the data fingerprint shows. The
splits have no source file in common.

Scales ``small`` and ``paper``: XSum itself, BBC articles and their first sentence, with the published splits.
"""

import random
from collections import Counter, defaultdict
from collections.abc import Sequence

from warmup_bench import Example, LoadRequest, ScaleCard, Splits, Subset, Task, TaskCard
from warmup_bench.data.hub import Repository, check_contents, gather, missing
from warmup_bench.data.tables import read_rows
from warmup_bench.tasks.mini import docstrings
from warmup_bench.tasks.mini.docstrings import Documented
from warmup_bench.tasks.mini.published import published
from warmup_bench.tasks.summarisation import METRICS

REPOSITORY = Repository("hub", "EdinburghNLP/xsum", "7d4d486c2f8ef850b1a11aead99b894ff3dd7da9", "xsum")
_FILES = [
    REPOSITORY.file(f"data/{split}-00000-of-00001.parquet", f"{split}.parquet")
    for split in ("train", "validation", "test")
]

TRAIN, VALIDATION, TEST = 6000, 300, 600
SEED = 20250218
OVERLAP = 0.6


def _ngrams(text: str, n: int = 4) -> set[tuple[str, ...]]:
    words = text.casefold().split()
    return {tuple(words[i : i + n]) for i in range(len(words) - n + 1)}


def _without_copies(candidates: Sequence[Documented], held_out: Sequence[Documented]) -> list[Documented]:
    """Drop the candidates whose body is near one held out: more than 60% of its 4-grams stand there too."""
    where: defaultdict[tuple[str, ...], list[int]] = defaultdict(list)
    for i, document in enumerate(held_out):
        for ngram in _ngrams(document.body):
            where[ngram].append(i)
    kept = []
    for document in candidates:
        ngrams = _ngrams(document.body)
        shared = Counter(i for ngram in ngrams for i in where.get(ngram, ()))
        if max(shared.values(), default=0) <= OVERLAP * len(ngrams):
            kept.append(document)
    return kept


def _examples(split: str, documents: Sequence[Documented]) -> list[Example]:
    return [
        Example(f"{split}-{i:05d}", document.body, document.summary, group=document.module)
        for i, document in enumerate(documents)
    ]


def load(request: LoadRequest) -> Splits:
    """Load XSum's three splits without their empty articles, or find docstrings for three splits.

    Raises:
        UserError: Files are missing or damaged.
    """
    if request.scale == "mini":
        return _mini()
    paths = gather(_FILES, request)
    splits = []
    for path in paths:
        rows = read_rows(path, ["document", "summary", "id"])
        texts = ((row.text("id"), row.text("document").strip(), row.text("summary").strip()) for row in rows)
        splits.append(
            [Example(name, document, summary) for name, document, summary in texts if document and summary]
        )
    return Splits(*splits, notes=check_contents(_FILES, paths))


def _missing(request: LoadRequest) -> list[str]:
    return [] if request.scale == "mini" else missing(_FILES, request)


def _mini() -> Splits:
    """Find the docstrings and split them by file: 600 for test, 300 for validation, up to 6,000 for training.

    The group of an example is its file: what one author wrote in one place is swapped and counted together.
    """
    files: defaultdict[str, list[Documented]] = defaultdict(list)
    for document in docstrings.collect():
        files[document.module].append(document)
    rng = random.Random(SEED)
    queue = sorted(files)
    rng.shuffle(queue)

    def take(size: int) -> list[Documented]:
        taken: list[Documented] = []
        while queue and len(taken) < size:
            taken += files[queue.pop()]
        del taken[size:]  # what is left of the last file goes to no split
        rng.shuffle(taken)  # so that the first N are a fair sample
        return taken

    test, validation = take(TEST), take(VALIDATION)
    rest = [document for module in queue for document in files[module]]
    rng.shuffle(rest)
    train = _without_copies(rest, [*test, *validation])[:TRAIN]
    return Splits(
        train=_examples("train", train),
        validation=_examples("validation", validation),
        test=_examples("test", test),
    )


_ARTICLES = {"max_source_tokens": 512, "max_target_tokens": 64}

TASK = Task(
    card=TaskCard(
        name="xsum",
        version=1,
        title="One-sentence summarisation",
        licence="the packages' own: BSD, PSF, Apache",
        citation=(
            "Narayan, Cohen and Lapata 2018, Don't Give Me the Details, Just the Summary!, EMNLP, "
            "doi:10.18653/v1/D18-1206; mini: docstring conventions, Goodger and van Rossum, PEP 257"
        ),
        metrics=METRICS,
        subsets={"en": Subset()},
        scales={
            "mini": ScaleCard(
                data="docstrings of installed packages: body -> summary line",
                sizes=(TRAIN, VALIDATION, TEST),
                published=published("xsum"),
                settings={
                    "warm_start": {"steps": 300},
                    "budget": {"steps": 100},
                    "train": {"max_source_tokens": 96, "max_target_tokens": 40},
                    "decode": {"max_tokens": 40},
                },
            ),
            "small": ScaleCard(
                data=f"XSum (hub {REPOSITORY.pinned}), the first articles of each split",
                sizes=(20_000, 500, 2000),
                licence="not stated; articles © BBC",
                backbone="t5-small",
                settings={
                    "limit": {"train": 20_000, "validation": 500, "test": 2000},
                    "budget": {"steps": 2000},
                    "train": _ARTICLES,
                    "warmup": {"max_tokens": 12},
                },
            ),
            "paper": ScaleCard(
                data=f"XSum (hub {REPOSITORY.pinned}), every article",
                sizes=(204_045, 11_332, 11_334),
                licence="not stated; articles © BBC",
                backbone="t5-base",
                settings={"budget": {"steps": 20_000}, "train": _ARTICLES, "warmup": {"max_tokens": 16}},
            ),
        },
    ),
    load=load,
    missing=_missing,
)
