"""One-sentence summarisation.

Scale ``mini``: documentation strings of the standard library, numpy, pandas, torch and transformers, as
installed (:mod:`tasks.mini.docstrings`): from the body, at most 60 words, write the summary line. Nothing
is shipped; the examples depend on the installed versions, which the data fingerprint shows. The splits
have no source file in common.
"""

import random
from collections import Counter, defaultdict
from collections.abc import Sequence

from harness.task import Example, LoadRequest, ScaleCard, Splits, Subset, Task, TaskCard
from tasks.mini import docstrings
from tasks.mini.docstrings import Documented

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
    """Find the docstrings and split them by file: 600 for test, 300 for validation, up to 6,000 for training.

    The group of an example is its file: what one author wrote in one place is resampled together.
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


TASK = Task(
    card=TaskCard(
        name="xsum",
        version=1,
        title="One-sentence summarisation",
        licence=(
            "as the packages': PSF-2.0 (Python), BSD-3-Clause (numpy, pandas, torch), "
            "Apache-2.0 (transformers)"
        ),
        citation=(
            "docstring conventions: Goodger and van Rossum, PEP 257; after the task XSum, Narayan, Cohen and "
            "Lapata 2018, Don't Give Me the Details, Just the Summary!, EMNLP, doi:10.18653/v1/D18-1206"
        ),
        metrics=("rouge1", "rouge2", "rougeL"),
        subsets={"en": Subset()},
        scales={
            "mini": ScaleCard(
                data="docstrings of installed packages: body -> summary line",
                settings={
                    "warm_start": {"steps": 300},
                    "budget": {"steps": 100},
                    "train": {"max_source_tokens": 96, "max_target_tokens": 40},
                    "decode": {"max_tokens": 40},
                },
            )
        },
    ),
    load=load,
)
