"""COMET (Rei et al. 2022) by the ``unbabel-comet`` package, in this environment or in one of its own.

Its pins exclude the newest transformers, so that an interpreter with COMET scores in a process of its own
(:mod:`warmup_bench.score.workers.comet_worker`), also where this very interpreter has it.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

from warmup_bench.contracts.errors import UserError
from warmup_bench.contracts.learned_metric import Segment, best_of_each, mean_percent, score_all
from warmup_bench.contracts.metric import FloatArray, MetricContext
from warmup_bench.contracts.settings import CometOptions
from warmup_bench.data.plain_yaml import read_yaml
from warmup_bench.score.checkpoints import TOKENIZER, fetch, find_model, matching, short_name
from warmup_bench.score.inputs import check_inputs
from warmup_bench.store.hashes import hash_files

VARIABLE = "WARMUP_BENCH_COMET_PYTHON"
WORKER = Path(__file__).parent / "workers" / "comet_worker.py"
WORKER_VERSION = "1"
"""Part of what the cache goes by; raise it when the worker's numbers change."""
CHECKPOINT, HPARAMS = Path("checkpoints") / "model.ckpt", "hparams.yaml"
ENCODER_FILES = ("config.json", *TOKENIZER)
"""What COMET reads of its encoder: the weights are in its own checkpoint."""
INSTALL = "python -m venv comet && comet/bin/pip install 'warmup-bench[comet]'"
DEFAULT = str(CometOptions.model_fields["model"].default)


@dataclass(frozen=True, slots=True)
class COMET:
    """100 times the mean of a COMET model's scores, of the best reference where it reads references.

    Attributes:
        context: Its ``settings.comet`` name the model and the interpreter.
    """

    higher_is_better: ClassVar[bool] = True
    context: MetricContext
    learned: ClassVar[bool] = True

    @property
    def name(self) -> str:
        """Column name, with the model where it is not the default."""
        return "COMET" if self.model == DEFAULT else f"COMET ({short_name(self.model)})"

    @property
    def key(self) -> str:
        """Folder name, with the model where it is not the default."""
        return "comet" if self.model == DEFAULT else f"comet-{short_name(self.model)}"

    @property
    def model(self) -> str:
        """Hub id or folder of the model."""
        return self.context.settings.comet.model

    @property
    def python(self) -> str:
        """The interpreter that scores."""
        return self.context.settings.comet.python or os.environ.get(VARIABLE) or sys.executable

    def missing(self) -> str:
        """Why it can't score here, with the command that mends it; "" when it can."""
        if isinstance(versions := _probe(self.python), str):
            return versions
        folder = find_model(self.model)
        if folder is None or not (folder / CHECKPOINT).is_file() or not (folder / HPARAMS).is_file():
            what = f"its model {self.model} is not on this machine"
            if Path(self.model).exists() or self.model.startswith((".", "/")):
                return f"its model {self.model} is not a folder with {HPARAMS} and {CHECKPOINT}"
            return f"{what}; fetch it with: {self._fetch_command()}"
        encoder = _hparams(folder).get("pretrained_model", "")
        if not _has_encoder(encoder):
            what = f"the encoder {encoder} of its model {self.model} is not on this machine"
            if Path(encoder).is_absolute():
                return f"{what}; set pretrained_model in {folder / HPARAMS} to a folder or hub id"
            return f"{what}; fetch it with: {self._fetch_command()}"
        return ""

    def fetch(self) -> list[str]:
        """Download the model, and of its encoder the configuration and the tokenizer."""
        folder = find_model(self.model)
        if folder is None or not (folder / CHECKPOINT).is_file():
            folder = fetch(self.model)
        encoder = str(_hparams(folder).get("pretrained_model", ""))
        if not _has_encoder(encoder):
            fetch(encoder, ENCODER_FILES)
        return [self.model, encoder]

    def identity(self) -> Mapping[str, str]:
        """Hash of checkpoint, settings and encoder files, precision, and the versions that score."""
        folder = self._folder()
        encoder = find_model(_hparams(folder)["pretrained_model"])
        assert encoder is not None  # missing() has found it
        versions = _probe(self.python)
        assert not isinstance(versions, str)
        parts = hash_files(folder, [folder / CHECKPOINT, folder / HPARAMS])
        return {
            "hash": parts,
            "encoder": hash_files(encoder, matching(encoder, ENCODER_FILES)),
            "dtype": self.context.settings.comet.dtype,
            "worker": WORKER_VERSION,
            "comet": versions["unbabel-comet"],
            "transformers": versions["transformers"],
        }

    def signature(self) -> str:
        """Model, hash, whether references are read, precision, versions."""
        if self.missing():
            return f"model:{short_name(self.model)}"
        known = self.identity()
        references = "max" if self._reads_references() else "none"
        return (
            f"model:{short_name(self.model)}|hash:{known['hash']}|refs:{references}|dtype:{known['dtype']}|"
            f"scale:100|version:{known['comet']}|transformers:{known['transformers']}"
        )

    def segments(
        self, hypotheses: Sequence[str], references: Sequence[Sequence[str]], sources: Sequence[str]
    ) -> list[list[Segment]]:
        """Return one segment a reference, or one an example where the model reads none."""
        check_inputs(hypotheses, references)
        if len(sources) != len(hypotheses):
            raise UserError(
                f"COMET reads a source for each of {len(hypotheses)} texts, and {len(sources)} are given",
                hint="Name the source text with --src.",
            )
        if not self._reads_references():
            return [[Segment(text, source)] for text, source in zip(hypotheses, sources, strict=True)]
        return [
            [Segment(text, source, gold) for gold in golds]
            for text, source, golds in zip(hypotheses, sources, references, strict=True)
        ]

    def score(self, segments: Sequence[Segment], *, device: str) -> Iterator[list[float]]:
        """Yield the model's scores a batch at a time, from a process of the interpreter that has COMET.

        Raises:
            UserError: The process failed; its last line is told.
        """
        if reason := self.missing():
            raise UserError(f"COMET can't score: {reason}", origin="score.comet")
        options = self.context.settings.comet
        named = [
            {"src": s.source, "mt": s.hypothesis} | ({} if s.reference is None else {"ref": s.reference})
            for s in segments
        ]
        request = {
            "checkpoint": str((self._folder() / CHECKPOINT).absolute()),
            # The checkpoint remembers a path, which may have changed since; a hub id has not.
            "reload_hparams": Path(_hparams(self._folder())["pretrained_model"]).is_dir(),
            "batch_size": self.context.settings.batch_size,
            "device": device,
            "dtype": options.dtype,
            "segments": named,
        }
        yield from _ask_worker(self.python, request, trusted=options.trust_checkpoint)

    def statistics(self, scores: Sequence[Sequence[float]]) -> FloatArray:
        """Return [examples, 2]: the score of the best reference, and 1 to count the example."""
        return best_of_each(scores)

    def segment_statistics(
        self, hypotheses: Sequence[str], references: Sequence[Sequence[str]], sources: Sequence[str]
    ) -> FloatArray:
        """Return [examples, 2]: the score of the best reference, and 1 to count the example."""
        return score_all(self, self.segments(hypotheses, references, sources))

    def aggregate(self, statistics: FloatArray) -> FloatArray:
        """Return 100 times the mean score of summed statistics [..., 2], with the shape [...]."""
        return mean_percent(statistics)

    def notes(self, hypotheses: Sequence[str], references: Sequence[Sequence[str]]) -> list[str]:
        """How many hypotheses are empty: the model scores them as it scores any text."""
        empty = sum(not text.strip() for text in hypotheses)
        return [f"{empty} of {len(hypotheses)} hypotheses are empty; the model scores them"] if empty else []

    def _folder(self) -> Path:
        folder = find_model(self.model)
        if folder is None:
            raise UserError(f"COMET can't score: {self.missing()}", origin="score.comet")
        return folder

    def _reads_references(self) -> bool:
        """Whether the model's class, with the inputs that it was trained on, reads a reference."""
        hparams = _hparams(self._folder())
        if "input_segments" in hparams:
            return "ref" in hparams["input_segments"]
        return hparams.get("class_identifier") != "referenceless_regression_metric"

    def _fetch_command(self) -> str:
        chosen = "" if self.model == DEFAULT else f" --set score.comet.model={self.model}"
        return f"warmup-bench score --fetch --metrics comet{chosen}"


def _has_encoder(reference: str) -> bool:
    """Whether configuration and tokenizer of an encoder are on this machine."""
    folder = find_model(reference) if reference else None
    return folder is not None and (folder / "config.json").is_file() and bool(matching(folder, TOKENIZER))


def _hparams(folder: Path) -> dict[str, Any]:
    """The settings of a model.

    Raises:
        UserError: They are not a plain YAML mapping.
    """
    try:
        content = read_yaml((folder / HPARAMS).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{folder / HPARAMS} can't be read", origin="score.comet.model") from error
    if not isinstance(content, dict) or not isinstance(content.get("pretrained_model", ""), str):
        raise UserError(f"{folder / HPARAMS} holds no settings of a model", origin="score.comet.model")
    return content


@cache
def _probe(python: str) -> dict[str, str] | str:
    """The versions that an interpreter scores with, or why it can't."""
    try:
        done = subprocess.run(
            [python, str(WORKER), "--versions"], capture_output=True, text=True, timeout=120, check=False
        )
        versions: dict[str, str] = json.loads(done.stdout)
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        return f"{python} is not a Python interpreter that runs ({error})"
    if versions.get("unbabel-comet") is None:
        where = "this environment" if python == sys.executable else f"the environment of {python}"
        return (
            f"it is not installed in {where}; install it with {INSTALL}, then give "
            f"--comet-python comet/bin/python (or {VARIABLE})"
        )
    return versions


def _ask_worker(python: str, request: dict[str, Any], *, trusted: bool) -> Iterator[list[float]]:
    """Run the worker and yield its batches as they come."""
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1"}
    environment.pop("PYTHONPATH", None)  # of this environment, not of the worker's
    for variable in ("TORCH_FORCE_WEIGHTS_ONLY_LOAD", "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD"):
        environment.pop(variable, None)
    environment[f"TORCH_FORCE_{'NO_' if trusted else ''}WEIGHTS_ONLY_LOAD"] = "1"
    with tempfile.TemporaryDirectory() as folder, (Path(folder) / "errors.txt").open("w+") as errors:
        path = Path(folder) / "request.json"
        path.write_text(json.dumps(request), encoding="utf-8")
        process = subprocess.Popen(
            [python, str(WORKER), str(path)],
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env=environment,
        )
        try:
            assert process.stdout is not None
            for line in process.stdout:
                yield [float(score) for score in json.loads(line)]
            status = process.wait()
        finally:
            process.kill()
            process.wait()
        if status:
            errors.seek(0)
            raise _failure(errors.read(), status, python)


def _failure(errors: str, status: int, python: str) -> UserError:
    lines = [line.strip() for line in errors.splitlines() if line.strip()]
    if "Weights only load failed" in errors:
        return UserError(
            "COMET's checkpoint holds more than weights, and loading that may run any code",
            origin="score.comet.model",
            hint="If you trust who made it: --set score.comet.trust_checkpoint=true.",
        )
    reason = lines[-1] if lines else f"it ended with status {status}"
    return UserError(
        f"COMET failed: {reason}",
        origin=python,
        hint="What was scored is kept; run the same command to go on.",
    )
