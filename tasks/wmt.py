"""Translation between English and German, French, Russian, Chinese: the paper's eight directions.

Scale ``mini``: sentences composed from CLDR data through Babel (:mod:`tasks.mini.cldr`), made offline in
about a second and a half. No text is shipped; the examples depend on the CLDR release inside the installed
Babel, which the data fingerprint shows.
"""

from harness.task import LoadRequest, ScaleCard, Splits, Subset, Task, TaskCard, numbered
from tasks.mini import cldr

TRAIN, VALIDATION, TEST = 8000, 500, 600
SEED = 20250218

_DIRECTIONS = ("de-en", "en-de", "fr-en", "en-fr", "ru-en", "en-ru", "zh-en", "en-zh")


def load(request: LoadRequest) -> Splits:
    """Make the three splits of one direction; all directions hold the same compositions in the same order."""
    source, target = request.subset.split("-")
    rows = [text for _, text in cldr.corpus(TEST + VALIDATION + TRAIN, SEED)]
    pairs = [(text[source], text[target]) for text in rows]
    return Splits(
        train=numbered("train", pairs[TEST + VALIDATION :]),
        validation=numbered("validation", pairs[TEST : TEST + VALIDATION]),
        test=numbered("test", pairs[:TEST]),
    )


TASK = Task(
    card=TaskCard(
        name="wmt",
        version=1,
        title="Translation, eight directions with English",
        licence="Unicode-3.0 (CLDR data, through Babel)",
        citation=(
            "Unicode Common Locale Data Repository (CLDR), https://cldr.unicode.org; "
            "Babel, https://babel.pocoo.org"
        ),
        metrics=("bleu", "chrf++"),
        subsets={
            direction: Subset(source_language=direction[:2], target_language=direction[3:])
            for direction in _DIRECTIONS
        },
        scales={"mini": ScaleCard(data="CLDR phrases composed through Babel, 8,000 / 500 / 600 sentences")},
    ),
    load=load,
)
