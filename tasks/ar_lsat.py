"""AR-LSAT: analytical reasoning of the Law School Admission Test, 1991 to 2016.

A passage sets the rules of a game and has five to seven questions with five options (45 of the older
training questions have four). The passage is the group: its questions are swapped and counted together.
"""

from pathlib import Path

from warmup_bench import Example, LoadRequest, ScaleCard, Splits, Subset, Task, TaskCard
from warmup_bench.data.hub import Repository, check_contents, gather, missing
from warmup_bench.data.multiple_choice import LETTERS, METRICS, question
from warmup_bench.data.tables import Row, read_rows

REPOSITORY = Repository(
    "github", "zhongwanjun/AR-LSAT", "41f78ca7be3e24602b694b9d6b78105fc0c8bfc6", "ar-lsat"
)
_FILES = [
    REPOSITORY.file("data/AR_TrainingData.json", blob="dab77be38ab6e2a8e95dbb96168677b8d4501456"),
    REPOSITORY.file("data/AR_DevelopmentData.json", blob="e75b9a53273f0a9a7690b8330546ca634273dc5d"),
    REPOSITORY.file("data/AR_TestData.json", blob="b8a918755357a4542e4fe7829d4b0d05d36578d5"),
]


def load(request: LoadRequest) -> Splits:
    """Load the three splits; ids are the data set's own.

    Raises:
        UserError: Files are missing or damaged.
    """
    paths = gather(_FILES, request)
    splits = [_read(path) for path in paths]
    return Splits(*splits, notes=check_contents(_FILES, paths))


def _read(path: Path) -> list[Example]:
    return [
        _question(passage, asked)
        for passage in read_rows(path, ["id", "passage", "questions"])
        for asked in passage.nested("questions", ["id", "question", "options", "answer"])
    ]


def _question(passage: Row, asked: Row) -> Example:
    options = asked.texts("options")
    return question(
        asked.text("id"),
        (passage.text("passage"), asked.text("question")),
        options,
        asked.one_of("answer", LETTERS[: len(options)]),
        group=passage.text("id"),
    )


def _missing(request: LoadRequest) -> list[str]:
    return missing(_FILES, request)


_DATA = f"AR-LSAT (GitHub {REPOSITORY.pinned})"
_SETTINGS = {"train": {"max_source_tokens": 512, "max_target_tokens": 8}, "decode": {"max_tokens": 4}}

TASK = Task(
    card=TaskCard(
        name="ar-lsat",
        version=1,
        title="AR-LSAT, analytical reasoning, five options",
        licence="MIT; questions © LSAC",
        citation=(
            "Zhong, Wang, Tang, Xu, Guo, Wang, Yin, Zhou and Duan 2021, AR-LSAT: Investigating Analytical "
            "Reasoning of Text, arXiv 2104.06598"
        ),
        metrics=METRICS,
        labels=LETTERS[:5],
        subsets={"en": Subset()},
        scales={
            "small": ScaleCard(
                data=_DATA,
                sizes=(1630, 231, 230),
                backbone="t5-small",
                settings={"budget": {"steps": 500}, **_SETTINGS},
            ),
            "paper": ScaleCard(
                data=_DATA,
                sizes=(1630, 231, 230),
                backbone="t5-base",
                settings={"budget": {"steps": 2000}, **_SETTINGS},
            ),
        },
    ),
    load=load,
    missing=_missing,
)
