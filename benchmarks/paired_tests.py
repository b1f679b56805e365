"""CPU seconds and memory of the statistics, side by side with the libraries on the same work.

    python benchmarks/paired_tests.py --json paired_tests.json

Two systems x 3,000 made segments, BLEU and chrF++, 10,000 randomisations and 1,000 bootstrap resamples in one
run: ours, ours with ``--compat sacrebleu`` (the same numbers to the last digit, which is checked) and
sacreBLEU's PairedTest. Then ours on growing test sets, and the scoring of 2,000 texts against the libraries'
own paths.
Every line is a process of its own on one thread; the best of ``--repeats`` is shown.
"""

import argparse
import json
import os
import platform
import random
import resource
import subprocess
import sys
import time
from pathlib import Path

SYLLABLES = ["ka", "lo", "mi", "ter", "san", "du", "re", "vo", "ni", "pel", "gra", "sti", "on", "ex", "ul"]
SEED = 12345


def made(segments: int, words: int, systems: int = 2) -> tuple[list[list[str]], list[str]]:
    """Hypotheses of systems that get four words of five right, and references of about ``words`` words."""
    rng = random.Random(1)
    lexicon = ["".join(rng.choices(SYLLABLES, k=rng.randint(1, 4))) for _ in range(8000)]
    golds = []
    for _ in range(segments):
        drawn = [
            lexicon[int(8000 * rng.random() ** 3)] for _ in range(rng.randint(words // 2, words * 3 // 2))
        ]
        golds.append(" ".join(drawn).capitalize() + ".")
    outputs = [
        [" ".join(w if rng.random() < 0.8 else rng.choice(lexicon) for w in gold.split()) for gold in golds]
        for _ in range(systems)
    ]
    return outputs, golds


def metrics_of(outputs: list[list[str]], golds: list[str]) -> dict[str, tuple[object, list[object]]]:
    """Our metrics with the statistics of every system."""
    from warmup_bench import MetricContext
    from warmup_bench.score.bleu import BLEU
    from warmup_bench.score.chrf import ChrF

    references = [[gold] for gold in golds]
    made_metrics = {"bleu": BLEU(MetricContext(references=1)), "chrf++": ChrF(MetricContext(references=1))}
    return {
        key: (metric, [metric.segment_statistics(lines, references, []) for lines in outputs])
        for key, metric in made_metrics.items()
    }


def ours(segments: int) -> dict[str, object]:
    """Statistics, 10,000 randomisations and 1,000 resamples of both metrics."""
    from warmup_bench.comparison import compare

    outputs, golds = made(segments, 22)
    started = time.process_time()
    scored = metrics_of(outputs, golds)
    counted = time.process_time()
    ids = [str(i) for i in range(segments)]
    p = {
        key: compare(a[None], b[None], metric.aggregate, ids=ids, seed=SEED).p_value
        for key, (metric, (a, b)) in scored.items()
    }
    return {"seconds": time.process_time() - started, "counting": counted - started, "p": p}


def compat(segments: int) -> dict[str, object]:
    """The same by sacreBLEU's draws and counting."""
    from warmup_bench.comparison.compat import SCORERS, sacrebleu_paired_test

    outputs, golds = made(segments, 22)
    started = time.process_time()
    scored = metrics_of(outputs, golds)
    counted = time.process_time()
    p = {
        key: sacrebleu_paired_test(statistics, SCORERS[key], seed=SEED)[1].p_value
        for key, (_, statistics) in scored.items()
    }
    return {"seconds": time.process_time() - started, "counting": counted - started, "p": p}


def sacrebleu(segments: int) -> dict[str, object]:
    """PairedTest with both metrics."""
    import sacrebleu.metrics
    from sacrebleu.significance import PairedTest

    os.environ["SACREBLEU_SEED"] = str(SEED)
    outputs, golds = made(segments, 22)
    started = time.process_time()
    metrics = {
        "bleu": sacrebleu.metrics.BLEU(references=[golds]),
        "chrf++": sacrebleu.metrics.CHRF(word_order=2, references=[golds]),
    }
    _, found = PairedTest([("a", outputs[0]), ("b", outputs[1])], metrics, None, "ar", 10_000, 1_000)()
    seconds = time.process_time() - started
    p = {"bleu": found["BLEU"][1].p_value, "chrf++": found["chrF2++"][1].p_value}
    started = time.process_time()  # its counting alone, with new scorers, whose caches are empty
    for scorer in (sacrebleu.metrics.BLEU(), sacrebleu.metrics.CHRF(word_order=2)):
        scorer._ref_cache = scorer._cache_references([golds])
        for lines in outputs:
            scorer._extract_corpus_statistics(lines, None)
    return {"seconds": seconds, "counting": time.process_time() - started, "p": p}


def score_chrf(segments: int) -> dict[str, object]:
    """Ours: chrF++ of one system."""
    from warmup_bench import MetricContext
    from warmup_bench.score.chrf import ChrF

    outputs, golds = made(segments, 22, systems=1)
    metric, references = ChrF(MetricContext()), [[gold] for gold in golds]
    started = time.process_time()
    score = float(metric.aggregate(metric.segment_statistics(outputs[0], references, []).sum(axis=0)))
    return {"seconds": time.process_time() - started, "score": score}


def score_chrf_library(segments: int) -> dict[str, object]:
    """SacreBLEU's corpus_score."""
    import sacrebleu.metrics

    outputs, golds = made(segments, 22, systems=1)
    started = time.process_time()
    score = sacrebleu.metrics.CHRF(word_order=2).corpus_score(outputs[0], [golds]).score
    return {"seconds": time.process_time() - started, "score": score}


def score_rouge(segments: int) -> dict[str, object]:
    """Ours: ROUGE-1, ROUGE-2 and ROUGE-L of summaries."""
    from warmup_bench import MetricContext
    from warmup_bench.score.rouge import ROUGE1, ROUGE2, ROUGEL

    outputs, golds = made(segments, 24, systems=1)
    references = [[gold] for gold in golds]
    started = time.process_time()
    scores = []
    for make in (ROUGE1, ROUGE2, ROUGEL):
        metric = make(MetricContext())
        statistics = metric.segment_statistics(outputs[0], references, [])
        scores.append(float(metric.aggregate(statistics.sum(axis=0))))
    return {"seconds": time.process_time() - started, "score": scores}


def score_rouge_library(segments: int) -> dict[str, object]:
    """rouge-score's RougeScorer with its stemmer."""
    from rouge_score.rouge_scorer import RougeScorer

    outputs, golds = made(segments, 24, systems=1)
    names = ["rouge1", "rouge2", "rougeL"]
    started = time.process_time()
    scorer = RougeScorer(names, use_stemmer=True)
    found = [scorer.score(gold, text) for gold, text in zip(golds, outputs[0], strict=True)]
    scores = [100 * sum(row[name].fmeasure for row in found) / segments for name in names]
    return {"seconds": time.process_time() - started, "score": scores}


PARTS = {
    part.__name__: part
    for part in (ours, compat, sacrebleu, score_chrf, score_chrf_library, score_rouge, score_rouge_library)
}


def measure(part: str, segments: int, repeats: int) -> dict[str, object]:
    """The best of several processes."""
    runs = []
    for _ in range(repeats):
        command = [sys.executable, __file__, "--part", part, "--segments", str(segments)]
        environment = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
        runs.append(json.loads(done.stdout))
    best = min(runs, key=lambda run: run["seconds"])
    print(
        f"{part:20} {segments:>7,} segments  {best['seconds']:8.2f} s CPU  {best['memory']:5.0f} MB"
        + (f"  ({best['counting']:.2f} s of it counting n-grams)" if "counting" in best else "")
    )
    return {"part": part, "segments": segments, **best}


def main() -> None:
    """Measure every part and print the ratios."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    arguments.add_argument("--segments", type=int, default=3000)
    arguments.add_argument("--sizes", default="10000,100000", help="test sets for ours alone")
    arguments.add_argument("--repeats", type=int, default=3)
    arguments.add_argument("--json", type=Path)
    arguments.add_argument("--part", choices=PARTS, help="one part in this process (used by the benchmark)")
    options = arguments.parse_args()
    if options.part:
        PARTS[options.part](8)  # imports and tables are not part of the work
        found = PARTS[options.part](options.segments)
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(json.dumps({**found, "memory": memory}))
        return
    base, fast, same = (
        measure(p, options.segments, options.repeats) for p in ("sacrebleu", "ours", "compat")
    )
    if base["p"] != same["p"]:
        sys.exit(f"--compat gives p = {same['p']}, sacreBLEU {base['p']}")
    lines = [base, fast, same]
    for size in filter(None, options.sizes.split(",")):
        lines.append(measure("ours", int(size), 1))
    pairs = [
        (measure(f"{part}_library", 2000, options.repeats), measure(part, 2000, options.repeats))
        for part in ("score_chrf", "score_rouge")
    ]
    print(f"\np: sacreBLEU and compat {base['p']}, ours {fast['p']}")
    print(f"sacreBLEU / ours: {base['seconds'] / fast['seconds']:.1f} times the CPU seconds,")
    print(f"sacreBLEU / compat: {base['seconds'] / same['seconds']:.1f} times,")
    alone = [line["seconds"] - line["counting"] for line in (base, fast, same)]
    print("the tests alone, once the n-grams are counted (stored results keep the counts):")
    print(f"sacreBLEU / ours {alone[0] / alone[1]:.1f}, sacreBLEU / compat {alone[0] / alone[2]:.1f} times.")
    for library, mine in pairs:
        print(f"{mine['part']}: library / ours {library['seconds'] / mine['seconds']:.1f} times")
        lines += [library, mine]
    if options.json:
        machine = {"machine": platform.processor() or platform.machine(), "python": platform.python_version()}
        options.json.write_text(json.dumps({"lines": lines, **machine}, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
