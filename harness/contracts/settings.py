"""The sections of a spec: what each key means, its default and its range.

Defaults not marked otherwise are our choice: the paper's own values are not known to us.
"""

from collections.abc import Mapping
from itertools import product
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from warmup_bench.contracts.errors import UserError

LARGEST_SEED = 2**31 - 1
"""The generators of numpy and torch are seeded with it and with multiples of it."""


OBSOLETE = {"stats": ("resamples",)}
"""Keys of sections of stored specs that mean nothing any more: read, and left out."""
MOST_DRAWS = 10_000_000
"""Randomizations that anybody may ask for, strangers' specs among them."""
LARGEST_COUNT = 2**53
"""Beyond it a float can't count any more."""


def countable(section: Any) -> Any:
    """A section in which no number is beyond :data:`LARGEST_COUNT`.

    Raises:
        ValueError: One is.
    """
    for name, value in section:
        if isinstance(value, int) and abs(value) > LARGEST_COUNT:
            raise ValueError(f"{name} is larger than 2**53")
    return section


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    _countable = model_validator(mode="after")(countable)


class Budget(_Section):
    """What a method may spend in its training phase, after the shared warm start: one of the five.

    Training ends with the step that reaches the budget. ``seconds`` depend on the machine: such a cell is not
    reproducible bit for bit.
    """

    steps: int | None = Field(default=None, ge=1, description="optimiser steps (250 where nothing is given)")
    epochs: float | None = Field(default=None, gt=0, description="passes over the training split, as steps")
    flops: float | None = Field(
        default=None, gt=0, description="floating-point operations, sampling included"
    )
    seconds: float | None = Field(default=None, gt=0, description="wall seconds of training")
    tokens: int | None = Field(default=None, ge=1, description="target tokens trained on")

    @model_validator(mode="before")
    @classmethod
    def _one(cls, value: Any) -> Any:
        given = {k: v for k, v in value.items() if v is not None} if isinstance(value, Mapping) else value
        if isinstance(given, dict) and len(given) > 1:
            raise ValueError(
                f"a budget is one of steps, epochs, flops, seconds, tokens, not {' and '.join(given)}"
            )
        return given or {"steps": 250}

    def in_steps(self, examples: int, batch_size: int) -> "Budget":
        """The budget with epochs turned into whole steps, at least one; other units stay as they are."""
        if self.epochs is None:
            return self
        each = max(1, examples // min(batch_size, examples))  # whole batches: an epoch leaves the rest out
        return Budget(steps=max(1, round(self.epochs * each)))

    def share(self, *, steps: int, flops: float, seconds: float, tokens: int) -> float:
        """How much of the budget is spent, 1 or more when all of it is."""
        spent = {"steps": steps, "flops": flops, "seconds": seconds, "tokens": tokens}
        ((unit, amount),) = ((u, a) for u in spent if (a := getattr(self, u)) is not None)
        return spent[unit] / float(amount)


class WarmStart(_Section):
    """The shared start of all methods of a seed: supervised steps on the direct path."""

    steps: int = Field(default=500, ge=0, description="0: methods start from the backbone as it is")
    learning_rate: float | None = Field(
        default=None, gt=0, description="its peak, by train.schedule; None: train.learning_rate"
    )


class Train(_Section):
    """The training loop, the same for every method."""

    batch_size: int = Field(default=32, ge=1, description="inputs a step")
    micro_batch_size: int | None = Field(
        default=None, ge=1, description="inputs at once; None: the whole batch"
    )
    optimizer: Literal["adamw", "adafactor"] = Field(
        default="adamw", description="adafactor: steps relative to each weight's size, T5's own optimiser"
    )
    learning_rate: float = Field(default=1e-3, gt=0, description="its peak, after the warm start")
    lr_warmup_steps: int = Field(default=20, ge=0, description="steps in which it rises from 0")
    schedule: Literal["constant", "linear"] = Field(
        default="linear", description="after that rise: as it is, or down to 0 at the end of the budget"
    )
    weight_decay: float = Field(default=0.0, ge=0, description="of the optimiser")
    decay_norms: bool = Field(
        default=True,
        description="norms and biases decay too, as in torch; transformers' Trainer leaves them out",
    )
    adam_betas: tuple[Annotated[float, Field(ge=0, lt=1)], Annotated[float, Field(ge=0, lt=1)]] = Field(
        default=(0.9, 0.98),
        description="adamw: of its two means, as Vaswani et al. 2017; torch's are 0.9, 0.999",
    )
    adam_eps: float = Field(default=1e-8, gt=0, description="adamw: added to the denominator")
    max_grad_norm: float | None = Field(
        default=1.0,
        gt=0,
        description="gradients are clipped to it, before adafactor clips its updates; null: they are not",
    )
    dropout: float = Field(default=0.0, ge=0, lt=1, description="off while sampling, always")
    max_source_tokens: int = Field(default=128, ge=4, description="longer ones are cut, and counted")
    max_target_tokens: int = Field(default=64, ge=2, description="the same of outputs, in training")
    dtype: Literal["auto", "float32", "bfloat16"] = Field(
        default="auto",
        description="auto: bfloat16 where the device has it (master weights in float32), else float32",
    )
    deterministic: bool = Field(
        default=False,
        description="the same numbers twice on one GPU, at a price; on at scale mini. A CPU's always are",
    )
    max_skipped: float = Field(
        default=0.01,
        ge=0,
        le=1,
        description="share of the steps that may be lost to a loss or gradient that is not finite, else a "
        "training fails; two may always be lost, and never more than 20",
    )
    log_every: int = Field(default=10, ge=1, description="steps between two lines of a training's log")
    eval_every: int = Field(
        default=50,
        ge=1,
        description="steps between two evaluations on validation inputs; the last step has one too, and the "
        "first of a longer training",
    )
    eval_examples: int = Field(default=64, ge=1, description="validation inputs of an evaluation")
    checkpoint_every: Annotated[int, Field(ge=1)] | Annotated[str, Field(pattern=r"^\d+(\.\d+)?s$")] = Field(
        default="60s", description="steps (50), or seconds (60s) between two checkpoints"
    )

    @property
    def token_limits(self) -> tuple[int, int]:
        """Most tokens of a source and of a target."""
        return self.max_source_tokens, self.max_target_tokens


class Warmup(_Section):
    """How warmups are sampled in training. Read by methods that have them."""

    samples: int = Field(default=4, ge=1, description="warmups an input, n")
    max_tokens: int = Field(default=6, ge=1, description="length cap, the separator not counted")
    temperature: float = Field(default=1.0, gt=0, description="the score uses the same temperature")
    format_share: float = Field(
        default=0.0, ge=0, lt=1, description="share of the budget, first, without credit to the sampler"
    )
    direct_weight: float = Field(
        default=0.0, ge=0, lt=1, description="weight of the path without a warmup in the loss"
    )
    credit: float = Field(default=1.0, ge=0, description="the sampler's part of the loss, A, times this")


class Decode(_Section):
    """Inference: where the warmup comes from (where the method has one), and how its output is written."""

    split: Literal["validation", "test"] = Field(
        default="test", description="what is decoded and scored; validation: to choose settings by"
    )
    batch_size: int = Field(default=128, ge=1, description="rows at once: inputs times beams or samples")
    max_tokens: int = Field(default=64, ge=1, description="length cap of the output")
    beams: int = Field(default=1, ge=1, description="beam search for the output; 1: greedy")
    length_penalty: float = Field(
        default=1.0, description="beams: log-probability over length to this power, as in generate"
    )
    warmup: Literal["greedy", "sampled", "none", "shuffled"] = Field(
        default="greedy",
        description="sampled: several, and a choice among their outputs; none: the direct path; "
        "shuffled: the greedy warmup of another test input",
    )
    samples: int = Field(default=8, ge=1, description="sampled: warmups an input (outputs, without warmups)")
    temperature: float = Field(default=1.0, gt=0, description="sampled: temperature of the draws")
    select: Literal["marginal", "mbr", "vote"] = Field(
        default="marginal",
        description="sampled: the output with the highest mean likelihood over the warmups, with the highest "
        "mean chrF against the other outputs, or the most frequent one",
    )

    def choices(self) -> list[str]:
        """What differs from greedy decoding, in words."""
        words = {"none": "warmup ablated", "shuffled": "warmup shuffled"}
        words["sampled"] = f"{self.samples} sampled, {self.select}"
        choices = [words[self.warmup]] if self.warmup in words else []
        return [*choices, f"beam {self.beams}"] if self.beams > 1 else choices

    def read(self, warmup: str) -> "Decode":
        """As a method reads it: unread keys at their defaults, nothing to ablate without a warmup."""
        changed: dict[str, Any] = {}
        if warmup == "none" and self.warmup in ("none", "shuffled"):
            changed["warmup"] = "greedy"
        if self.warmup != "sampled":
            changed |= {key: Decode.model_fields[key].default for key in ("samples", "temperature", "select")}
        if self.beams == 1:
            changed["length_penalty"] = Decode.model_fields["length_penalty"].default
        return self.model_copy(update=changed)

    def check(self, method: str, warmup: str, *, given: bool) -> None:
        """See that a method can be decoded so.

        Args:
            method: Its name, for the message.
            warmup: :attr:`Cell.warmup`.
            given: Whether it also gives the warmups of the test inputs.

        Raises:
            UserError: A choice about warmups that the model does not write, or beams for sampled outputs.
        """
        origin = f"decode.warmup for method '{method}'"
        if given and self.warmup != "greedy":
            raise UserError(
                f"decode.warmup={self.warmup} makes no sense: method '{method}' gives its own warmups",
                origin=origin,
                hint="Leave decode.warmup at greedy.",
            )
        if warmup == "none" and self.warmup == "sampled" and self.beams > 1:
            raise UserError(
                f"decode.beams={self.beams} makes no sense with decode.warmup=sampled: method '{method}' has "
                "no warmup, so that its outputs themselves are sampled",
                origin=f"decode.beams for method '{method}'",
                hint="Use decode.beams=1, or decode.warmup=greedy.",
            )


class Lora(_Section):
    """Low-rank adapters in place of training every weight; the checkpoint stays as it is, so no warm start.

    Their dropout is ``train.dropout``, as every other.
    """

    rank: int = Field(default=0, ge=0, description="0: all weights are trained, without adapters")
    alpha: float | None = Field(
        default=None, gt=0, description="the scale is alpha over rank; None: twice it"
    )
    target_modules: tuple[str, ...] = Field(
        default=(), description="names of the layers; (): every linear layer but the head"
    )


class Limit(_Section):
    """Examples of each split; None: all. The first ones, in the task's order."""

    train: int | None = Field(default=None, ge=1, description="of the training split")
    validation: int | None = Field(default=None, ge=1, description="of the validation split")
    test: int | None = Field(default=None, ge=1, description="of the test split")


class Settings(_Section):
    """Everything that shapes a cell's numbers, besides its coordinates."""

    budget: Budget = Budget()
    warm_start: WarmStart = WarmStart()
    train: Train = Train()
    warmup: Warmup = Warmup()
    decode: Decode = Decode()
    lora: Lora = Lora()
    limit: Limit = Limit()


class BertscoreOptions(_Section):
    """What BERTScore reads."""

    model: str | None = Field(
        default=None, description="hub id or folder of an encoder; None: bert-score's for the target language"
    )
    layer: int | None = Field(
        default=None, ge=0, description="hidden layer; None: bert-score's for the model, else the last one"
    )
    rescale: bool = Field(
        default=False, description="rescale with bert-score's baseline, or with the one given"
    )
    baseline: Path | None = Field(default=None, description="file in the layout of bert-score's baselines")


class CometOptions(_Section):
    """What COMET reads."""

    model: str = Field(
        default="Unbabel/wmt22-comet-da", description="hub id, or folder with hparams.yaml and checkpoints/"
    )
    python: str | None = Field(
        default=None,
        description="interpreter that has COMET; None: WARMUP_BENCH_COMET_PYTHON, else this one",
    )
    dtype: Literal["float32", "float16"] = Field(
        default="float32", description="float16: as the command comet-score; float32: as COMET's predict"
    )
    trust_checkpoint: bool = Field(
        default=False, description="load a checkpoint that holds more than weights: it may run any code"
    )


def distinct(values: tuple[Any, ...]) -> tuple[Any, ...]:
    """The values, each of them once (a validator's ValueError else)."""
    if len(set(values)) != len(values):
        raise ValueError(f"a value is repeated: {list(values)}")
    return values


def in_range(seeds: tuple[int, ...]) -> tuple[int, ...]:
    """The seeds, each of them once and one that numpy and torch take (a validator's ValueError else)."""
    if wrong := [seed for seed in seeds if not 0 <= seed <= LARGEST_SEED]:
        raise ValueError(f"a seed is a number from 0 to {LARGEST_SEED}, not {wrong[0]}")
    return distinct(seeds)


def at_least_one(value: Any) -> Any:
    """What is not empty (a validator's ValueError else)."""
    if not value:
        raise ValueError("at least one is needed")
    return value


def names(value: Any) -> Any:
    """Names joined by commas as a list of them: ``metrics: comet,bertscore`` is one too."""
    if not isinstance(value, str):
        return value
    return tuple(name.strip() for name in value.split(",") if name.strip())


class Score(_Section):
    """Metrics besides the task's, and what the learned ones read. No number of a training depends on it."""

    metrics: tuple[str, ...] = Field(default=(), description="scored besides the metrics of the task's card")
    batch_size: int = Field(default=16, ge=1, description="segments at once")
    bertscore: BertscoreOptions = BertscoreOptions()
    comet: CometOptions = CometOptions()

    _named = field_validator("metrics", mode="before")(names)


class Stats(_Section):
    """The tests of the table."""

    baseline: str = Field(default="sft", description="the method that the others are compared with")
    randomizations: int = Field(
        default=10_000, ge=99, le=MOST_DRAWS, description="swaps of a test that can't try them all"
    )
    confidence: float = Field(default=0.95, gt=0.5, lt=1, description="of the intervals")
    seed: int = Field(default=12345, ge=0, description="of the swaps")
    margin: float | None = Field(
        default=None, gt=0, description="smallest difference that matters, in score points"
    )


class Tune(_Section):
    """A sweep that chooses settings for each method on validation: ``warmup-bench tune``.

    Every method is run at every point, the product of the grid's values.
    """

    seeds: tuple[int, ...] = Field(description="of the sweep alone: none of the run's")
    grid: dict[str, tuple[Any, ...]] = Field(
        description="settings with dots -> values to try, every method at every point of the product"
    )
    budget: dict[str, Any] = Field(
        default_factory=dict, description="what each cell of the sweep may spend; {}: the run's"
    )
    metric: str | None = Field(default=None, description="key or name; None: the task's first")

    _some = field_validator("seeds", "grid")(at_least_one)
    _seeds = field_validator("seeds")(in_range)

    @field_validator("grid")
    @classmethod
    def _values(cls, value: dict[str, tuple[Any, ...]]) -> dict[str, tuple[Any, ...]]:
        for key, values in value.items():
            if not values:
                raise ValueError(f"{key} has no value")
            if key in ("decode", "decode.split") or key.split(".")[0] == "limit":
                raise ValueError(f"{key} is not a setting of a method: every point sees the same data")
        return value

    def points(self) -> list[dict[str, Any]]:
        """The settings of every point, dotted keys to values, the last key changing fastest."""
        return [dict(zip(self.grid, values, strict=True)) for values in product(*self.grid.values())]


class Resources(_Section):
    """What one step takes of a node of a Ray cluster. No number depends on it."""

    cpus: float | None = Field(default=None, gt=0, description="CPUs; None: threads times devices")
    gpus: float | None = Field(default=None, ge=0, description="GPUs; None: one a device on cuda, 0 on a CPU")
    memory: float | None = Field(default=None, gt=0, description="GB of memory; None: none is reserved")


class Store(_Section):
    """What a training leaves behind. No number depends on it, and predictions, logs, ledgers, statistics and
    provenance always stay.
    """

    models: Literal["all", "trained", "none"] = Field(
        default="all",
        description="what stays once nothing of the run needs it any more; trained: trained models, and "
        "the warm starts that they are decoded with; what is needed again later is made again",
    )


def shown(value: Any) -> str:
    """A setting's value in words."""
    return f"{value:g}" if isinstance(value, float) else "none" if value is None else str(value)


def flattened(nested: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Settings by keys with dots, as ``--set`` takes them."""
    flat: dict[str, Any] = {}
    for key, value in nested.items():
        if isinstance(value, Mapping):
            flat |= flattened(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat
