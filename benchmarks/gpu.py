"""What only a GPU can tell: how busy it is, what is replayed, whether it repeats itself, and what it holds.

Beside these, ``benchmarks/gpu.sh`` runs the other benchmarks on the device. At size ``tiny`` everything here
runs on a CPU too, so that the script is tried before a GPU is at hand; the figures then mean nothing.
"""

import hashlib
import os
import time
from pathlib import Path

import torch

from benchmarks.inputs import CAP, SAMPLES, draws, random_batch
from benchmarks.models import FIRST, SIZES, Size, make_llama, make_t5
from benchmarks.record import Options, Record, UnavailableError, judge
from benchmarks.timing import interleave, timed
from warmup_bench.baselines import sft, warmup
from warmup_bench.contracts.settings import Budget, Train, Warmup
from warmup_bench.models.base import Backbone
from warmup_bench.models.batching import Encoded
from warmup_bench.models.costs import Meter
from warmup_bench.models.device import repeatable
from warmup_bench.models.rollout import lay_out, sample_warmups, score
from warmup_bench.models.stacks.rows import Rows
from warmup_bench.train.ledger import peak_memory, reset_peak_memory
from warmup_bench.train.loop import train
from warmup_bench.train.loss import batch_loss
from warmup_bench.train.objective import Objective
from warmup_bench.train.optimizer import make_optimizer, update
from warmup_bench.train.weights import Weights

SMOL = Size(width=576, heads=9, head_size=64, feed_forward=2304, layers=15, vocabulary=49152, batch=16)
"""SmolLM2-135M's widths and 30 layers; its keys are grouped, and here are not, so memory is not flattered."""
PROMPT, SMOL_CAP = 400, 12
STEP_MS = {"warmup": "<= 60", "sft": "<= 40"}
STEPS = 12
"""Of the trainings that are run twice."""


def measure(options: Options) -> list[Record]:
    """Records of the last size that is asked for.

    Raises:
        UnavailableError: There is no GPU.
    """
    name = options.sizes[-1]
    if options.device != "cuda" and name != "tiny":
        raise UnavailableError("it needs a GPU: --device cuda")
    return [
        *_steps(name, options),
        _scoring(name, options),
        _replayed(name, options),
        *_repeated(name, options),
        _held(options, tiny=name == "tiny"),
    ]


def _synchronise(options: Options) -> None:
    if options.device == "cuda":
        torch.cuda.synchronize()


def _model(name: str, options: Options) -> Backbone:
    backbone = make_t5(SIZES[name], device=options.device)
    backbone.compute_in(options.dtype)
    backbone.model.train()
    return backbone


def _steps(name: str, options: Options) -> list[Record]:
    """Milliseconds of a warmup and of an SFT step, and the share of them that the GPU works."""
    size, backbone = SIZES[name], _model(name, options)
    batch, settings = random_batch(size, options.device), Warmup(samples=SAMPLES, max_tokens=CAP)
    uniform = draws(size, torch.Generator().manual_seed(2), options.device)
    records = []
    for method in (warmup.METHOD, sft.METHOD):
        objective = Objective(method, settings)

        def step(objective: Objective = objective) -> None:
            loss = batch_loss(backbone, batch, objective, uniform[:, : objective.samples])
            loss.value.backward()
            backbone.model.zero_grad()

        for _ in range(3):
            step()
        times = interleave({"step": timed(step, options.device)}, options.rounds, options.device)
        seconds = times.median("step")
        busy = _busy(step, options)
        what = f"{method.name} step, T5 {name}"
        detail = {**times.detail("step", "step"), "busy_s": busy, "not_captured": backbone.graphs.problem}
        records.append(
            judge(
                f"{what}, ms",
                1e3 * seconds,
                0.0,
                "ms",
                ratio=1e3 * seconds,
                aim=STEP_MS[method.name],
                detail=detail,
            )
        )
        records.append(
            judge(
                f"{what}, of which the GPU works",
                busy,
                seconds,
                "s",
                ratio=busy / seconds,
                aim=">= 0.8" if method is warmup.METHOD else "",
                detail={},
            )
        )
    return records


def _busy(step: object, options: Options) -> float:
    """Seconds of kernels in one step; on a CPU those of its operators."""
    from torch.profiler import ProfilerActivity, profile

    kind = ProfilerActivity.CUDA if options.device == "cuda" else ProfilerActivity.CPU
    with profile(activities=[kind]) as found:
        step()  # type: ignore[operator]
        _synchronise(options)
    name = "self_device_time_total" if options.device == "cuda" else "self_cpu_time_total"
    return float(sum(getattr(event, name) for event in found.key_averages())) / 1e6


def _scoring(name: str, options: Options) -> Record:
    """Operations a second of scoring, forward and backward, against those of one large matrix product."""
    size, backbone = SIZES[name], _model(name, options)
    batch = random_batch(size, options.device)
    rows = Rows.regular(size.batch, SAMPLES, batch.source.device)
    with torch.no_grad():
        state = backbone.encode(batch.source, batch.mask)
        uniform = draws(size, torch.Generator().manual_seed(2), options.device)
        warmups = sample_warmups(backbone, state, uniform[..., :-1].flatten(0, 1))
    meter, source = Meter(backbone.costs), batch.mask.sum(dim=1)
    fed = warmups.lengths + batch.target_lengths[rows.of]
    meter.read(source, backbone.costs.backward)
    meter.write(source[rows.of], fed, (fed + warmups.ended).sum(), backbone.costs.backward)

    def step() -> None:
        state = backbone.encode(batch.source, batch.mask)
        targets = batch.target[rows.of], batch.target_lengths[rows.of]
        lc, ly = score(backbone, state, lay_out(backbone, warmups, *targets, direct=False), rows)
        (lc + ly).sum().backward()
        backbone.model.zero_grad()

    width = 8192 if options.device == "cuda" else 256
    a = torch.randn(width, width, device=options.device, dtype=getattr(torch, options.dtype))
    sides = {"score": timed(step, options.device), "product": timed(lambda: a @ a, options.device)}
    times = interleave(sides, options.rounds, options.device)
    reached = float(meter.flops) / times.median("score")
    rate = 2 * width**3 / times.median("product")
    return judge(
        f"scoring pass, of the measured matrix rate, T5 {name}",
        reached / 1e12,
        rate / 1e12,
        "TFLOP/s",
        ratio=reached / rate,
        aim=">= 0.3",
        detail=times.detail("score", "product"),
    )


@torch.no_grad()
def _replayed(name: str, options: Options) -> Record:
    """Share of warmups that a replayed sampler draws as the one that runs kernel by kernel."""
    size, same, count = SIZES[name], 0, 0
    problems = {}
    for family, make in (("T5", make_t5), ("Llama", make_llama)):
        backbone = make(size, device=options.device)
        backbone.compute_in(options.dtype)
        backbone.model.eval()
        for seed in range(3):
            batch = random_batch(size, options.device, seed=seed)
            uniform = torch.rand((size.batch * SAMPLES, CAP), generator=torch.Generator().manual_seed(seed))
            uniform = uniform.to(options.device)
            state = backbone.encode(batch.source, batch.mask)
            found = sample_warmups(backbone, state, uniform)
            backbone.stack.fixed = False  # kernel by kernel
            plain = sample_warmups(backbone, state, uniform)
            backbone.stack.fixed = True
            same += int((found.tokens == plain.tokens).all(dim=1).sum())
            count += uniform.shape[0]
        problems[family] = backbone.graphs.problem
    return judge(
        f"warmups drawn alike by replayed and plain loops, T5 and Llama {name}",
        same,
        count,
        "warmups",
        ratio=same / count,
        aim=">= 1",
        detail={"not_captured": problems},
    )


def _repeated(name: str, options: Options) -> list[Record]:
    """Whether a training gives the same weights twice, and what that costs."""
    size = SIZES[name]
    generator = torch.Generator().manual_seed(3)
    ids = torch.randint(FIRST, size.vocabulary, (4 * size.batch, 40), generator=generator).tolist()
    items = [Encoded(row[: 12 + i % 12], row[24 : 30 + i % 10]) for i, row in enumerate(ids)]
    settings = Train(batch_size=size.batch, lr_warmup_steps=0, dtype=options.dtype)  # type: ignore[arg-type]
    objective = Objective(warmup.METHOD, Warmup(samples=SAMPLES, max_tokens=CAP))

    def run() -> tuple[str, float]:
        backbone = make_t5(size, device=options.device)
        _synchronise(options)
        began = time.perf_counter()
        train(
            backbone,
            items,
            objective,
            settings,
            budget=Budget(steps=STEPS),
            learning_rate=1e-3,
            seed=5,
            log=Path(os.devnull),
            report=lambda *_: None,
        )
        seconds = time.perf_counter() - began
        digest = hashlib.sha256()
        for parameter in backbone.model.parameters():
            digest.update(parameter.detach().cpu().numpy().tobytes())
        return digest.hexdigest(), seconds

    run()
    plain = [run() for _ in range(2)]
    with repeatable():
        run()
        twice = [run() for _ in range(2)]
    equal = float(twice[0][0] == twice[1][0])
    price = min(s for _, s in twice) / min(s for _, s in plain)
    detail = {"plain_equal": plain[0][0] == plain[1][0], "seconds": {"plain": plain, "repeatable": twice}}
    return [
        judge(
            f"two trainings with train.deterministic give the same weights, T5 {name}",
            equal,
            1.0,
            "equal",
            ratio=equal,
            aim=">= 1",
            detail=detail,
        ),
        judge(
            f"train.deterministic, of the time without, T5 {name}",
            min(s for _, s in twice),
            min(s for _, s in plain),
            "s",
            ratio=price,
            aim="",
            detail={},
        ),
    ]


def _held(options: Options, *, tiny: bool) -> Record:
    """Peak memory of a whole training step of a decoder-only model with long prompts."""
    size, prompt = (SIZES["tiny"], 20) if tiny else (SMOL, PROMPT)
    backbone = make_llama(size, device=options.device)
    backbone.model.train()
    reset_peak_memory(options.device)
    weights = Weights(backbone, options.dtype)
    optimizer = make_optimizer(weights.masters, Train(), 1e-4)
    generator = torch.Generator().manual_seed(4)

    objective = Objective(warmup.METHOD, Warmup(samples=SAMPLES, max_tokens=SMOL_CAP))
    for seed in range(3):
        batch = random_batch(size, options.device, seed=seed, length=prompt)
        uniform = torch.rand((size.batch, SAMPLES, SMOL_CAP + 1), generator=generator).to(options.device)
        loss = batch_loss(backbone, batch, objective, uniform)
        loss.value.backward()
        weights.collect()
        update(optimizer, weights, loss.value.detach(), 1.0)
    gib = peak_memory(options.device) / 2**30
    return judge(
        f"peak memory, a Llama of SmolLM2-135M's size, batch {size.batch}, prompts of {prompt}",
        gib,
        0.0,
        "GiB",
        ratio=gib,
        aim="<= 5",
        detail={"not_captured": backbone.graphs.problem},
    )
