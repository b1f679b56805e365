"""CNN/DailyMail: news articles and their highlights, version 3.0.0 (not anonymised), published splits.

The highlights of an article are lines of one summary; ROUGE-Lsum reads them line by line.
"""

from warmup_bench import Example, LoadRequest, ScaleCard, Splits, Subset, Task, TaskCard
from warmup_bench.data.hub import Repository, check_contents, gather, missing
from warmup_bench.data.tables import read_rows
from warmup_bench.tasks.summarisation import METRICS

REPOSITORY = Repository(
    "hub", "abisee/cnn_dailymail", "96df5e686bee6baa90b8bee7c28b81fa3fa6223d", "cnn_dailymail"
)
_PARTS = {"train": 3, "validation": 1, "test": 1}
_FILES = [
    REPOSITORY.file(f"3.0.0/{split}-{part:05d}-of-{parts:05d}.parquet")
    for split, parts in _PARTS.items()
    for part in range(parts)
]


def load(request: LoadRequest) -> Splits:
    """Load the three splits; examples without an article or without highlights are left out.

    Raises:
        UserError: Files are missing or damaged.
    """
    paths = gather(_FILES, request)
    parts_of = iter(paths)
    splits = []
    for parts in _PARTS.values():
        rows = read_rows([next(parts_of) for _ in range(parts)], ["article", "highlights", "id"])
        texts = (
            (row.text("id"), row.text("article").strip(), row.text("highlights").strip()) for row in rows
        )
        splits.append([Example(name, article, lines) for name, article, lines in texts if article and lines])
    return Splits(*splits, notes=check_contents(_FILES, paths))


def _missing(request: LoadRequest) -> list[str]:
    return missing(_FILES, request)


_LENGTHS = {"train": {"max_source_tokens": 512, "max_target_tokens": 128}, "decode": {"max_tokens": 128}}

TASK = Task(
    card=TaskCard(
        name="cnn_dailymail",
        version=1,
        title="News articles and their highlights",
        licence="Apache-2.0; articles © CNN, Daily Mail",
        citation=(
            "Hermann et al. 2015, Teaching Machines to Read and Comprehend, NeurIPS, arXiv 1506.03340; "
            "See, Liu and Manning 2017, Get To The Point, ACL, doi:10.18653/v1/P17-1099"
        ),
        metrics=METRICS,
        subsets={"en": Subset()},
        scales={
            "small": ScaleCard(
                data=f"CNN/DailyMail 3.0.0 (hub {REPOSITORY.pinned}), the first articles of each split",
                sizes=(20_000, 500, 2000),
                backbone="t5-small",
                settings={
                    "limit": {"train": 20_000, "validation": 500, "test": 2000},
                    "budget": {"steps": 2000},
                    **_LENGTHS,
                },
            ),
            "paper": ScaleCard(
                data=f"CNN/DailyMail 3.0.0 (hub {REPOSITORY.pinned}), every article",
                sizes=(287_113, 13_368, 11_490),
                backbone="t5-base",
                settings={"budget": {"steps": 20_000}, **_LENGTHS},
            ),
        },
    ),
    load=load,
    missing=_missing,
)
