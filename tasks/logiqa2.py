"""LogiQA 2.0: LogiQA translated anew, checked and enlarged; four options, published splits.

Where the large training file is not at hand, the subset ``dev-as-train`` trains on most of the dev questions
and validates on the rest: a trial of the machinery, named as what it is in every table.
"""

from warmup_bench import Example, LoadRequest, ScaleCard, Splits, Subset, Task, TaskCard, UserError
from warmup_bench.data.hub import File, Repository, check_contents, gather, missing
from warmup_bench.data.multiple_choice import LETTERS, METRICS, question
from warmup_bench.data.splitting import held_out
from warmup_bench.data.tables import Row, read_rows

REPOSITORY = Repository("github", "csitfun/LogiQA2.0", "955e1d3df6c59d9bfb44d9913da1e1a27ec14e18", "logiqa2")
STAND_IN = "dev-as-train"
SEED = 20250218
HELD_OUT = 200
"""Dev questions that validate where the others train."""
_BLOBS = {
    "train": "5fab7914555755a91b7052de786afdb2f7f0b779",
    "dev": "74f5684c3af968303492c9b861ae86833e172687",
    "test": "13f4afbe492fa2f5c4038165b3d1be227d11dfaa",
}


def load(request: LoadRequest) -> Splits:
    """Load the splits of a subset; ids are the split's name and the data set's number.

    Raises:
        UserError: Files are missing or damaged.
    """
    files = _files(request.subset)
    try:
        paths = gather(files, request)
    except UserError as error:
        if request.subset == STAND_IN or missing(_files(STAND_IN), request):
            raise
        hint = f"{error.hint} For a trial without the training file: --direction {STAND_IN}."
        raise UserError(error.problem, origin=error.origin, hint=hint) from error
    splits = []
    for split, path in zip(_names(request.subset), paths, strict=True):
        rows = read_rows(path, ["answer", "text", "question", "options"], format="json")
        splits.append([_question(f"{split}-{i:05d}", row) for i, row in enumerate(rows)])
    notes = check_contents(files, paths)
    if request.subset != STAND_IN:
        return Splits(*splits, notes=notes)
    dev, test = splits
    # Some questions stand in both published files: none of them may be learned from here.
    tested = {(example.source, example.target) for example in test}
    fresh = [example for example in dev if (example.source, example.target) not in tested]
    return Splits(*held_out(fresh, HELD_OUT, SEED), test, notes=notes)


def _question(name: str, row: Row) -> Example:
    options = row.texts("options")
    answer = row.number_in("answer", len(options))
    return question(name, (row.text("text"), row.text("question")), options, answer)


def _names(subset: str) -> tuple[str, ...]:
    return ("dev", "test") if subset == STAND_IN else ("train", "dev", "test")


def _files(subset: str) -> list[File]:
    return [
        REPOSITORY.file(f"logiqa/DATA/LOGIQA/{split}.txt", f"{split}.jsonl", blob=_BLOBS[split])
        for split in _names(subset)
    ]


def _missing(request: LoadRequest) -> list[str]:
    return missing(_files(request.subset), request)


_DATA = f"LogiQA 2.0, English (GitHub {REPOSITORY.pinned})"
_SETTINGS = {"train": {"max_source_tokens": 512, "max_target_tokens": 8}, "decode": {"max_tokens": 4}}

TASK = Task(
    card=TaskCard(
        name="logiqa2",
        version=1,
        title="LogiQA 2.0, logical multiple choice, four options",
        licence="CC-BY-NC-SA-4.0",
        citation=(
            "Liu, Liu, Cui, Teng, Duan, Zhou and Zhang 2023, LogiQA 2.0: An Improved Dataset for Logical "
            "Reasoning in Natural Language Understanding, IEEE/ACM TASLP 31, doi:10.1109/TASLP.2023.3293046"
        ),
        metrics=METRICS,
        labels=LETTERS[:4],
        subsets={
            "en": Subset(),
            STAND_IN: Subset(
                note=f"a trial: dev questions train, without {HELD_OUT} that validate and the test set's"
            ),
        },
        scales={
            "small": ScaleCard(
                data=_DATA,
                sizes=(12_567, 1569, 1572),
                backbone="t5-small",
                settings={"budget": {"steps": 1000}, "warmup": {"max_tokens": 16}, **_SETTINGS},
            ),
            "paper": ScaleCard(
                data=_DATA,
                sizes=(12_567, 1569, 1572),
                backbone="t5-base",
                settings={"budget": {"steps": 5000}, "warmup": {"max_tokens": 32}, **_SETTINGS},
            ),
        },
    ),
    load=load,
    missing=_missing,
)
