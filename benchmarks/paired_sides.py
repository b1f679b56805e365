"""The sides of :mod:`benchmarks.paired_tests`, each run in a process of its own: nothing here loads torch."""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.texts import Texts, texts_of

SEED = 12345


@dataclass(frozen=True)
class Work:
    """What both sides do.

    Attributes:
        segments: Of the test set.
        files: Where it is read from; (): it is made.
        randomizations: Of a test.
        resamples: Of sacreBLEU's intervals; ours take none.
    """

    segments: int = 3_000
    files: tuple[Path, ...] = ()
    randomizations: int = 10_000
    resamples: int = 1_000


def spent(side: str, work: Work) -> dict[str, Any]:
    """What a side takes in this process: ``cpu`` and ``wall`` seconds, ``peak`` MiB, and what it found.

    Imports and tables of characters are no part of the work: a first run on eight segments makes them.
    """
    from warmup_bench.train.ledger import peak_memory

    texts = texts_of(work.segments, work.files)
    SIDES[side](texts_of(8), work)
    wall, cpu = time.perf_counter(), time.process_time()
    found = SIDES[side](texts, work)
    seconds = {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}
    peak = peak_memory("cpu") / 2**20
    return {**found, **seconds, "peak": peak, "segments": len(texts.references)}


def ours(texts: Texts, work: Work) -> dict[str, Any]:
    """BLEU and chrF++ as ``warmup-bench compare`` has them; ``tests``: CPU seconds after the counting."""
    from warmup_bench.comparison.pairwise import compare_systems
    from warmup_bench.comparison.systems import TEXT_METRICS, make_metrics, make_system
    from warmup_bench.contracts.settings import Stats

    golds = [[gold] for gold in texts.references]
    metrics = make_metrics(TEXT_METRICS, "en", (), 1)
    systems = [make_system(name, [texts.outputs[i]], golds, metrics) for i, name in enumerate("ab")]
    counted = time.process_time()
    stats = Stats(randomizations=work.randomizations, seed=SEED)
    lines = compare_systems(systems, stats).lines
    return {
        "tests": time.process_time() - counted,
        "scores": [[*line.comparison.score_a, *line.comparison.score_b] for line in lines],
        "p": [line.comparison.p_value for line in lines],
    }


def sacrebleu(texts: Texts, work: Work) -> dict[str, Any]:
    """BLEU and chrF++ by its PairedTest."""
    from sacrebleu.significance import PairedTest

    os.environ["SACREBLEU_SEED"] = str(SEED)
    named = list(zip("ab", texts.outputs, strict=True))
    metrics = _scorers(texts)
    _, found = PairedTest(named, metrics, None, "ar", work.randomizations, work.resamples)()
    return {
        "scores": [[result.score for result in found[name]] for name in metrics],
        "p": [found[name][1].p_value for name in metrics],
    }


def sacrebleu_counts(texts: Texts, work: Work) -> dict[str, Any]:
    """Its counting alone, without the tests."""
    for scorer in _scorers(texts).values():
        for lines in texts.outputs:
            scorer._extract_corpus_statistics(lines, None)
    return {}


def _scorers(texts: Texts) -> dict[str, Any]:
    from sacrebleu.metrics import BLEU, CHRF

    references = [texts.references]
    return {"BLEU": BLEU(references=references), "chrF2++": CHRF(word_order=2, references=references)}


def our_chrf(texts: Texts, work: Work) -> dict[str, Any]:
    """ChrF++ of one system."""
    return _scored(texts, ["chrf++"])


def chrf(texts: Texts, work: Work) -> dict[str, Any]:
    """ChrF++ of one system by sacreBLEU."""
    from sacrebleu.metrics import CHRF

    return {"scores": [CHRF(word_order=2).corpus_score(texts.outputs[0], [texts.references]).score]}


ROUGE = ["rouge1", "rouge2", "rougeL"]


def our_rouge(texts: Texts, work: Work) -> dict[str, Any]:
    """ROUGE-1, ROUGE-2 and ROUGE-L of one system."""
    return _scored(texts, ROUGE)


def rouge(texts: Texts, work: Work) -> dict[str, Any]:
    """ROUGE-1, ROUGE-2 and ROUGE-L of one system by rouge-score, with its stemmer."""
    from rouge_score.rouge_scorer import RougeScorer

    score = RougeScorer(ROUGE, use_stemmer=True).score
    found = [score(gold, text) for gold, text in zip(texts.references, texts.outputs[0], strict=True)]
    return {"scores": [100 * sum(one[name].fmeasure for one in found) / len(found) for name in ROUGE]}


def _scored(texts: Texts, keys: list[str]) -> dict[str, Any]:
    from warmup_bench.comparison.systems import make_metrics

    golds = [[gold] for gold in texts.references]
    statistics = [
        (metric, metric.segment_statistics(texts.outputs[0], golds, []))
        for metric in make_metrics(keys, "en", (), 1).values()
    ]
    return {"scores": [float(metric.aggregate(values.sum(axis=0))) for metric, values in statistics]}


SIDES: dict[str, Callable[[Texts, Work], dict[str, Any]]] = {
    side.__name__: side for side in (ours, sacrebleu, sacrebleu_counts, our_chrf, chrf, our_rouge, rouge)
}
