"""Decoding a test set, greedily and by beam search, against transformers' ``generate``.

Both get the same model, the same inputs in the same batches (sorted by length, longest first) and give the
same outputs, which is checked: an output that differs is written again in float64, where it must not differ.
Random weights repeat one token and never end: so the matrices inside the layers are scaled up, which makes
the outputs wander, and the head's row of eos is a random direction whose length is set by bisection until the
mean greedy output is about half the cap. Lengths then run from a few tokens to the cap, as on a real test
set. The rows of pad and separator are zero: neither can win, so ``generate`` needs no processor to ban them.
The direct path is timed, since ``generate`` knows no warmup.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from statistics import mean, median

import torch

from benchmarks.models import EOS, FIRST, PAD, SEPARATOR, SIZES, Size, make_llama, make_t5, parameters
from benchmarks.record import Options, Record, judge
from benchmarks.timing import interleave, profile, timed
from warmup_bench.contracts.settings import Decode
from warmup_bench.decode import greedy, infer
from warmup_bench.models.base import Backbone

STIR = 6.0
"""Factor on the matrices inside the layers."""
SHORTEST, LONGEST = 6, 40
"""Source lengths are uniform between them."""

Outputs = list[list[int]]
"""Ids by input, without eos."""
Decoder = Callable[[Outputs], Outputs]
"""Outputs of some sources, in the type that the weights have."""


@dataclass(frozen=True, slots=True)
class Job:
    """How much is decoded: inputs, inputs at once, most tokens of an output, and beams of the search."""

    inputs: int
    batch: int
    cap: int = 40
    beams: int = 4


JOBS = {"tiny": Job(6, 3, cap=10), "mini": Job(192, 64), "t5-small": Job(24, 8), "t5-base": Job(256, 64)}


def measure(options: Options) -> list[Record]:
    """Records of every size, architecture and search: seconds for the test set."""
    records = []
    for name in options.sizes:
        for make in (make_t5, make_llama):
            backbone = make(SIZES[name], device=options.device)
            sources = random_sources(SIZES[name], JOBS[name].inputs)
            stir(backbone, sources[:16], JOBS[name].cap)
            backbone.compute_in(options.dtype)
            for beams in (1, JOBS[name].beams):
                records.append(_compare(backbone, sources, name, beams, options))
    return records


def random_sources(size: Size, count: int) -> list[list[int]]:
    """Sources of plain tokens, of many lengths."""
    generator = torch.Generator().manual_seed(3)
    lengths = torch.randint(SHORTEST, LONGEST + 1, (count,), generator=generator).tolist()
    return [torch.randint(FIRST, size.vocabulary, (n,), generator=generator).tolist() for n in lengths]


@torch.no_grad()
def stir(backbone: Backbone, sources: list[list[int]], cap: int) -> None:
    """Change random weights so that greedy outputs wander, and end after about half the cap on average."""
    backbone.model.eval()
    head = backbone.model.get_output_embeddings().weight
    for _, parameter in backbone.model.named_parameters():
        if parameter.dim() > 1 and parameter is not head:
            parameter.mul_(STIR)
    head[[PAD, SEPARATOR]] = 0.0
    direction, low, high = head[EOS].clone(), 0.0, 8.0
    for _ in range(8):
        head[EOS] = direction * (low + high) / 2
        found = greedy(backbone, sources, warmup_cap=0, output_cap=cap)
        if mean(len(d.output) for d in found) > cap / 2:
            low = (low + high) / 2
        else:
            high = (low + high) / 2


def _compare(backbone: Backbone, sources: list[list[int]], name: str, beams: int, options: Options) -> Record:
    job, device = JOBS[name], options.device
    settings = Decode(batch_size=job.batch * beams, max_tokens=job.cap, beams=beams)
    outputs: dict[str, Outputs] = {}

    def ours(sources: Outputs) -> Outputs:
        found, _ = infer(backbone, sources, settings, warmup_cap=0, seed=0, report=lambda *_: None)
        return [d.output for d in found]

    def theirs(sources: Outputs) -> Outputs:
        return generated(backbone, sources, replace(job, beams=beams))

    decoders: dict[str, Decoder] = {"ours": ours, "generate": theirs}

    def step(side: str) -> None:
        outputs[side] = decoders[side](sources)

    steps = {side: partial(step, side) for side in decoders}
    times = interleave({key: timed(step, device) for key, step in steps.items()}, options.rounds, device)
    lengths = sorted(map(len, outputs["ours"]))
    architecture = "T5" if backbone.architecture == "encoder-decoder" else "Llama"
    search = "greedy" if beams == 1 else f"beam {beams}"
    what = f"{search}, {architecture} {name}"
    rounded, wrong = differing(backbone, sources, outputs, decoders)
    if wrong:
        raise AssertionError(f"{what}: {wrong} of {len(sources)} outputs are not those of generate")
    same = len(sources) - rounded
    record = judge(
        f"decoding against generate, {what}",
        times.median("ours"),
        times.median("generate"),
        times.unit,
        ratio=times.ratio("generate", "ours"),
        aim=">= 1.5" if name != "tiny" else "",
        detail={
            **times.detail("generate", "ours"),
            "parameters": parameters(backbone.model),
            "inputs": len(sources),
            "batch": job.batch,
            "check": f"{same} of {len(sources)} outputs are those of generate in {options.dtype}"
            + (f", the other {rounded} in float64" if rounded else ""),
            "equal_outputs": same / len(sources),
            "equal_in_float64": rounded / len(sources),
            "output_lengths": {
                "min": lengths[0],
                "median": median(lengths),
                "max": lengths[-1],
                "at_cap": mean(n == job.cap for n in lengths),
            },
        },
    )
    if options.profile and record.met is False:
        record.detail["profile"] = "\n".join(f"{key}\n{profile(step, device)}" for key, step in steps.items())
    return record


def differing(
    backbone: Backbone, sources: Outputs, outputs: dict[str, Outputs], decoders: dict[str, Decoder]
) -> tuple[int, int]:
    """How many outputs of the two sides differ by rounding, and how many in float64 too.

    Scaled weights magnify rounding: a T5-small's logits move by tenths of their standard deviation between
    float32 and float64. So no bound on a gap between logits tells a near tie from another computation;
    float64, with 29 bits more, does.
    """
    differ = [i for i, (a, b) in enumerate(zip(*outputs.values(), strict=True)) if a != b]
    if not differ:
        return 0, 0
    with _float64(backbone):
        again = [decode([sources[i] for i in differ]) for decode in decoders.values()]
    wrong = sum(a != b for a, b in zip(*again, strict=True))
    return len(differ) - wrong, wrong


@contextmanager
def _float64(backbone: Backbone) -> Iterator[None]:
    """The weights in float64, and as they were afterwards: going there and back is exact."""
    dtype = backbone.model.get_output_embeddings().weight.dtype
    backbone.model.double()
    try:
        yield
    finally:
        backbone.model.to(dtype)
        backbone.graphs.clear()


@torch.no_grad()
def generated(backbone: Backbone, sources: list[list[int]], job: Job) -> list[list[int]]:
    """Outputs of ``generate`` without eos; prompts of a decoder-only model are padded on their left."""
    paired = backbone.architecture == "encoder-decoder"
    order = sorted(range(len(sources)), key=lambda i: -len(sources[i]))
    outputs: dict[int, list[int]] = {}
    for start in range(0, len(order), job.batch):
        picked = order[start : start + job.batch]
        width = len(sources[picked[0]])
        rows = [[PAD] * (width - len(sources[i])) for i in picked]
        rows = [sources[i] + p if paired else p + sources[i] for i, p in zip(picked, rows, strict=True)]
        ids = torch.tensor(rows, device=backbone.device)
        written = backbone.model.generate(
            input_ids=ids,
            attention_mask=(ids != PAD).long(),
            do_sample=False,
            num_beams=job.beams,
            early_stopping=False,
            length_penalty=1.0,
            max_new_tokens=job.cap,
            pad_token_id=PAD,
            eos_token_id=EOS,
        )[:, 1 if paired else width :].tolist()
        for i, row in zip(picked, written, strict=True):
            outputs[i] = row[: row.index(EOS)] if EOS in row else row
    return [outputs[i] for i in range(len(sources))]
