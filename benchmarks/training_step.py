"""A warmup training step against an SFT step, and against the same step as one would write it by hand.

The three are timed in turn in one process, on random tokens without padding: loss and backward pass, no
optimiser. The step by hand samples with ``generate`` (n return sequences, no top-k) and scores with a second
forward pass that encodes every sample's source again. For the warmups that it draws, both give the same
log-probabilities, which is checked.
"""

import torch
from torch import Tensor

from benchmarks.inputs import CAP, SAMPLES, draws, random_batch
from benchmarks.models import EOS, PAD, SEPARATOR, SIZES, make_t5, parameters
from benchmarks.record import Options, Record, judge
from benchmarks.timing import interleave, profile, timed
from warmup_bench.baselines import sft, warmup
from warmup_bench.contracts.settings import Warmup
from warmup_bench.models.batching import Batch
from warmup_bench.models.families import EncoderDecoder
from warmup_bench.models.rollout import Warmups, lay_out, score
from warmup_bench.models.stacks.rows import Rows
from warmup_bench.train.loss import batch_loss
from warmup_bench.train.objective import Objective

FASTER = {"mini": ">= 2", "t5-small": ">= 1.8", "t5-base": ">= 4"}
"""How many times faster than the step by hand a warmup step is to be."""
WORST_DIFFERENCE = {"float32": 1e-2, "bfloat16": 5.0}
"""Most that a summed log-probability of 24 tokens may differ from the one by hand."""


def measure(options: Options) -> list[Record]:
    """Records of every size: the cost of a warmup step, and its speed against the one by hand."""
    return [record for size in options.sizes for record in _compare(size, options)]


def _compare(name: str, options: Options) -> list[Record]:
    size, device = SIZES[name], options.device
    backbone, hand = make_t5(size, device=device), make_t5(size, device=device)
    backbone.compute_in(options.dtype)
    batch = random_batch(size, device)
    generator = torch.Generator().manual_seed(2)
    settings = Warmup(samples=SAMPLES, max_tokens=CAP)
    counted: dict[str, Tensor] = {}

    def ours(objective: Objective) -> None:
        uniform = draws(size, generator, device)[:, : objective.samples]
        loss = batch_loss(backbone, batch, objective, uniform)
        counted[objective.method.name] = loss.flops
        loss.value.backward()
        backbone.model.zero_grad()

    def step_by_hand() -> None:
        with autocast(options):
            loss, *_ = loss_by_hand(hand, batch, sample_by_hand(hand, batch))
        loss.backward()
        hand.model.zero_grad()

    backbone.model.train()
    hand.model.train()
    steps = {
        "sft": lambda: ours(Objective(sft.METHOD, settings)),
        "warmup": lambda: ours(Objective(warmup.METHOD, settings)),
        "by hand": step_by_hand,
    }
    difference = check(backbone, hand, batch, options)
    times = interleave({key: timed(step, device) for key, step in steps.items()}, options.rounds, device)
    shape = {"parameters": parameters(backbone.model), "batch": size.batch, "samples": SAMPLES, "cap": CAP}
    flops = {key: float(value) for key, value in counted.items()}
    work = flops["warmup"] / flops["sft"]
    measured = times.ratio("warmup", "sft")
    unit, seconds = times.unit, {side: times.median(side) for side in steps}
    detail = {**shape, **times.detail("warmup", "sft"), "flops": flops, "seconds": seconds}
    detail["flops_a_second"] = {key: flops[key] / seconds[key] for key in flops}
    cost = judge(
        f"warmup step / SFT step, against their FLOPs, T5 {name}",
        measured,
        work,
        "times SFT",
        ratio=measured / work,
        aim="<= 1.15",
        detail=detail,
    )
    speed = judge(
        f"warmup step, against generate and a second pass, T5 {name}",
        seconds["warmup"],
        seconds["by hand"],
        unit,
        ratio=times.ratio("by hand", "warmup"),
        aim=FASTER.get(name, ""),
        detail={**shape, **times.detail("by hand", "warmup"), "largest_difference": difference},
    )
    for record in (cost, speed):
        if options.profile and record.met is False:
            record.detail["profile"] = profile(steps["warmup"], device)
    return [cost, speed, _utilisation(name, flops, seconds, unit, options)]


def _utilisation(
    name: str, flops: dict[str, float], seconds: dict[str, float], unit: str, options: Options
) -> Record:
    """Operations a second of a warmup step against those of one large matrix product on the same device."""
    dtype, width = getattr(torch, options.dtype), 8192 if options.device == "cuda" else 1024
    a = torch.randn(width, width, device=options.device, dtype=dtype)
    times = interleave({"product": timed(lambda: a @ a, options.device)}, options.rounds, options.device)
    reached = flops["warmup"] / seconds["warmup"]
    rate = 2 * width**3 / times.median("product")
    return judge(
        f"warmup step, of the measured matrix rate, T5 {name}",
        reached / 1e9,
        rate / 1e9,
        f"GFLOP/{unit}",
        ratio=reached / rate,
        aim="",
        detail={"matrix_width": width, **times.detail("product", "product")},
    )


def autocast(options: Options) -> torch.autocast:
    """How one trains in bfloat16 by hand: each product casts what it reads."""
    return torch.autocast(options.device, dtype=torch.bfloat16, enabled=options.dtype == "bfloat16")


def sample_by_hand(backbone: EncoderDecoder, batch: Batch) -> Tensor:
    """Warmups of ``generate``, [rows, cap]; the separator is left out, so that every c has the cap."""
    model = backbone.model
    model.eval()
    with torch.no_grad():
        written: Tensor = model.generate(
            input_ids=batch.source,
            attention_mask=batch.mask,
            do_sample=True,
            top_k=0,
            num_return_sequences=SAMPLES,
            max_new_tokens=CAP,
            suppress_tokens=[PAD, EOS, SEPARATOR],
        )
    model.train()
    return written[:, 1 : 1 + CAP]


def loss_by_hand(backbone: EncoderDecoder, batch: Batch, c: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The loss as a user would write it, and lc and ly, [batch, samples], of warmups [rows, cap]."""
    separator = c.new_full((c.shape[0], 1), SEPARATOR)
    sequence = torch.cat([c, separator, batch.target.repeat_interleave(SAMPLES, 0)], dim=1)
    logits = backbone.model(
        input_ids=batch.source.repeat_interleave(SAMPLES, 0),
        attention_mask=batch.mask.repeat_interleave(SAMPLES, 0),
        decoder_input_ids=torch.cat([torch.full_like(separator, PAD), sequence[:, :-1]], dim=1),
    ).logits.float()
    banned = torch.tensor([PAD, EOS], device=c.device)
    policy = logits[:, :CAP].index_fill(-1, banned, -torch.inf).log_softmax(-1)
    lc = policy.gather(2, c[..., None]).sum((1, 2)).view(-1, SAMPLES)
    of_y = logits[:, CAP + 1 :].log_softmax(-1)
    ly = of_y.gather(2, sequence[:, CAP + 1 :, None]).sum((1, 2)).view(-1, SAMPLES)
    weights = ly.detach().softmax(1)
    return -((weights - 1 / SAMPLES) * lc + weights * ly).sum(), lc, ly


@torch.no_grad()
def check(backbone: EncoderDecoder, hand: EncoderDecoder, batch: Batch, options: Options) -> float:
    """Largest difference of a log-probability by hand and by the harness, for the warmups drawn by hand.

    Raises:
        AssertionError: It is too large: the two steps would not do the same work.
    """
    with autocast(options):
        c = sample_by_hand(hand, batch)
        _, *theirs = loss_by_hand(hand, batch, c)
    bound = WORST_DIFFERENCE[options.dtype]
    full = torch.full((c.shape[0],), CAP, device=c.device)
    warmups = Warmups(c, full, full < 0, torch.zeros(c.shape[0], device=c.device))
    rows = batch.target.repeat_interleave(SAMPLES, 0), batch.target_lengths.repeat_interleave(SAMPLES)
    state = backbone.encode(batch.source, batch.mask)
    sequences = lay_out(backbone, warmups, *rows, direct=False)
    ours = score(backbone, state, sequences, Rows.regular(batch.size, SAMPLES, c.device))
    pairs = zip(ours, theirs, strict=True)
    difference = max(float((o.view(-1, SAMPLES) - t).abs().max()) for o, t in pairs)
    if not difference <= bound:
        raise AssertionError(
            f"log-probabilities by hand differ by {difference:.2g}, at most {bound} was expected"
        )
    return difference
