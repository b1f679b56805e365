"""What one cell is, and the content hash that names what it stores."""

import hashlib
import json
import re
from collections.abc import Mapping
from functools import cached_property
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from warmup_bench.contracts.settings import Settings, Train, Warmup
from warmup_bench.contracts.task import Scale

HASH_VERSION = 1
"""Raise it when the harness changes the numbers of an unchanged spec: older cells are then remade."""
NO_NUMBER = ("log_every", "eval_every", "eval_examples", "checkpoint_every", "deterministic", "max_skipped")
"""Keys of ``train`` that change no number of a model."""

LATER = ("format_share", "direct_weight", "credit")
"""Keys of ``warmup`` that came after results were stored: at their defaults they are not part of a name."""

TRAIN_LATER = ("decay_norms", "adam_betas", "adam_eps")
"""Those of ``train``, likewise."""


class Cell(BaseModel):
    """One training of one method: the unit of work and of storage."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    task: str
    task_version: int
    subset: str
    scale: Scale
    backbone: str
    method: str
    warmup: Literal["none", "sampled", "given"] = Field(description="what the method does before its output")
    seed: int
    matched: str = Field(default="", description="method whose training FLOPs are this cell's budget")
    matched_by: Literal["", "seconds"] = Field(
        default="", description="seconds: its training seconds are, in place of its FLOPs"
    )
    matched_training: str | None = Field(
        default=None,
        description="id of that method's training; None in cells that came before it was part of a name",
    )
    credit: Literal["", "without dropout"] = Field(
        default="", description="how sampled warmups were weighed under dropout; empty: in the pass with it"
    )
    settings: Settings
    data: str = Field(description="fingerprint of the examples after limits")
    trained_as: str = Field(default="", description="subset whose model is this one's too; empty: its own")
    training_data: str = Field(default="", description="fingerprint of what that model is trained on")
    code: dict[str, str] = Field(description="version or file hash of the task, backbone and method plugins")

    @property
    def label(self) -> str:
        """Row name: the method, and what it was matched with."""
        return f"{self.method}{self.note}"

    @property
    def note(self) -> str:
        """What stands behind a name that tells only the method: what it was matched with, or nothing."""
        return matched_note(self.matched, self.matched_by) if self.matched else ""

    def identity(self) -> dict[str, Any]:
        """What the numbers depend on: without the warmup settings where the method has no warmup.

        What another method spends is a matched cell's budget, so that the id of that training stands here.
        """
        payload = self.model_dump(mode="json", exclude_none=True, exclude={"trained_as", "training_data"})
        for key in ("matched", "matched_by", "credit"):
            if not payload[key]:
                payload.pop(key)
        if self.warmup == "none":
            payload["settings"].pop("warmup")
        else:
            warmup = payload["settings"]["warmup"]
            for key in LATER:
                unread = self.warmup == "given" and key != "direct_weight"
                if unread or warmup[key] == Warmup.model_fields[key].default:
                    del warmup[key]
        if not self.settings.lora.rank:
            payload["settings"].pop("lora")
        if self.settings.decode.split == "test":
            payload["settings"]["decode"].pop("split")
        train, plain = payload["settings"]["train"], Train().model_dump(mode="json")
        for key in NO_NUMBER:
            train.pop(key)
        for key in TRAIN_LATER:
            if train[key] == plain[key]:
                del train[key]
        return payload

    @cached_property
    def id(self) -> str:
        """Folder name: readable coordinates and the first 8 digits of the content hash."""
        return f"{self._slug(self.method, subset=self.subset)}-{content_hash(self.identity())}"

    @cached_property
    def training_id(self) -> str:
        """Folder name of the trained model, the same however it is decoded."""
        payload = self.identity()
        payload["settings"].pop("decode")
        return self._named(payload, self.method)

    def model_copy(self, **changes: Any) -> "Cell":
        """A copy, whose ids are its own."""
        copied = super().model_copy(**changes)
        for name in ("id", "training_id", "warm_start_id"):
            copied.__dict__.pop(name, None)
        return copied

    def _named(self, payload: dict[str, Any], *method: str) -> str:
        """Folder name of what subsets that are trained as one share."""
        if self.trained_as:
            payload |= {"subset": self.trained_as, "data": self.training_data}
        return f"{self._slug(*method)}-{content_hash(payload)}"

    @cached_property
    def warm_start_id(self) -> str:
        """Folder name of the warm start, the same for every method of a seed."""
        payload = self.identity()
        for key in ("warmup", "lora"):
            payload["settings"].pop(key, None)
        for key in ("budget", "decode"):
            payload["settings"].pop(key)
        payload["settings"]["train"].pop("learning_rate")
        for key in ("method", "warmup", "matched", "matched_by", "matched_training", "credit"):
            payload.pop(key, None)
        payload["code"].pop("method")
        return self._named(payload)

    def _slug(self, *method: str, subset: str = "") -> str:
        """Coordinates as a file name: letters, digits and ``. _ + = -``."""
        parts = (
            self.task,
            subset or self.trained_as or self.subset,
            self.backbone,
            *method,
            f"seed{self.seed}",
        )
        return re.sub(r"[^\w.+=-]", "-", ".".join(parts), flags=re.ASCII)


def matched_note(method: str, by: str) -> str:
    """Behind the name of a row: what of another method's training it is given."""
    return f" ({'seconds' if by == 'seconds' else 'FLOPs'} of {method})"


def content_hash(payload: Mapping[str, Any]) -> str:
    """First 8 hex digits of the SHA-256 of canonical JSON, with the hash version."""
    text = json.dumps({"hash_version": HASH_VERSION, **payload}, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:8]
