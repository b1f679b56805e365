"""SciTLDR-A: from a paper's abstract, one sentence that says what it is about.

The abstract's sentences are joined by spaces. Validation and test examples have several summaries, the
authors' own first: all of them are references, and ROUGE takes the best one. (The script of the data set's
authors takes the reference with the best ROUGE-1 for all three measures, rouge-score and we the best
reference of each measure: ROUGE-1 is the same, the others may be slightly higher here.)
"""

from warmup_bench import Example, LoadRequest, ScaleCard, Splits, Subset, Task, TaskCard
from warmup_bench.data.hub import Repository, check_contents, gather, missing
from warmup_bench.data.tables import read_rows
from warmup_bench.tasks.summarisation import METRICS

REPOSITORY = Repository("github", "allenai/scitldr", "5ccad9c00a60ad75c9e04abf7f27d0f53f983b20", "scitldr")
_FOLDER = "SciTLDR-Data/SciTLDR-A"
_FILES = [
    REPOSITORY.file(f"{_FOLDER}/train.jsonl", "train.jsonl", blob="9700e723611c1ad3bbd0eed236cf3a660688423c"),
    REPOSITORY.file(f"{_FOLDER}/dev.jsonl", "dev.jsonl", blob="dd59586c811a195253149d5640e7b615201281fc"),
    REPOSITORY.file(f"{_FOLDER}/test.jsonl", "test.jsonl", blob="e942c3284688623574c1c7369ff632f836a176c6"),
]


def load(request: LoadRequest) -> Splits:
    """Load the three splits; the id of an example is its paper's on OpenReview, the target its first summary.

    Raises:
        UserError: Files are missing or damaged.
    """
    paths = gather(_FILES, request)
    splits = []
    for path in paths:
        examples = []
        for row in read_rows(path, ["source", "target", "paper_id"]):
            source = " ".join(" ".join(row.texts("source")).split())
            summaries = (" ".join(summary.split()) for summary in row.texts("target"))
            golds = tuple(filter(None, summaries))
            if source and golds:
                examples.append(Example(row.name("paper_id"), source, golds[0], golds))
        splits.append(examples)
    return Splits(*splits, notes=check_contents(_FILES, paths))


def _missing(request: LoadRequest) -> list[str]:
    return missing(_FILES, request)


_DATA = f"SciTLDR-A, abstracts alone (GitHub {REPOSITORY.pinned})"
_LENGTHS = {"train": {"max_source_tokens": 512, "max_target_tokens": 64}, "decode": {"max_tokens": 64}}

TASK = Task(
    card=TaskCard(
        name="scitldr",
        version=1,
        title="One-sentence summaries of scientific papers",
        licence="Apache-2.0",
        citation=(
            "Cachola, Lo, Cohan and Weld 2020, TLDR: Extreme Summarization of Scientific Documents, Findings "
            "of EMNLP, doi:10.18653/v1/2020.findings-emnlp.428"
        ),
        metrics=METRICS,
        subsets={"en": Subset()},
        scales={
            "small": ScaleCard(
                data=_DATA,
                sizes=(1992, 619, 618),
                backbone="t5-small",
                settings={"budget": {"steps": 500}, **_LENGTHS},
            ),
            "paper": ScaleCard(
                data=_DATA,
                sizes=(1992, 619, 618),
                backbone="t5-base",
                settings={"budget": {"steps": 1000}, **_LENGTHS},
            ),
        },
    ),
    load=load,
    missing=_missing,
)
