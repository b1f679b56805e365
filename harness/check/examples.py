"""The examples themselves: ids, fields, labels, documents, and whether they fit the model's limits."""

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

from warmup_bench.check.finding import CheckResult, by_share, percent, sample, some, unless_any
from warmup_bench.check.subject import Subject
from warmup_bench.contracts.settings import flattened
from warmup_bench.data.texts import damaged_text, outside, without_text

CUT_WARNS, CUT_FAILS = 0.01, 0.5
"""Shares of texts over a limit (our choice): a warning, and more than half of them."""


def check_sizes(subject: Subject) -> CheckResult:
    """Finding ``data``: how many examples, and their fingerprint."""
    sizes = {name: len(split) for name, split in subject.splits.named().items()}
    shown = ", ".join(f"{size:,} {name}" for name, size in sizes.items())
    if empty := [name for name, size in sizes.items() if not size]:
        return CheckResult(
            "data",
            "failed",
            f"no example in {', '.join(empty)} ({shown})",
            "Training reads train, choices read validation, tables read test: each needs examples.",
        )
    message = f"{shown}; fingerprint {subject.splits.fingerprint()}"
    if subject.splits.notes:
        advice = "Every report of results on these data will say so."
        return CheckResult("data", "warning", f"{message}. {' '.join(subject.splits.notes)}", advice)
    return CheckResult("data", "ok", message)


def check_ids(subject: Subject) -> Iterator[CheckResult]:
    """Finding ``ids``: unique within a split, as every paired test needs."""
    repeated = [
        f"{name}: {identity}"
        for name, split in subject.splits.named().items()
        for identity, count in Counter(example.id for example in split).items()
        if count > 1
    ]
    yield unless_any(
        "ids",
        repeated,
        "ids stand for several examples of a split",
        "Number the examples (warmup_bench.numbered), or keep the ids of the data where they are unique.",
        ok="unique in every split",
    )


def check_fields(subject: Subject) -> Iterator[CheckResult]:
    """Findings ``fields``, ``characters``, ``labels``: every text is whole, and labels are the card's."""
    examples = [
        (f"{name}: {example.id}", example)
        for name, split in subject.splits.named().items()
        for example in split
    ]
    texts = [
        (place, text)
        for place, example in examples
        for text in (example.source, example.target, *example.references)
    ]
    yield unless_any(
        "fields",
        list(dict.fromkeys(without_text(texts))),
        "examples have an empty source, target or reference",
        "Drop them in the loader, or find out why the text is missing.",
        ok="no source, target or reference is empty",
    )
    if lost := list(dict.fromkeys(damaged_text(texts))):
        yield CheckResult(
            "characters",
            "warning",
            f"{len(lost):,} examples hold U+FFFD ({some(lost)})",
            "Read the file under its own encoding: that character stands for one that was lost.",
        )
    labels = subject.card.labels
    if not labels:
        return
    strange = [
        wrong
        for place, example in examples
        for wrong in outside(
            ((place, gold) for gold in {example.target, *example.golds}), example.options or labels
        )
    ]
    counts = Counter(example.target for example in subject.splits.test)
    yield unless_any(
        "labels",
        strange,
        "targets are neither labels of the card nor options",
        "Targets of a classification task are its labels, letter for letter.",
        ok=f"targets of the test split: {', '.join(f'{label} {counts[label]:,}' for label in labels)}",
    )


def check_groups(subject: Subject) -> Iterator[CheckResult]:
    """Finding ``documents``: all test examples or none have one, and none is trained on."""
    test = [example.group for example in subject.splits.test]
    groups = {group for group in test if group is not None}
    if not groups:
        yield CheckResult("documents", "ok", "no groups: every example counts by itself")
        return
    if None in test:
        yield CheckResult(
            "documents",
            "failed",
            f"{test.count(None):,} of {len(test):,} test examples have no group, so that groups are not used",
            "Give every test example its document, or none.",
        )
        return
    shared = sorted(groups & {example.group for example in subject.splits.train})
    if shared:
        yield CheckResult(
            "documents",
            "warning",
            f"{len(shared):,} of {len(groups):,} test documents have examples in train ({some(shared)})",
            "Split by document.",
        )
    else:
        yield CheckResult("documents", "ok", f"{len(groups):,} in test, none of them in train")


def check_lengths(subject: Subject) -> Iterator[CheckResult]:
    """Finding ``lengths``: shares of texts that are cut, by the tokenizer of the scale's backbone."""
    count, tokenizer = _token_counter(subject)
    limits = flattened(subject.settings.model_dump())
    train, test = sample(subject.splits.train), sample(subject.splits.test)
    parts = (
        ("sources", "train.max_source_tokens", [example.source for example in (*train, *test)]),
        ("targets", "train.max_target_tokens", [example.target for example in train]),
        ("references", "decode.max_tokens", [gold for example in test for gold in example.golds]),
    )
    worst, shares, keys = 0.0, [], []
    for name, key, texts in parts:
        lengths, limit = count(texts), limits[key]
        share = sum(length > limit for length in lengths) / len(lengths) if lengths else 0.0
        worst = max(worst, share)
        shares.append(f"{percent(share)} of {name} over {limit} tokens (longest {max(lengths, default=0):,})")
        keys += [key] if share >= CUT_WARNS else []
    advice = f"Raise {' and '.join(keys)} in the scale's settings, or say on the card that texts are cut."
    state = by_share(worst, warn=CUT_WARNS, fail=CUT_FAILS)
    yield CheckResult("lengths", state, f"{', '.join(shares)}, {tokenizer}", advice if keys else "")


def _token_counter(subject: Subject) -> tuple[Callable[[list[str]], list[int]], str]:
    """A function that counts tokens, and whose tokens they are.

    A from-scratch backbone's tokenizer is trained as a run would; a checkpoint's comes from the cache or a
    folder. Where it is not at hand, four bytes are taken for one token, and the name says so.
    """
    from warmup_bench.models.load import quiet_transformers

    quiet_transformers()
    preset = subject.preset
    tokenizer: Any
    if preset.checkpoint is None:
        from warmup_bench.models.tokenizer import train_tokenizer

        texts = [text for example in subject.splits.train for text in (example.source, example.target)]
        tokenizer = train_tokenizer(texts, preset.vocabulary)
    else:
        from transformers import AutoTokenizer

        try:
            tokenizer = AutoTokenizer.from_pretrained(
                preset.checkpoint, revision=preset.revision, local_files_only=True, trust_remote_code=False
            )
        except Exception:  # transformers raises errors of several libraries where files are missing
            source = f"by the estimate of 4 bytes a token: {preset.name}'s tokenizer is not in the cache"
            return lambda texts: [-(-len(text.encode()) // 4) for text in texts], source

    def count(texts: list[str]) -> list[int]:
        return [len(ids) for ids in tokenizer(texts, add_special_tokens=True)["input_ids"]] if texts else []

    return count, f"by {preset.name}'s tokenizer"
