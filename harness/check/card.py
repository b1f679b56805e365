"""The card: complete, and true to itself."""

import re
from collections.abc import Iterator

from warmup_bench.check.finding import CheckResult
from warmup_bench.contracts.language import known_language
from warmup_bench.contracts.task import Scale, TaskCard

NOTHING = ("", "-", "?", "n/a", "na", "none", "nil", "tba", "tbd", "todo", "fixme", "unknown", "x", "xxx")
"""What stands in a field that nobody has filled in."""
REVISION = re.compile(r"\b[0-9a-f]{7,40}\b")


def check_card(card: TaskCard, scale: Scale) -> Iterator[CheckResult]:
    """Findings ``card``, ``languages`` and ``revision``."""
    licence, data = card.licence_of(scale), card.scales[scale].data
    fields = {"title": card.title, "licence": licence, "citation": card.citation}
    fields[f"scales['{scale}'].data"] = data
    if blank := [name for name, text in fields.items() if text.strip().strip(".").lower() in NOTHING]:
        yield CheckResult(
            "card",
            "failed",
            f"the card says nothing under {', '.join(blank)}",
            "Say whose the data are and what may be done with them: others will publish numbers on them.",
        )
    else:
        yield CheckResult("card", "ok", f"{card.title}; licence {licence}")
    yield _languages(card)
    yield _revision(card.version, scale, data)


def _languages(card: TaskCard) -> CheckResult:
    """Codes that CLDR knows, and a direction's name that says what its languages are."""
    for name, subset in card.subsets.items():
        codes = (subset.source_language, subset.target_language)
        if strange := [code for code in codes if known_language(code) is None]:
            return CheckResult(
                "languages",
                "failed",
                f"subset {name} has the language '{strange[0]}', which CLDR does not know",
                "Use ISO 639-1 codes, such as en, de, zh: metrics choose their tokenizers by them.",
            )
        parts = [known_language(part) for part in name.split("-")]
        if len(parts) == 2 and None not in parts and parts != [known_language(code) for code in codes]:
            return CheckResult(
                "languages",
                "failed",
                f"subset {name} is said to be {codes[0]} to {codes[1]}",
                "Give Subset both languages: metrics choose their tokenizers by the target's.",
            )
    pairs = sorted({f"{s.source_language} to {s.target_language}" for s in card.subsets.values()})
    return CheckResult("languages", "ok", "; ".join(pairs))


def _revision(version: int, scale: Scale, data: str) -> CheckResult:
    """A scale with data from elsewhere has to say which state of them."""
    pinned = "fingerprint" in data or REVISION.search(data)
    if not pinned and scale == "mini":
        data = "made data are pinned by their fingerprint"
    elif not pinned:
        advice = "Name the commit (or a checksum) of the data, and load that one."
        return CheckResult("revision", "warning", f"the data at scale {scale} are not pinned: {data}", advice)
    return CheckResult("revision", "ok", f"version {version}; {data}")
