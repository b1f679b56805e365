"""Training steps against those of TRL's GRPO trainer, on one Llama of random weights.

Both draw n warmups of the cap's length for each prompt from the model that is trained, take log p(y|x,c)
under the same model as their reward, and take an AdamW step with clipped gradients. They differ as the two
programs do: ours scores c and y in one pass with gradients through both (it trains y too) and needs no other;
TRL generates with transformers, calls the reward function (a forward pass over prompt, c, separator and y
without gradients, the head at y alone), and then runs its own loss forward and backward over prompt and c.
TRL has no reference model (beta = 0), no gradient checkpointing (its default would recompute), no top-k.

TRL runs in an environment of its own, as a process that waits between its steps (:mod:`benchmarks.trl_side`);
the two take turns, and TRL's clock starts and stops inside its process around its step alone.
"""

import json
import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.inputs import CAP, SAMPLES, SOURCE, TARGET, draws, random_batch
from benchmarks.models import SEPARATOR, SIZES, make_llama, parameters
from benchmarks.record import Options, Record, UnavailableError, judge
from benchmarks.timing import Sample, interleave, profile, timed
from warmup_bench.baselines import warmup
from warmup_bench.contracts.settings import Train, Warmup
from warmup_bench.models.batching import Batch
from warmup_bench.models.costs import BACKWARD, Costs
from warmup_bench.models.families import DecoderOnly
from warmup_bench.train.loss import batch_loss
from warmup_bench.train.objective import Objective
from warmup_bench.train.optimizer import make_optimizer, update
from warmup_bench.train.weights import Weights

LEARNING_RATE, MAX_NORM = 1e-5, 1.0
SCRIPT = Path(__file__).with_name("trl_side.py")


def measure(options: Options) -> list[Record]:
    """A record of every size: samples a second.

    Raises:
        UnavailableError: No interpreter with TRL was given.
    """
    if options.trl_python is None:
        raise UnavailableError(
            "TRL lives in an environment of its own: give its interpreter with --trl-python"
        )
    return [_compare(name, options) for name in options.sizes]


@dataclass
class Ours:
    """The harness's side: one training step a call, and the tokens that each step drew."""

    backbone: DecoderOnly
    batch: Batch
    options: Options
    size: str
    tokens: list[int] = field(default_factory=list)
    flops: float = 0.0

    def __post_init__(self) -> None:
        self.objective = Objective(warmup.METHOD, Warmup(samples=SAMPLES, max_tokens=CAP))
        self.weights = Weights(self.backbone, self.options.dtype)
        self.optimizer = make_optimizer(self.weights.masters, Train(), LEARNING_RATE)
        self.generator = torch.Generator().manual_seed(2)
        self.backbone.model.train()

    def __call__(self) -> None:
        """A step: draw, score, backward, clip, update."""
        uniform = draws(SIZES[self.size], self.generator, self.options.device)
        loss = batch_loss(self.backbone, self.batch, self.objective, uniform)
        (loss.value / self.batch.target.numel()).backward()
        self.weights.collect()
        update(self.optimizer, self.weights, loss.value.detach(), MAX_NORM)
        self.flops = float(loss.flops)
        self.tokens.append(int((loss.warmups.lengths + loss.warmups.ended).sum()))


def _compare(name: str, options: Options) -> Record:
    size = SIZES[name]
    backbone, batch = make_llama(size, device=options.device), random_batch(size, options.device)
    ours = Ours(backbone, batch, options, name)
    with tempfile.TemporaryDirectory() as folder:
        _hand_over(backbone, batch, options, Path(folder))
        with _trl(options, Path(folder)) as theirs:
            sides = {"ours": timed(ours, options.device), "TRL": theirs.step}
            times = interleave(sides, options.rounds, options.device)
    check_tokens(ours.tokens, theirs.tokens)
    samples = size.batch * SAMPLES
    detail = {
        **times.detail("TRL", "ours"),
        "parameters": parameters(backbone.model),
        "samples_a_step": samples,
        "flops_a_step": {"ours": ours.flops, "TRL": trl_flops(backbone.costs, size.batch * SAMPLES)},
        "tokens_a_step": {"ours": ours.tokens, "TRL": theirs.tokens},
        "TRL": theirs.about,
    }
    record = judge(
        f"training step against TRL's GRPO trainer, Llama {name}",
        samples / times.median("ours"),
        samples / times.median("TRL"),
        f"samples/{times.unit}",
        ratio=times.ratio("TRL", "ours"),
        aim=">= 2.5" if name in ("mini", "t5-small", "t5-base") else "",
        detail=detail,
    )
    if options.profile and record.met is False:
        record.detail["profile"] = profile(ours, options.device)
    return record


def trl_flops(costs: Costs, rows: int) -> float:
    """Operations of TRL's step, counted as ours are: generation, the reward's pass, forward and backward."""
    prompt, drawn, judged = (np.full(rows, n) for n in (SOURCE, SOURCE + CAP, SOURCE + CAP + TARGET))
    generated = costs.encode(prompt) + costs.advance(prompt, drawn - prompt - 1) + costs.predict(rows * CAP)
    reward = costs.encode(judged) + costs.predict(rows * TARGET)
    return generated + reward + BACKWARD * (costs.encode(drawn) + costs.predict(rows * CAP))


def check_tokens(ours: list[int], theirs: list[int]) -> None:
    """Both sides drew the same number of tokens in their steps, within 1%.

    Raises:
        AssertionError: They did not, so their times can't be compared.
    """
    if not abs(sum(ours) - sum(theirs)) <= 0.01 * sum(theirs):
        raise AssertionError(f"ours drew {ours} tokens a step, TRL {theirs}")


def _hand_over(backbone: DecoderOnly, batch: Batch, options: Options, folder: Path) -> None:
    """Write model, tokenizer and job for the other process."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    words = ["<pad>", "<eos>", "<sep>", *(f"t{i}" for i in range(3, backbone.vocabulary))]
    plain = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, unk_token="<pad>"))
    plain.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=plain, pad_token="<pad>", eos_token="<eos>")
    tokenizer.save_pretrained(folder)
    backbone.model.save_pretrained(folder)
    job = {
        "prompts": [" ".join(f"t{i}" for i in row) for row in batch.source.tolist()],
        "sources": batch.source.tolist(),
        "targets": batch.target.tolist(),
        "separator": SEPARATOR,
        "samples": SAMPLES,
        "cap": CAP,
        "steps": options.rounds + 1,
        "learning_rate": LEARNING_RATE,
        "max_norm": MAX_NORM,
        "dtype": options.dtype,
        "device": options.device,
    }
    (folder / "job.json").write_text(json.dumps(job), encoding="utf-8")


@dataclass
class Remote:
    """TRL's side: a process that takes one step each time it is asked to."""

    process: subprocess.Popen[str]
    log: Path
    about: dict[str, Any] = field(default_factory=dict)
    tokens: list[int] = field(default_factory=list)

    def step(self) -> Sample:
        """One training step, timed by the process itself."""
        assert self.process.stdin is not None
        try:
            self.process.stdin.write("step\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            pass  # the log says why
        answer = self.hear()
        self.tokens.append(answer["tokens"])
        return Sample(answer["wall"], answer["cpu"])

    def hear(self) -> dict[str, Any]:
        """The next line that the process writes.

        Raises:
            RuntimeError: It has ended instead; its last words are in the message.
        """
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            words = self.log.read_text(encoding="utf-8", errors="replace").strip()
            raise RuntimeError(f"TRL's process ended (code {self.process.wait()}): {words[-2000:]}")
        heard: dict[str, Any] = json.loads(line)
        return heard


@contextmanager
def _trl(options: Options, folder: Path) -> Iterator[Remote]:
    """TRL's process, ready for its first step; gone afterwards."""
    log = folder / "trl.log"
    # -P: the script's folder must not come before the standard library's modules.
    command = [str(options.trl_python), "-P", str(SCRIPT), str(folder)]
    environment = {
        **os.environ,
        "OMP_NUM_THREADS": "1",
        "HF_HUB_OFFLINE": "1",
        "TOKENIZERS_PARALLELISM": "false",
    }
    with log.open("w", encoding="utf-8") as errors:
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True, env=environment
        )
        with process:
            try:
                remote = Remote(process, log)
                remote.about = remote.hear()
                yield remote
            finally:
                process.kill()
