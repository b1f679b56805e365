"""Findings about test examples that the model is trained on."""

from collections.abc import Iterator

from warmup_bench.check.finding import CheckResult, by_share, percent
from warmup_bench.check.overlap import NEAR, ORDER, Pair, exact_duplicates, near_duplicates
from warmup_bench.check.subject import Subject

EXACT_FAILS = 0.01
"""Share of test examples in train from which on a table would be wrong (our choice); any is a warning."""
NEAR_WARNS, NEAR_FAILS = 0.01, 0.2
"""The same of sources that nearly stand in train; data as published often have a few."""


def check_leaks(subject: Subject) -> Iterator[CheckResult]:
    """Findings ``train/test`` (source and target alike) and ``near duplicates`` (sources)."""
    train, test = subject.splits.train, subject.splits.test
    exact = exact_duplicates(train, test)
    state = by_share(len(exact) / len(test), warn=0.0, fail=EXACT_FAILS)
    message = _counted(exact, len(test), "stand in train, source and target alike")
    advice = "Drop them from train in the loader." if exact else ""
    yield CheckResult("train/test", state, message or "no test example stands in train", advice)
    near = near_duplicates(train, test)
    state = by_share(len(near) / len(test), warn=NEAR_WARNS, fail=NEAR_FAILS)
    message = _counted(
        near, len(test), f"share {NEAR:.0%} or more of their {ORDER}-grams with a training source"
    )
    none = f"no test source shares {NEAR:.0%} of its {ORDER}-grams with a training source"
    advice = "Look at the pairs: split by document, or drop the training examples." if state != "ok" else ""
    yield CheckResult("near duplicates", state, message or none, advice)
    repeated = len(test) - len({(example.source, example.golds) for example in test})
    if repeated:
        yield CheckResult(
            "repetitions",
            "warning",
            f"{repeated:,} test examples repeat another ({percent(repeated / len(test))})",
            "Every test takes them for independent: keep one of each.",
        )


def _counted(pairs: list[Pair], of: int, what: str) -> str:
    """How many pairs there are, and the worst of them; empty where there is none."""
    if not pairs:
        return ""
    shown = "; ".join(
        f"{p.test} and {p.train}" + (f" ({p.share:.0%})" if p.share < 1 else "")
        for p in sorted(pairs, key=lambda p: -p.share)[:3]
    )
    return f"{len(pairs):,} of {of:,} test examples ({percent(len(pairs) / of)}) {what}: {shown}"
