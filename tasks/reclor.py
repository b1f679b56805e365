"""ReClor: logical reasoning questions of the GMAT and LSAT, four options.

The answers of the published test set are kept by its authors. So the published validation set (500) is our
test set, and 500 questions of the published training set, drawn once, validate. The archive is locked with
the authors' terms (non-commercial research), so nothing is fetched: it comes through ``--data-dir``.
"""

from warmup_bench import Example, LoadRequest, ScaleCard, Splits, Subset, Task, TaskCard
from warmup_bench.data.hub import Repository, check_contents, gather, missing
from warmup_bench.data.multiple_choice import LETTERS, METRICS, question
from warmup_bench.data.splitting import held_out
from warmup_bench.data.tables import Row, read_rows

REPOSITORY = Repository(
    "local",
    "ReClor",
    "",
    "reclor_data",
    access=(
        "ReClor is for non-commercial research: 1. read its terms at https://whyu.me/reclor; 2. fetch "
        "reclor_data.zip from the releases of https://github.com/yuweihao/reclor and unpack it with the "
        "password that its README gives; 3. pass --data-dir DIR, DIR being the folder with train.json and "
        "val.json or the one above it."
    ),
)
SEED = 20250218
HELD_OUT = 500
_FILES = [REPOSITORY.file("train.json"), REPOSITORY.file("val.json")]


def load(request: LoadRequest) -> Splits:
    """Load the splits; ids are the data set's own (``train_12``, ``val_3``).

    Raises:
        UserError: Files are missing or damaged.
    """
    columns = ["id_string", "context", "question", "answers", "label"]
    paths = gather(_FILES, request)
    published_train, test = ([_question(row) for row in read_rows(path, columns)] for path in paths)
    notes = check_contents(_FILES, paths)
    return Splits(*held_out(published_train, HELD_OUT, SEED), test, notes=notes)


def _question(row: Row) -> Example:
    options = row.texts("answers")
    answer = row.number_in("label", len(options))
    return question(row.text("id_string"), (row.text("context"), row.text("question")), options, answer)


def _missing(request: LoadRequest) -> list[str]:
    return missing(_FILES, request)


_DATA = "ReClor from --data-dir; the published validation set is the test set"
_SETTINGS = {"train": {"max_source_tokens": 512, "max_target_tokens": 8}, "decode": {"max_tokens": 4}}

TASK = Task(
    card=TaskCard(
        name="reclor",
        version=1,
        title="ReClor, logical reading comprehension, four options",
        licence="non-commercial research only",
        citation=(
            "Yu, Jiang, Dong and Feng 2020, ReClor: A Reading Comprehension Dataset Requiring Logical "
            "Reasoning, ICLR, arXiv 2002.04326"
        ),
        metrics=METRICS,
        labels=LETTERS[:4],
        subsets={
            "en": Subset(note="tested on the published validation set: the test answers are not public")
        },
        scales={
            "small": ScaleCard(
                data=_DATA,
                access="its terms come first",
                sizes=(4138, HELD_OUT, 500),
                backbone="t5-small",
                settings={"budget": {"steps": 1000}, **_SETTINGS},
            ),
            "paper": ScaleCard(
                data=_DATA,
                access="its terms come first",
                sizes=(4138, HELD_OUT, 500),
                backbone="t5-base",
                settings={"budget": {"steps": 2000}, **_SETTINGS},
            ),
        },
    ),
    load=load,
    missing=_missing,
)
