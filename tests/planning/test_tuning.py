"""Which cells a sweep has."""

from pathlib import Path

from plugin_files import write_two_test_sets

from harness.planning.tuning import make_sweep
from harness.spec import make_spec


def test_of_test_sets_that_share_a_training_one_is_swept(tmp_path: Path) -> None:
    files = write_two_test_sets(tmp_path)
    content = {
        "task": files["task"],
        "backbones": [files["backbone"]],
        "subsets": ["again", "all"],
        "match": ["warmup"],
        "decodings": {"warmup": [{"warmup": "none"}]},
        "tune": {"seeds": [7, 8], "grid": {"train.learning_rate": [0.1, 0.2]}},
    }
    sweep = make_sweep(make_spec(content, "a test"))
    assert sweep.plan.spec.subsets == ("again",)
    cells = [(c.subset, c.label, c.seed, c.settings.train.learning_rate) for c in sweep.plan.cells]
    methods = ("sft", "warmup")
    assert sorted(cells) == [("again", m, s, r) for m in methods for s in (7, 8) for r in (0.1, 0.2)]
    assert {c.settings.decode.split for c in sweep.plan.cells} == {"validation"}
    assert {c.settings.decode.warmup for c in sweep.plan.cells} == {"greedy"}
