"""References scored against themselves: does each metric reach its best?"""

import math
from collections.abc import Iterator, Sequence

from warmup_bench.check.finding import CheckResult, sample
from warmup_bench.check.subject import Subject
from warmup_bench.contracts.boundary import score_of, statistics_of
from warmup_bench.contracts.errors import UserError
from warmup_bench.contracts.learned_metric import is_learned
from warmup_bench.contracts.metric import Metric, MetricContext, references_of_each
from warmup_bench.contracts.registry import metrics
from warmup_bench.contracts.task import Example


def check_scores(subject: Subject) -> Iterator[CheckResult]:
    """One finding a metric of the card.

    A metric that declares its ``best`` has to give it. Any other has to prefer an example's own reference to
    another example's. A metric that asks a model (``learned``) scores in a stage of its own, not here.
    """
    test = sample(subject.splits.test)
    language = subject.card.subsets[subject.request.subset].target_language
    count = references_of_each(example.golds for example in test)
    context = MetricContext(language, subject.card.labels, count)
    for key in subject.card.metrics:
        name = f"metric {key}"
        try:
            metric: Metric = metrics().load(key).value(context)
        except UserError as error:
            yield CheckResult(name, "failed", error.problem, error.hint)
            continue
        if is_learned(metric):
            yield CheckResult(name, "ok", f"{metric.name} asks a model; it is not asked here")
            continue
        try:
            yield _one(name, metric, test)
        except UserError as error:
            yield CheckResult(name, "warning", f"not scored: {error.problem}", error.hint)
        except Exception as error:
            problem = f"scoring the references failed: {type(error).__name__}: {error}"
            yield CheckResult(name, "failed", problem, "Mend the metric, or leave it out of the card.")


def _one(name: str, metric: Metric, test: Sequence[Example]) -> CheckResult:
    golds, sources = [example.golds for example in test], [example.source for example in test]
    right = [references[0] for references in golds]
    # Another example's reference: the next one that differs.
    other = [next((o for o in right[i + 1 :] + right[:i] if o != text), "") for i, text in enumerate(right)]
    score, wrong = (
        score_of(metric, statistics_of(metric, hypotheses, golds, sources)) for hypotheses in (right, other)
    )
    best: float | None = getattr(metric, "best", None)
    outcome = f"{metric.name} of the references against themselves is {score:.2f}"
    if best is not None and not math.isclose(score, best, abs_tol=1e-6):
        return CheckResult(
            name,
            "failed",
            f"{outcome}, not {best:g}",
            f"{metric.name} can't see these targets whole (too short, or another script or label set): "
            "choose another metric.",
        )
    if best is None and not (score > wrong if metric.higher_is_better else score < wrong):
        return CheckResult(
            name,
            "warning" if score == wrong else "failed",
            f"{outcome}, and {wrong:.2f} for another example's",
            "A metric that does not prefer the right text measures something else: see that it belongs here.",
        )
    return CheckResult(name, "ok", f"{outcome} ({wrong:.2f} for another example's)")
