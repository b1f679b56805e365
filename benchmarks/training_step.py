"""Seconds of a training step: SFT, warmup, and warmup as one would write it by hand with transformers.

    python benchmarks/training_step.py --size mini --repeats 10 --json step.json

The three are timed in turn, A B C A B C, in one process on one thread, on random tokens without padding. The
hand-written step samples with ``generate`` (n return sequences, no top-k) and scores with a second forward
pass that encodes every sample's source again. For the warmups that it draws, both give the same numbers.
"""

import argparse
import json
import platform
import statistics
import time
from pathlib import Path

import numpy as np
import torch

from baselines import sft, warmup
from harness.backbones.base import EncoderDecoder, SpecialTokens
from harness.backbones.costs import measure_costs
from harness.batching import Batch
from harness.loss import Objective, batch_loss
from harness.rollout import Warmups, lay_out, score
from harness.spec import Warmup

SIZES = {
    "mini": {
        "d_model": 128,
        "d_kv": 32,
        "d_ff": 512,
        "layers": 2,
        "heads": 4,
        "vocabulary": 2000,
        "batch": 32,
    },
    "t5-small": {
        "d_model": 512,
        "d_kv": 64,
        "d_ff": 2048,
        "layers": 6,
        "heads": 8,
        "vocabulary": 32128,
        "batch": 4,
    },
}
SAMPLES, CAP, SOURCE, TARGET = 4, 16, 24, 24


def make(size: dict[str, int]) -> EncoderDecoder:
    """A T5 of random weights."""
    from transformers import T5Config, T5ForConditionalGeneration

    torch.manual_seed(0)
    config = T5Config(
        vocab_size=size["vocabulary"],
        d_model=size["d_model"],
        d_kv=size["d_kv"],
        d_ff=size["d_ff"],
        num_layers=size["layers"],
        num_decoder_layers=size["layers"],
        num_heads=size["heads"],
        dropout_rate=0.0,
        decoder_start_token_id=0,
    )
    model = T5ForConditionalGeneration(config)
    return EncoderDecoder(model, None, SpecialTokens(0, 1, 2), measure_costs(model))


def by_hand(backbone: EncoderDecoder, batch: Batch) -> torch.Tensor:
    """The loss as a user would write it; without the separator while sampling, every c has the cap."""
    model, rows = backbone.model, batch.size * SAMPLES
    model.eval()
    with torch.no_grad():
        written = model.generate(
            input_ids=batch.source,
            attention_mask=batch.mask,
            do_sample=True,
            top_k=0,
            num_return_sequences=SAMPLES,
            max_new_tokens=CAP,
            min_new_tokens=CAP,
            suppress_tokens=[0, 1, 2],
        )
    model.train()
    c = written[:, 1 : 1 + CAP]
    separator = c.new_full((rows, 1), 2)
    sequence = torch.cat([c, separator, batch.target.repeat_interleave(SAMPLES, 0)], dim=1)
    logits = model(
        input_ids=batch.source.repeat_interleave(SAMPLES, 0),
        attention_mask=batch.mask.repeat_interleave(SAMPLES, 0),
        decoder_input_ids=torch.cat([torch.zeros_like(separator), sequence[:, :-1]], dim=1),
    ).logits.float()
    policy = logits[:, :CAP].index_fill(-1, torch.tensor([0, 1]), -torch.inf).log_softmax(-1)
    lc = policy.gather(2, c[..., None]).sum((1, 2)).view(-1, SAMPLES)
    ly = (
        logits[:, CAP + 1 :]
        .log_softmax(-1)
        .gather(2, sequence[:, CAP + 1 :, None])
        .sum((1, 2))
        .view(-1, SAMPLES)
    )
    check_scores(backbone, batch, c, lc, ly)
    weights = ly.detach().softmax(1)
    return -((weights - 1 / SAMPLES) * lc + weights * ly).sum()


CHECKED: list[float] = []


def check_scores(
    backbone: EncoderDecoder, batch: Batch, c: torch.Tensor, lc: torch.Tensor, ly: torch.Tensor
) -> None:
    """Once: the harness gives the same numbers for the warmups that were drawn by hand."""
    if CHECKED:
        return
    full = torch.full((c.shape[0],), CAP)
    warmups = Warmups(c, full, full < 0, torch.zeros(c.shape[0]))
    rows = batch.target.repeat_interleave(SAMPLES, 0), batch.target_lengths.repeat_interleave(SAMPLES)
    with torch.no_grad():
        state = backbone.encode(batch.source, batch.mask).repeat(SAMPLES)
        ours = score(backbone, state, lay_out(backbone, warmups, *rows, direct=False))
        apart = [(o.view(-1, SAMPLES) - t).abs().max() for o, t in zip(ours, (lc, ly), strict=True)]
    CHECKED.append(max(map(float, apart)))


def main() -> None:
    """Time the three steps and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", choices=SIZES, default="mini")
    parser.add_argument("--repeats", type=int, default=10)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    size = SIZES[arguments.size]
    backbone = make(size)
    generator = torch.Generator().manual_seed(1)
    source = torch.randint(3, size["vocabulary"], (size["batch"], SOURCE), generator=generator)
    target = torch.randint(3, size["vocabulary"], (size["batch"], TARGET), generator=generator)
    batch = Batch(source, torch.ones_like(source), target, torch.full((size["batch"],), TARGET))
    settings = Warmup(samples=SAMPLES, max_tokens=CAP)
    flops: dict[str, float] = {}

    def ours(name: str, objective: Objective) -> torch.Tensor:
        draws = torch.rand((size["batch"], objective.samples, CAP + 1), generator=generator)
        loss = batch_loss(backbone, batch, objective, draws)
        flops[name] = loss.flops
        return loss.value

    steps = {
        "sft": lambda: ours("sft", Objective(sft.METHOD, settings)),
        "warmup": lambda: ours("warmup", Objective(warmup.METHOD, settings)),
        "by hand": lambda: by_hand(backbone, batch),
    }
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    backbone.model.train()
    for repeat in range(arguments.repeats + 1):
        for name, step in steps.items():
            started = time.perf_counter()
            step().backward()
            backbone.model.zero_grad()
            if repeat:  # the first round warms up
                seconds[name].append(time.perf_counter() - started)
    ratio = statistics.median(np.array(seconds["warmup"]) / np.array(seconds["sft"]))
    faster = statistics.median(np.array(seconds["by hand"]) / np.array(seconds["warmup"]))
    work = flops["warmup"] / flops["sft"]
    for name, values in seconds.items():
        low, high = min(values), max(values)
        print(f"{name:8} {statistics.median(values):8.3f} s   (min {low:.3f}, max {high:.3f})")
    print(f"warmup / sft: {ratio:.2f} in time, {work:.2f} in FLOPs: {ratio / work:.2f} (aim: at most 1.15)")
    print(f"by hand / warmup: {faster:.2f}   largest difference of a log-probability: {CHECKED[0]:.1e}")
    if arguments.json:
        result = {
            "size": arguments.size,
            "seconds": seconds,
            "time_ratio": ratio,
            "flops_ratio": work,
            "by_hand_ratio": faster,
            "difference": CHECKED[0],
            "torch": torch.__version__,
            "machine": platform.processor() or platform.machine(),
        }
        arguments.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
