"""Plugin files that tests write: a task that a tiny model learns in seconds, and a backbone of that size."""

from pathlib import Path
from typing import Any

from warmup_bench.execution.stages import run_cell, run_training, run_warm_start
from warmup_bench.plan.jobs import outstanding
from warmup_bench.plan.plan import Plan, make_plan
from warmup_bench.spec.spec import make_spec
from warmup_bench.store.examples import write_examples
from warmup_bench.store.folders import writing

TASK = '''
import random
from warmup_bench.contracts.task import LoadRequest, ScaleCard, Splits, Subset, Task, TaskCard, numbered

def load(request: LoadRequest) -> Splits:
    """Spell a word of three letters backwards."""
    rng = random.Random(5)
    words = sorted({"".join(rng.choices("abcdef", k=3)) for _ in range(400)})
    rng.shuffle(words)
    pairs = [(w, w[::-1]) for w in words]
    return Splits(numbered("t", pairs[60:]), numbered("v", pairs[:20]), numbered("e", pairs[20:60]))

TASK = Task(
    card=TaskCard(
        name="backwards", version=1, title="Spell backwards", licence="none", citation="none",
        metrics=("chrf++", "bleu"), subsets={"all": Subset()},
        scales={"mini": ScaleCard(data="made", backbone="mini-t5")},
    ),
    load=load,
)
'''

BACKBONE = """
from warmup_bench.models.presets import Preset

BACKBONE = Preset(
    name="nano", summary="tiny T5", architecture="encoder-decoder", vocabulary=270,
    config={"model_type": "t5", "d_model": 16, "d_kv": 8, "d_ff": 32, "num_layers": 1,
            "num_decoder_layers": 1, "num_heads": 2, "tie_word_embeddings": True},
    settings={"train": {"batch_size": 8, "optimizer": "adafactor", "learning_rate": 0.01},
              "warm_start": {"steps": 12, "learning_rate": 0.03}, "budget": {"steps": 6},
              "warmup": {"samples": 2, "max_tokens": 2}, "decode": {"max_tokens": 6}},
)
"""

METHOD = """
from warmup_bench.contracts.method import Coefficients, Method

METHOD = Method(
    name="frozen", summary="no credit to the sampler", source="test", warmup="sampled",
    coefficients=lambda r: Coefficients(a=r.lc * 0, b=r.ly * 0 + 1 / r.ly.shape[1]),
)
"""


def write_plugins(folder: Path) -> dict[str, str]:
    """Write the three files; returns their paths by kind."""
    paths = {}
    for kind, text in (("task", TASK), ("backbone", BACKBONE), ("method", METHOD)):
        path = folder / f"my_{kind}.py"
        path.write_text(text, encoding="utf-8")
        paths[kind] = str(path)
    return paths


def write_two_test_sets(folder: Path) -> dict[str, str]:
    """The plugins, with a second subset that is trained as the first and tested on its validation words."""
    files = write_plugins(folder)
    path = Path(files["task"])
    text = path.read_text(encoding="utf-8")
    one = 'subsets={"all": Subset()}'
    two = 'subsets={"all": Subset(trained_as="all"), "again": Subset(trained_as="all")}'
    split = 'numbered("e", pairs[20:60])'
    other = 'numbered("e", pairs[20:60] if request.subset == "all" else pairs[30:60])'
    assert one in text and split in text
    path.write_text(text.replace(one, two).replace(split, other), encoding="utf-8")
    return files


def planned(folder: Path, **content: Any) -> Plan:
    """The plan of a spec with the task and the backbone of these files; nothing runs."""
    files = write_plugins(folder)
    base = {"task": files["task"], "backbones": [files["backbone"]], "out": str(folder / "out")}
    return make_plan(make_spec(base | content, "a test"))


def run_here(plan: Plan) -> list[str]:
    """Do what is outstanding, in this process; the kinds of the steps that were done."""
    for subset, splits in plan.data.items():
        if not plan.data_folder(subset).exists():
            with writing(plan.data_folder(subset)) as folder:
                write_examples(folder, splits)
    stages = {"warm start": run_warm_start, "training": run_training, "cell": run_cell}
    steps = outstanding(plan).steps
    for step in steps:
        stages[step.kind](step.job, lambda *_: None)
    return [step.kind for step in steps]
