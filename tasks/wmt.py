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
from pathlib import Path

from warmup_bench import Example, LoadRequest, ScaleCard, Splits, Task, TaskCard, numbered
from warmup_bench.data.hub import File, Repository, gather, missing
from warmup_bench.data.splitting import shuffled, without_held_out
from warmup_bench.data.tables import Row, read_rows
from warmup_bench.tasks.mini import cldr
from warmup_bench.tasks.mini.published import published
from warmup_bench.tasks.translation import METRICS, PAPER_DIRECTIONS, languages, subsets

TRAIN, VALIDATION, TEST = 8000, 500, 600
SEED = 20250218

NEWS = Repository(
    "hub", "Helsinki-NLP/news_commentary", "3b12f41e756af94f5a0af0a00a970528427d9ff9", "news_commentary"
)
"""The hub's own conversion to parquet (branch refs/convert/parquet) of a data set that was a script."""
FLORES = Repository(
    "hub",
    "openlanguagedata/flores_plus",
    "5fec6c13f9e5a4db2f745d4ec0d7c9721ddc4f06",  # version 4.6
    "flores_plus",
    access=(
        "To get access to FLORES+: 1. sign in at "
        "https://huggingface.co/datasets/openlanguagedata/flores_plus and accept its terms (at once); "
        "2. make a token at https://huggingface.co/settings/tokens "
        "and run 'hf auth login', or set HF_TOKEN; 3. run the same command again."
    ),
)
_FLORES_CODES = {
    "en": "eng_Latn",
    "de": "deu_Latn",
    "fr": "fra_Latn",
    "ru": "rus_Cyrl",
    "zh": "cmn_Hans",
}


def load(request: LoadRequest) -> Splits:
    """Load or make the three splits of one direction.

    Raises:
        UserError: Files are missing or damaged, or FLORES+ is not accessible.
    """
    if request.scale == "mini":
        return _mini(request.subset)
    flores = gather(_flores_files(request.subset), request)
    validation, test = _flores("dev", *flores[:2]), _flores("devtest", *flores[2:])
    return Splits(without_held_out(news_commentary(request), validation, test), validation, test)


def news_files(subset: str) -> list[File]:
    """The training file of a direction."""
    pair = "-".join(sorted(languages(subset)))
    return [NEWS.file(f"{pair}/train/0000.parquet", f"{pair}.parquet")]


def news_commentary(request: LoadRequest) -> list[Example]:
    """News Commentary in the request's direction, shuffled once.

    Pairs with an empty side or with two equal ones are left out.

    Raises:
        UserError: The file is missing or damaged.
    """
    source, target = languages(request.subset)
    rows = read_rows(gather(news_files(request.subset), request), ["translation"])
    pairs = enumerate(_sides(row, source, target) for row in rows)
    return shuffled((Example(f"news-{i:06d}", a, b) for i, (a, b) in pairs if a and b and a != b), SEED)


def _sides(row: Row, source: str, target: str) -> tuple[str, str]:
    """Texts of a pair; what is not there is empty."""
    pair = row.values["translation"]
    if not isinstance(pair, dict):
        raise row.damaged("column translation holds no pair of texts")
    return (pair.get(source) or "").strip(), (pair.get(target) or "").strip()


def _missing(request: LoadRequest) -> list[str]:
    if request.scale == "mini":
        return []
    return missing([*news_files(request.subset), *_flores_files(request.subset)], request)


def _flores_files(subset: str) -> list[File]:
    codes = [_FLORES_CODES[language] for language in languages(subset)]
    return [FLORES.file(f"{split}/{code}.jsonl") for split in ("dev", "devtest") for code in codes]


def _flores(split: str, source: Path, target: Path) -> list[Example]:
    """Sentences with one id in both languages, by id; the article (its address) is the group."""
    texts = {int(row.name("id")): row.text("text").strip() for row in read_rows(target, ["id", "text"])}
    rows = sorted(read_rows(source, ["id", "text", "url"]), key=lambda row: int(row.name("id")))
    numbered_rows = ((int(row.name("id")), row) for row in rows)
    return [
        Example(f"{split}-{i:04d}", row.text("text").strip(), texts[i], group=row.text("url"))
        for i, row in numbered_rows
        if i in texts
    ]


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
                settings={"limit": {"train": 20_000, "validation": 500}, "budget": {"steps": 2000}},
            ),
            "paper": ScaleCard(
                data=f"{_REAL}; 223,153 pairs for German, 209,479 French, 190,104 Russian, 69,206 Chinese",
                sizes=(223_153, 997, 1012),
                licence=_REAL_LICENCE,
                access="its terms come first",
                backbone="mt5-base",
                settings={"budget": {"steps": 20_000}},
            ),
        },
    ),
    load=load,
    missing=_missing,
)
