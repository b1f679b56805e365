"""The mini data on which the numbers of the README and the docs were measured.

They are made from installed packages, so that other releases of those make other data. For every mini task,
published.json has the releases and the fingerprint of each subset;
``python -m warmup_bench.tasks.mini.published`` writes it anew from what is installed, after which the numbers
of the README have to be measured again.
"""

import json
from importlib import import_module
from pathlib import Path

from warmup_bench import LoadRequest
from warmup_bench.contracts.task import PublishedData, installed_version

PATH = Path(__file__).with_name("published.json")
MADE_FROM = {
    "wmt": ("babel",),
    "xsum": ("python", "numpy", "pandas", "torch", "transformers"),
    "logiqa": ("reasoning-gym",),
}
"""Mini task -> the packages that make its data."""


def published(task: str) -> PublishedData:
    """Releases and fingerprints of a mini task."""
    return PublishedData.model_validate(json.loads(PATH.read_text(encoding="utf-8"))[task])


def measured(task: str) -> PublishedData:
    """The same of what is installed here."""
    subsets = import_module(f"tasks.{task}").TASK.card.subsets
    load = import_module(f"tasks.{task}").load
    return PublishedData(
        releases={name: installed_version(name) for name in MADE_FROM[task]},
        fingerprints={subset: load(LoadRequest(subset, "mini")).fingerprint() for subset in subsets},
    )


if __name__ == "__main__":
    content = {task: measured(task).model_dump() for task in MADE_FROM}
    PATH.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
