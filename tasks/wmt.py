"""Translation between English and German, French, Russian, Chinese: the paper's eight directions.

Scale ``mini``: sentences composed from CLDR data through Babel (:mod:`warmup_bench.tasks.mini.cldr`), made
offline in about a second and a half. No text is shipped; the examples depend on the CLDR release inside the
installed Babel, which the data fingerprint shows.

Scales ``small`` and ``paper``: trained on News Commentary v11, the one WMT training corpus that the hub has
for all four pairs (our choice: the paper says WMT without naming the corpus); validated on FLORES+ dev and
tested on FLORES+ devtest, whose articles are the groups. FLORES+ is gated: its terms must be accepted once.
"""

from collections.abc import Mapping
from functools import cache

from warmup_bench import Example, LoadRequest, ScaleCard, Splits, Task, TaskCard, numbered
from warmup_bench.data.hub import File, Repository, check_contents, gather, missing
from warmup_bench.data.splitting import shuffled, without_held_out
from warmup_bench.data.tables import Row, read_rows
from warmup_bench.tasks import flores
from warmup_bench.tasks.flores import FLORES
from warmup_bench.tasks.mini import cldr
from warmup_bench.tasks.mini.published import published
from warmup_bench.tasks.translation import METRICS, PAPER_DIRECTIONS, languages, require_scripts, subsets

TRAIN, VALIDATION, TEST = 8000, 500, 600
SEED = 20250218

NEWS = Repository(
    "hub", "Helsinki-NLP/news_commentary", "bbaf548083e788e0e6d2ca68efc325283fe2aff5", "news_commentary"
)
_NEWS_SHA256 = {
    "de-en": "fc2593eccb50c8fdd6b8083d7f60533df33e6bf1085ea3db7add45628105efad",
    "en-fr": "02a4b61a26dcc428b9e197c512b71663d252289592decd88f4c46ea67ae8ae45",
    "en-ru": "0bc3a404bafa52fcbd54fa768db7dc0e39a6126ac003dd5e3f405bfee487f4cf",
}
"""As the hub's pages tell them; that of en-zh we have not seen."""


def load(request: LoadRequest) -> Splits:
    """Load or make the three splits of one direction.

    Raises:
        UserError: Files are missing or damaged, or FLORES+ is not accessible.
    """
    if request.scale == "mini":
        return _mini(request.subset)
    validation, test, notes = flores.held_out(request)
    train, of_train = news_commentary(request)
    return Splits(without_held_out(train, validation, test), validation, test, notes=(*of_train, *notes))


def news_files(subset: str) -> list[File]:
    """The training file of a direction."""
    pair = "-".join(sorted(languages(subset)))
    names = f"{pair}.parquet", f"{pair}/train/0000.parquet"  # the second: as the hub's bot converted it
    return [NEWS.file(f"{pair}/train-00000-of-00001.parquet", *names, sha256=_NEWS_SHA256.get(pair, ""))]


def news_commentary(request: LoadRequest) -> tuple[list[Example], tuple[str, ...]]:
    """News Commentary in the request's direction, shuffled once, and what is to be told of its file.

    Pairs with an empty side or with two equal ones are left out.

    Raises:
        UserError: The file is missing, damaged or that of other languages.
    """
    files = news_files(request.subset)
    (path,) = paths = gather(files, request)
    pairs = [_sides(row, *languages(request.subset)) for row in read_rows(path, ["translation"])]
    require_scripts(pairs, (path, path), request.subset)
    examples = (Example(f"news-{i:06d}", a, b) for i, (a, b) in enumerate(pairs) if a and b and a != b)
    return shuffled(examples, SEED), check_contents(files, paths)


def _sides(row: Row, source: str, target: str) -> tuple[str, str]:
    """Texts of a pair."""
    pair = row.values["translation"]
    if not isinstance(pair, dict):
        raise row.damaged("column translation holds no pair of texts")
    if absent := {source, target} - pair.keys():
        problem = f"column translation has no {' or '.join(sorted(absent))}, only {', '.join(pair)}"
        raise row.damaged(problem, "This is the file of another pair.")
    texts = Row(pair, row.path, row.number)
    return texts.text(source).strip(), texts.text(target).strip()


def _missing(request: LoadRequest) -> list[str]:
    if request.scale == "mini":
        return []
    return missing([*news_files(request.subset), *flores.files(request)], request)


@cache
def _made() -> list[Mapping[str, str]]:
    """The compositions, each by language: every direction reads them."""
    return [text for _, text in cldr.corpus(TEST + VALIDATION + TRAIN, SEED)]


def _mini(subset: str) -> Splits:
    """Made sentences; all directions hold the same compositions in the same order."""
    source, target = languages(subset)
    pairs = [(text[source], text[target]) for text in _made()]
    return Splits(
        train=numbered("train", pairs[TEST + VALIDATION :]),
        validation=numbered("validation", pairs[TEST : TEST + VALIDATION]),
        test=numbered("test", pairs[:TEST]),
    )


_REAL = f"trained on News Commentary v11 (hub {NEWS.pinned}); FLORES+ dev and devtest (hub {FLORES.pinned})"
_REAL_LICENCE = "training: not stated; FLORES+: CC-BY-SA-4.0"


def _lengths(warmup: int) -> dict[str, dict[str, int]]:
    """Token limits of sources, outputs and warmups, which the paper's tables are run with too."""
    return {
        "train": {"max_source_tokens": 128, "max_target_tokens": 128},
        "warmup": {"max_tokens": warmup},
        "decode": {"max_tokens": 128},
    }


TASK = Task(
    card=TaskCard(
        name="wmt",
        version=1,
        title="Translation, eight directions with English",
        licence="Unicode-3.0 (CLDR)",
        citation=(
            "Unicode Common Locale Data Repository (CLDR), https://cldr.unicode.org; "
            "Babel, https://babel.pocoo.org; News Commentary: Tiedemann 2012, Parallel Data, Tools and "
            "Interfaces in OPUS, LREC; FLORES+: NLLB Team et al. 2024, Nature 630, "
            "doi:10.1038/s41586-024-07335-x, and the Open Language Data Initiative, https://oldi.org"
        ),
        metrics=METRICS,
        subsets=subsets(PAPER_DIRECTIONS),
        scales={
            "mini": ScaleCard(
                data="CLDR phrases composed through Babel",
                sizes=(TRAIN, VALIDATION, TEST),
                published=published("wmt"),
            ),
            "small": ScaleCard(
                data=f"{_REAL}; the first 20,000 of the shuffled training pairs",
                sizes=(20_000, 500, 1012),
                licence=_REAL_LICENCE,
                access="its terms come first",
                backbone="mt5-small",
                settings={
                    "limit": {"train": 20_000, "validation": 500},
                    "budget": {"steps": 2000},
                    **_lengths(12),
                },
            ),
            "paper": ScaleCard(
                data=f"{_REAL}; 223,153 pairs for German, 209,479 French, 190,104 Russian, 69,206 Chinese",
                sizes=(223_153, 997, 1012),
                licence=_REAL_LICENCE,
                access="its terms come first",
                backbone="mt5-base",
                settings={"budget": {"steps": 20_000}, **_lengths(16)},
            ),
        },
    ),
    load=load,
    missing=_missing,
)
