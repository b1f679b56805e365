"""Does a way of fine-tuning really beat plain SFT? Matched training, a compute ledger, paired tests.

In a script or a notebook: :func:`run`, :func:`load`, :func:`compare`, :func:`power`. A plugin is written with
the contracts: :class:`Task`, :class:`Method`, :class:`Metric`, :class:`Preset` and what they are made of.
Nothing heavy is imported before it is used.

A spec goes down the rooms of this package, and no import climbs back (``tests/test_rooms.py``):

===============  ==================================================================================
``contracts``    what the author of a plugin meets, and how plugins are found
``data``         files at one commit or on disk, their rows, and tasks that a YAML file declares
``spec``         a request, and what a cell is
``store``        what a results folder or a published study holds, whole or absent
``models``       backbones, batches, rollouts, token log-probabilities
``score``        metrics, and scores of stored predictions
``train``        the one loop of every method, its loss, checkpoints and ledger
``decode``       inference
``comparison``   systems and seeds aligned, tests, correction, power, the paper's claims
``plan``         from a spec to cells, what they cost, what is missing
``execution``    the stages of a cell, and where they run
``report``       a model of a table, its words, renderers and pictures
``check``        what a task must be
``cli``          the commands
===============  ==================================================================================

``tasks`` and ``baselines`` are plugins like anybody's: nothing in the rooms knows one by name.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from warmup_bench.api import Results, compare, load, power, run
    from warmup_bench.contracts.errors import UserError
    from warmup_bench.contracts.learned_metric import LearnedMetric, Segment
    from warmup_bench.contracts.method import (
        Coefficients,
        Giving,
        Method,
        Rollout,
        Sampler,
        likelihood,
    )
    from warmup_bench.contracts.metric import FloatArray, Metric, MetricContext
    from warmup_bench.contracts.preset import Preset
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
    from warmup_bench.data.declared import read_task
    from warmup_bench.data.tables import read_rows

__all__ = [
    "Coefficients",
    "Example",
    "FloatArray",
    "Giving",
    "LearnedMetric",
    "LoadRequest",
    "Method",
    "Metric",
    "MetricContext",
    "Preset",
    "Results",
    "Rollout",
    "Sampler",
    "ScaleCard",
    "Segment",
    "Splits",
    "Subset",
    "Task",
    "TaskCard",
    "UserError",
    "compare",
    "likelihood",
    "load",
    "numbered",
    "power",
    "read_rows",
    "read_task",
    "run",
]

_PLACES = {
    "api": ("Results", "compare", "load", "power", "run"),
    "contracts.errors": ("UserError",),
    "contracts.learned_metric": ("LearnedMetric", "Segment"),
    "contracts.method": ("Coefficients", "Giving", "Method", "Rollout", "Sampler", "likelihood"),
    "contracts.metric": ("FloatArray", "Metric", "MetricContext"),
    "contracts.preset": ("Preset",),
    "contracts.task": (
        *("Example", "LoadRequest", "ScaleCard", "Splits", "Subset", "Task", "TaskCard", "numbered"),
    ),
    "data.declared": ("read_task",),
    "data.tables": ("read_rows",),
}


def __getattr__(name: str) -> Any:
    for module, names in _PLACES.items():
        if name in names:
            return getattr(import_module(f"{__name__}.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*__all__, *(name for name in globals() if name.startswith("__"))]
