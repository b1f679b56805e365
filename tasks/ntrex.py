"""NTREX-128: news of 2019, 1,997 English sentences of 123 documents and their professional translations.

It is a test set alone. What is tested on it is trained on the task ``wmt``'s News Commentary, of which a
thousand pairs are held out for validation; the document is the group, so that intervals and tests treat the
sentences of one article as what they are.
"""

from warmup_bench import Example, LoadRequest, ScaleCard, Splits, Task, TaskCard, UserError
from warmup_bench.data.hub import File, Repository, check_contents, gather, missing
from warmup_bench.data.lines import damaged, paired_lines, text_lines
from warmup_bench.data.splitting import held_out, without_held_out
from warmup_bench.tasks.translation import METRICS, PAPER_DIRECTIONS, languages, require_scripts, subsets
from warmup_bench.tasks.wmt import NEWS, news_commentary, news_files

NTREX = Repository("github", "MicrosoftTranslator/NTREX", "8561f6a622db9edad1217683e5c83daefd8bb2bf", "ntrex")
HELD_OUT = 1000
SEED = 20250218
_FILES = {  # language -> name, git blob
    "en": ("newstest2019-src.eng.txt", "ebc28ab1a5b3561d7e6fee2173441a7d2bfa1edd"),
    "de": ("newstest2019-ref.deu.txt", "a6ed2993c7bbec223e748d4d5ca5de0fd5cc4ef7"),
    "fr": ("newstest2019-ref.fra.txt", "74d0fa25e19f64580ef1d75d6188bdcd354c5b37"),
    "ru": ("newstest2019-ref.rus.txt", "17b31d0e333ed54b9fbb89a2167995ca3263e605"),
    "zh": ("newstest2019-ref.zho-CN.txt", "20b794983bd59c10adb16714f9a7d880e8a8fba1"),
}
_TEXTS = {
    language: NTREX.file(f"NTREX-128/{name}", name, blob=blob) for language, (name, blob) in _FILES.items()
}
_DOCUMENTS = NTREX.file("DOCUMENT_IDS.tsv", blob="2c8a58dffb487c515f6fbded5a3426e973a83028")
_ALL = [_DOCUMENTS, *_TEXTS.values()]


def load(request: LoadRequest) -> Splits:
    """Load one direction.

    Raises:
        UserError: Files are missing or damaged.
    """
    files = _files(request.subset)
    paths = gather(files, request)
    documents, source, target = paths
    groups, pairs = text_lines(documents), paired_lines(source, target)
    require_scripts(pairs, (source, target), request.subset)
    if "" in groups:
        raise damaged(documents, f"has an empty line, {groups.index('') + 1}")
    if len(groups) != len(pairs):
        raise UserError(
            f"{documents.name} has {len(groups)} lines, the texts have {len(pairs)}",
            origin=str(documents),
            hint="Fetch the files again.",
        )
    test = [
        Example(f"ntrex-{i:04d}", a, b, group=group)
        for i, ((a, b), group) in enumerate(zip(pairs, groups, strict=True))
    ]
    news, notes = news_commentary(request)
    train, validation = held_out(without_held_out(news, test), HELD_OUT, SEED)
    notes = (*check_contents(files, paths, _ALL), *notes)
    return Splits(without_held_out(train, validation), validation, test, notes=notes)


def _missing(request: LoadRequest) -> list[str]:
    return missing([*_files(request.subset), *news_files(request.subset)], request)


def _files(subset: str) -> list[File]:
    return [_DOCUMENTS, *(_TEXTS[language] for language in languages(subset))]


_DATA = f"NTREX-128 (GitHub {NTREX.pinned}), a test set; trained on News Commentary v11 (hub {NEWS.pinned})"

TASK = Task(
    card=TaskCard(
        name="ntrex",
        version=1,
        title="NTREX-128 news, a test set for translation",
        licence="CC-BY-SA-4.0; training data: not stated",
        citation=(
            "Federmann, Kocmi and Xin 2022, NTREX-128: News Test References for MT Evaluation of 128 "
            "Languages, SUMEval, https://aclanthology.org/2022.sumeval-1.4; its English source: Barrault "
            "et al. 2019, Findings of the 2019 Conference on Machine Translation (WMT19), "
            "doi:10.18653/v1/W19-5301"
        ),
        metrics=METRICS,
        subsets=subsets(
            PAPER_DIRECTIONS, "English is the original of every text, also where it is the target"
        ),
        scales={
            "small": ScaleCard(
                data=f"{_DATA}; the first 20,000 of the shuffled training pairs",
                sizes=(20_000, HELD_OUT, 1997),
                backbone="mt5-small",
                settings={"limit": {"train": 20_000}, "budget": {"steps": 2000}},
            ),
            "paper": ScaleCard(
                data=_DATA,
                sizes=(222_153, HELD_OUT, 1997),
                backbone="mt5-base",
                settings={"budget": {"steps": 20_000}},
            ),
        },
    ),
    load=load,
    missing=_missing,
)
