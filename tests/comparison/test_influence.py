import numpy as np
import pytest

from warmup_bench.comparison.influence import influences
from warmup_bench.contracts.metric import MetricContext
from warmup_bench.score.bleu import BLEU


def test_a_mean_is_the_sum_of_its_influences():
    rng = np.random.default_rng(2)
    a, b = (np.stack([rng.random((3, 20)), np.ones((3, 20))], axis=-1) for _ in range(2))
    moved = influences(a, b, lambda s: 100 * s[..., 0] / s[..., 1])
    assert moved == pytest.approx(100 * (b - a)[..., 0].mean(axis=0) / 20)
    assert moved.sum() == pytest.approx(100 * (b - a)[..., 0].mean())


def test_bleu_by_swapping_the_texts():
    gold = [f"the cat number {i} sat on the red mat" for i in range(6)]
    first = ["the cat sat", *gold[1:]]
    second = [gold[0], "a dog", *gold[2:]]
    metric = BLEU(MetricContext())

    def statistics(texts):
        return metric.segment_statistics(texts, [[g] for g in gold], [])

    def difference(x, y):
        return float(np.subtract(*(metric.aggregate(statistics(t).sum(axis=0)) for t in (y, x))))

    moved = influences(statistics(first)[None], statistics(second)[None], metric.aggregate)
    for i in range(6):
        x, y = list(first), list(second)
        x[i], y[i] = y[i], x[i]
        assert moved[i] == pytest.approx((difference(first, second) - difference(x, y)) / 2, abs=1e-9)
    assert moved[0] > 0 > moved[1]
    assert moved[2:].tolist() == [0.0] * 4
