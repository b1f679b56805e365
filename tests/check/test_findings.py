"""Every way in which a task can be unfit is found, named and advised on."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest

from warmup_bench.check import subject as subjects
from warmup_bench.check.card import check_card
from warmup_bench.check.examples import check_fields, check_groups, check_ids, check_lengths, check_sizes
from warmup_bench.check.finding import CheckResult, by_share, percent, some
from warmup_bench.check.leaks import check_leaks
from warmup_bench.check.repeat import check_repeatable
from warmup_bench.check.scoring import check_scores
from warmup_bench.check.subject import Subject, load_splits
from warmup_bench.check.task import check_task
from warmup_bench.check.trial import check_trial
from warmup_bench.contracts.errors import UserError
from warmup_bench.contracts.preset import Preset
from warmup_bench.contracts.registry import Entry
from warmup_bench.contracts.task import (
    Example,
    LoadRequest,
    ScaleCard,
    Splits,
    Subset,
    Task,
    TaskCard,
    numbered,
)
from warmup_bench.data import registry
from warmup_bench.models.presets import MINI_T5
from warmup_bench.spec.spec import make_settings

NUMBERS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]


def text(number: int) -> str:
    return " ".join(NUMBERS[int(digit)] for digit in f"{number:05d}")


def pairs(start: int, size: int) -> list[tuple[str, str]]:
    return [(text(n), text(n + 1)) for n in range(start, start + size)]


def card(**changes: Any) -> TaskCard:
    facts: dict[str, Any] = {
        "name": "next",
        "version": 1,
        "title": "The next number",
        "licence": "CC0-1.0",
        "citation": "made here",
        "metrics": ("chrf++",),
        "subsets": {"en": Subset()},
        "scales": {"mini": ScaleCard(data="made here")},
    }
    return TaskCard(**facts | changes)


def subject(
    *,
    train: Sequence[Example] | None = None,
    validation: Sequence[Example] | None = None,
    test: Sequence[Example] | None = None,
    preset: Preset = MINI_T5,
    settings: dict[str, Any] | None = None,
    **facts: Any,
) -> Subject:
    splits = Splits(
        train=numbered("train", pairs(0, 60)) if train is None else train,
        validation=numbered("validation", pairs(200, 10)) if validation is None else validation,
        test=numbered("test", pairs(300, 10)) if test is None else test,
    )
    made = card(**facts)
    task = Task(made, lambda request: splits)
    (chosen, *_), (scale, *_) = made.subsets, made.scales
    return Subject(
        reference="next",
        entry=Entry("next", task, "here", "0"),
        request=LoadRequest(chosen, scale),
        splits=splits,
        preset=preset,
        settings=make_settings("here", settings or {}),
    )


def states(findings: Any) -> dict[str, str]:
    return {finding.check: finding.state for finding in findings}


def one(findings: Any, check: str) -> CheckResult:
    (found,) = [finding for finding in findings if finding.check == check]
    assert found.state == "ok" or found.advice
    return found


def expect(findings: Any, check: str, state: str, *words: str) -> CheckResult:
    """The one finding of a check, which has a state and words in its message."""
    finding = one(findings, check)
    assert (finding.state, [part for part in words if part not in finding.message]) == (state, [])
    return finding


def test_shares_and_lists_in_words() -> None:
    assert [by_share(x, warn=0.01, fail=0.5) for x in (0, 0.009, 0.01, 0.49, 0.5)] == [
        *("ok", "ok", "warning", "warning", "failed")
    ]
    assert [by_share(x, warn=0, fail=0.5) for x in (0, 0.001)] == ["ok", "warning"]
    assert [percent(x) for x in (0, 0.0001, 0.0123, 1)] == ["0.0%", "under 0.1%", "1.2%", "100.0%"]
    assert some(["a", "b"]) == "a, b"
    assert some(list("abcde")) == "a, b, c and 2 more"


class TestCard:
    def test_a_full_card_is_ok(self) -> None:
        assert states(check_card(card(), "mini")) == {"card": "ok", "languages": "ok", "revision": "ok"}

    @pytest.mark.parametrize("field", ["licence", "citation", "title"])
    @pytest.mark.parametrize("value", ["", " ", "none", "TODO", "?"])
    def test_a_field_that_says_nothing(self, field: str, value: str) -> None:
        expect(check_card(card(**{field: value}), "mini"), "card", "failed", field)

    def test_data_that_are_not_told(self) -> None:
        found = one(check_card(card(scales={"mini": ScaleCard(data="")}), "mini"), "card")
        assert "scales['mini'].data" in found.message

    @pytest.mark.parametrize(
        ("subset", "message"),
        [
            ({"all": Subset(target_language="deutsch")}, "'deutsch'"),
            ({"de-en": Subset()}, "de-en is said to be en to en"),
            ({"de-en": Subset(source_language="en", target_language="de")}, "de-en is said to be en to de"),
        ],
    )
    def test_languages(self, subset: dict[str, Subset], message: str) -> None:
        expect(check_card(card(subsets=subset), "mini"), "languages", "failed", message)

    def test_a_name_with_a_hyphen_need_not_be_a_direction(self) -> None:
        assert one(check_card(card(subsets={"high-school": Subset()}), "mini"), "languages").state == "ok"

    @pytest.mark.parametrize(
        ("data", "state"),
        [("hub owner/name, the newest", "warning"), ("hub owner/name@37e118600232, train.jsonl", "ok")],
    )
    def test_data_from_elsewhere_are_pinned(self, data: str, state: str) -> None:
        made = card(scales={"small": ScaleCard(data=data)})
        assert one(check_card(made, "small"), "revision").state == state


class TestExamples:
    def test_good_ones(self) -> None:
        made = subject()
        assert "60 train, 10 validation, 10 test" in check_sizes(made).message
        for check in (check_ids, check_fields, check_groups, check_leaks):
            assert set(states(check(made)).values()) == {"ok"}

    def test_an_empty_split(self) -> None:
        found = check_sizes(subject(test=[]))
        assert (found.state, found.message) == (
            "failed",
            "no example in test (60 train, 10 validation, 0 test)",
        )

    def test_an_id_twice(self) -> None:
        test = [Example("a", "x", "y"), Example("a", "z", "w")]
        expect(check_ids(subject(test=test)), "ids", "failed", "test: a")

    def test_an_id_in_two_splits_is_none_of_its_business(self) -> None:
        assert one(check_ids(subject(test=numbered("train", pairs(300, 5)))), "ids").state == "ok"

    @pytest.mark.parametrize(
        "example", [Example("bad", " ", "y"), Example("bad", "x", ""), Example("bad", "x", "y", ("y", "\n"))]
    )
    def test_an_empty_field(self, example: Example) -> None:
        train = [Example("good", "x", "y"), example]
        expect(check_fields(subject(train=train)), "fields", "failed", "1 examples", "train: bad")

    def test_a_character_that_was_lost(self) -> None:
        train = [*numbered("train", pairs(0, 3)), Example("bad", "Gr\ufffdn", "green")]
        found = one(check_fields(subject(train=train)), "characters")
        assert (found.state, found.message) == ("warning", "1 examples hold U+FFFD (train: bad)")

    def test_labels(self) -> None:
        test = [Example("1", "x", "A"), Example("2", "x", "B"), Example("3", "x", "A")]
        made = subject(train=test, validation=test, test=test, labels=("A", "B"))
        found = one(check_fields(made), "labels")
        assert (found.state, found.message) == ("ok", "targets of the test split: A 2, B 1")

    def test_a_target_that_is_no_label(self) -> None:
        test = [Example("1", "x", "a"), Example("2", "x", "A", ("A", "B"))]
        made = subject(train=[], validation=[], test=test, labels=("A", "B"))
        expect(check_fields(made), "labels", "failed", "1 targets", "test: 1 has 'a'")

    def test_documents(self) -> None:
        grouped = [replace(example, group="d1") for example in numbered("test", pairs(300, 4))]
        assert one(check_groups(subject(test=grouped)), "documents").message.startswith("1 in test")
        half = [*grouped, *numbered("more", pairs(400, 2))]
        expect(check_groups(subject(test=half)), "documents", "failed", "2 of 6 test examples")
        both = subject(test=grouped, train=grouped)
        expect(check_groups(both), "documents", "warning", "1 of 1 test documents")


class TestLengths:
    def test_shares_over_the_limits_of_the_scale(self) -> None:
        # A vocabulary of 260 has the bytes and no merges: tokens are bytes, one more for the space in front.
        preset = Preset("bytes", "", "encoder-decoder", vocabulary=260)
        words = [Example("1", "abcd", "ab"), Example("2", "abcdefg", "abcdef")]
        settings = {"train": {"max_source_tokens": 6, "max_target_tokens": 7}, "decode": {"max_tokens": 6}}
        made = subject(train=words, test=words, preset=preset, settings=settings)
        found = one(check_lengths(made), "lengths")
        assert found.message == (
            "50.0% of sources over 6 tokens (longest 8), 0.0% of targets over 7 tokens (longest 7), "
            "50.0% of references over 6 tokens (longest 7), by bytes's tokenizer"
        )
        assert found.state == "failed"
        assert "Raise train.max_source_tokens and decode.max_tokens" in found.advice

    def test_without_the_tokenizer_it_is_an_estimate(self) -> None:
        preset = Preset("far", "", "encoder-decoder", checkpoint="no-one/has-this")
        found = one(check_lengths(subject(preset=preset)), "lengths")
        assert "estimate of 4 bytes a token" in found.message
        longest = max(len(source) for source, _ in pairs(0, 60))
        assert f"(longest {-(-longest // 4)})" in found.message


class TestLeaks:
    def test_a_copied_example_and_a_changed_one(self) -> None:
        test = numbered("test", [(f"{text(n)} {text(n + 1)}", "y") for n in range(300, 500)])
        copied = replace(test[3], id="copy")
        changed = Example("changed", f"{test[5].source.upper()}, and a word more!", "another")
        found = list(check_leaks(subject(train=[copied, changed], test=test)))
        expect(found, "train/test", "warning", "1 of 200 test examples (0.5%)", "test-00003 and copy")
        near = "2 of 200 test examples (1.0%)", "test-00005 and changed"
        expect(found, "near duplicates", "warning", *near)

    def test_many_of_them_fail(self) -> None:
        examples = numbered("e", pairs(0, 20))
        assert states(check_leaks(subject(train=examples, test=examples))) == {
            "train/test": "failed",
            "near duplicates": "failed",
        }

    def test_test_examples_that_repeat(self) -> None:
        test = numbered("test", [*pairs(300, 3), *pairs(300, 1)])
        words = "1 test examples repeat another (25.0%)"
        expect(check_leaks(subject(test=test)), "repetitions", "warning", words)


class TestScores:
    def test_the_best_score_is_reached(self) -> None:
        expect(check_scores(subject()), "metric chrf++", "ok", "is 100.00")

    def test_bleu_can_not_see_short_targets(self) -> None:
        short = numbered("test", [("x y z", "two words"), ("z y", "three words here")])
        made = subject(test=short, metrics=("bleu",))
        expect(check_scores(made), "metric bleu", "failed", "is 0.00, not 100")

    def test_labels_that_no_test_example_has(self) -> None:
        test = [Example("1", "x", "A"), Example("2", "x", "B")]
        made = subject(train=test, test=test, labels=("A", "B", "C"), metrics=("accuracy", "macro-f1"))
        assert states(check_scores(made)) == {"metric accuracy": "ok", "metric macro-f1": "failed"}

    def test_a_metric_that_is_not_there(self) -> None:
        findings = check_scores(subject(metrics=("blue",)))
        assert "bleu" in expect(findings, "metric blue", "failed", "unknown metric 'blue'").advice

    def test_a_metric_that_its_card_gives_no_labels(self) -> None:
        expect(check_scores(subject(metrics=("accuracy",))), "metric accuracy", "failed", "label")

    @pytest.mark.parametrize(
        ("body", "state"),
        [
            ("[len(h), 1]", "warning"),  # the length of the output, whatever the reference says
            ("[h not in g, 1]", "failed"),  # the wrong way round
            ("[h in g, 1]", "ok"),
            ("[1 / 0, 1]", "failed"),
        ],
    )
    def test_a_metric_without_a_fixed_best(self, tmp_path: Path, body: str, state: str) -> None:
        path = tmp_path / "metric.py"
        path.write_text(
            "import numpy as np\n"
            "class METRIC:\n"
            "    name, higher_is_better = 'mine', True\n"
            "    def __init__(self, context): pass\n"
            "    def segment_statistics(self, hypotheses, references, sources):\n"
            f"        return np.array([{body} for h, g in zip(hypotheses, references)], float)\n"
            "    def aggregate(self, statistics): return statistics[..., 0] / statistics[..., 1]\n"
            "    def signature(self): return ''\n",
            encoding="utf-8",
        )
        test = [Example(str(n), "x", word) for n, word in enumerate(["one", "two", "six"])]
        (found,) = check_scores(subject(test=test, metrics=(str(path),)))
        assert found.state == state


class TestLoading:
    def task(self, load: Callable[[LoadRequest], Any]) -> Entry[Task]:
        return Entry("next", Task(card(), load), "here", "0")

    def test_what_is_loaded_is_returned(self) -> None:
        splits = subject().splits
        assert load_splits(self.task(lambda request: splits), LoadRequest("en", "mini")) is splits

    def test_a_loader_that_tells_what_is_missing(self) -> None:
        def load(request: LoadRequest) -> Splits:
            raise UserError("no file", origin="there", hint="Fetch it.")

        found = load_splits(self.task(load), LoadRequest("en", "mini"))
        assert found == CheckResult("data", "failed", "no file (from there)", "Fetch it.")

    def test_a_loader_that_fails_is_told_where(self) -> None:
        found = load_splits(self.task(lambda request: 1 / 0), LoadRequest("en", "mini"))
        assert Path(__file__).name in expect([found], "data", "failed", "ZeroDivisionError").advice

    @pytest.mark.parametrize(
        ("splits", "message"),
        [
            ([], "the loader returned a list, no Splits"),
            (Splits([("a", "b")], [], []), "in split 'train' an example 0 that is a tuple, no Example"),
            (Splits([], [], [Example("1", 2, "y")]), "example 0 (id '1') whose source is 2, no text"),  # type: ignore[arg-type]
            (Splits([], [Example("1", "x", "y", {"y"})], []), "whose references are a set, no tuple"),  # type: ignore[arg-type]
        ],
    )
    def test_other_shapes(self, splits: Any, message: str) -> None:
        found = load_splits(self.task(lambda request: splits), LoadRequest("en", "mini"))
        expect([found], "data", "failed", message)


TASK_FILE = """
from warmup_bench.contracts.task import LoadRequest, ScaleCard, Splits, Subset, Task, TaskCard, numbered

def load(request):
    words = {words}
    pairs = [(" ".join(words[i:i + 4]), " ".join(words[i + 1:i + 5])) for i in range(len(words) - 5)]
    return Splits(numbered("t", pairs[:40]), numbered("v", pairs[40:50]), numbered("e", pairs[50:]))

TASK = Task(
    TaskCard(
        name="{name}", version=1, title="t", licence="CC0-1.0", citation="made", metrics=("chrf++",),
        subsets={{"en": Subset()}}, scales={{"mini": ScaleCard(data="made", settings={settings})}},
    ),
    load,
)
"""
SORTED = "sorted({chr(97 + i % 26) * (1 + i // 26) for i in range(80)})"
UNSORTED = "list({chr(97 + i % 26) * (1 + i // 26) for i in range(80)})"


def task_file(folder: Path, *, words: str = SORTED, name: str = "letters", settings: str = "{}") -> str:
    path = folder / f"{name}.py"
    path.write_text(TASK_FILE.format(words=words, name=name, settings=settings), encoding="utf-8")
    return str(path)


def subject_of(reference: str) -> Subject:
    """A task's file, loaded at its scale."""
    request = LoadRequest("en", "mini")
    return subjects.make_subject(reference, request, registry.tasks().load(reference).value.load(request))


def test_an_order_taken_from_a_set_is_found(tmp_path: Path) -> None:
    for words, state in ((SORTED, "ok"), (UNSORTED, "failed")):
        made = subject_of(task_file(tmp_path, words=words))
        assert states(check_repeatable(made)) == {"repeatable": state}


def test_limits_of_the_scale_are_what_is_checked(tmp_path: Path) -> None:
    made = subject_of(task_file(tmp_path, settings="{'limit': {'test': 7}}"))
    assert len(made.splits.test) == 7
    assert states(check_repeatable(made)) == {"repeatable": "ok"}


def test_the_trial_run_says_what_went_wrong(tmp_path: Path) -> None:
    path = Path(task_file(tmp_path, name="fine"))
    good = one(check_trial(subject_of(str(path))), "5-step run")
    message = "sft and warmup: trained, decoded 4 examples, scored by chrF++"
    assert good == CheckResult("5-step run", "ok", message)
    path.write_text(path.read_text().replace('"chrf++"', '"macro-f1"'), encoding="utf-8")
    expect(check_trial(subject_of(str(path))), "5-step run", "failed", "label")


def test_one_name_for_the_card_and_the_entry_point(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    task_file(tmp_path, name="letters_of_mine")
    monkeypatch.syspath_prepend(tmp_path)
    point = EntryPoint("letters", "letters_of_mine:TASK", "warmup_bench.tasks")
    monkeypatch.setattr(
        "warmup_bench.contracts.registry.declared", lambda group: [(point, ("another", "1.0"))]
    )
    message = "registered as 'letters', but its card says 'letters_of_mine'"
    expect([next(check_task("letters"))], "card", "failed", message)


def test_settings_that_nobody_reads_are_found(tmp_path: Path) -> None:
    findings = check_task(task_file(tmp_path, settings="{'train': {'batch': 3}}"))
    expect(findings, "settings", "failed", "unknown key 'train.batch'")
