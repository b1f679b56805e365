"""The contract of a training method: a pure function from a rollout to two tables of coefficients.

Every method shares the sampling and the scoring of :mod:`warmup_bench.models.rollout`; the loss of one input
is

    loss = - sum_i [ sg(A_i) * lc_i + sg(B_i) * ly_i ]

with lc_i = log p(c_i | x), ly_i = log p(y | x, c_i) (sums over tokens, fp32) and sg the stop-gradient. A
difference between two rows of a table is then a difference between objectives, never between two loops.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, slots=True)
class Rollout:
    """What a method may look at, detached from the graph; of sampled warmups without dropout.

    Attributes:
        lc: log p(c_i | x), [batch, samples], fp32; 0 where the method has no warmup.
        ly: log p(y | x, c_i), [batch, samples], fp32.
        lengths: Tokens of c_i without the separator, [batch, samples].
        forced: True where the separator was forced at the length cap, [batch, samples]; False without a c.
        distinct: True at the first of each set of equal warmups of an input, [batch, samples].
        noise: Uniform draws in [0, 1), [batch, samples], for methods that draw; a function of the seed.
        lc_reference: log p(c_i | x) under the frozen warm start, [batch, samples]; None unless asked for.
    """

    lc: Tensor
    ly: Tensor
    lengths: Tensor
    forced: Tensor
    distinct: Tensor
    noise: Tensor
    lc_reference: Tensor | None = None

    @property
    def samples(self) -> int:
        """Warmups an input, n."""
        return self.ly.shape[1]

    @property
    def effective_sample_size(self) -> Tensor:
        """That of :func:`effective_sample_size`, [batch]."""
        return effective_sample_size(self.ly)


def effective_sample_size(ly: Tensor) -> Tensor:
    """1 / sum_i s_i^2 with s = softmax(ly) over the samples (Kong 1992), [batch] of [batch, samples].

    From 1, where one sample has all the weight, to the number of samples, where all weigh the same.
    """
    return 1.0 / ly.softmax(dim=1).square().sum(dim=1)


@dataclass(frozen=True, slots=True)
class Coefficients:
    """A (of lc) and B (of ly), each [batch, samples], fp32."""

    a: Tensor
    b: Tensor


@dataclass(frozen=True, slots=True)
class Giving:
    """What a method that gives its warmups may look at, for the examples of one split.

    Attributes:
        sources, targets: Texts of the examples; ``targets`` is None at inference.
        target_ids: Ids of every target of the training split, eos not among them.
        cap: Most tokens of a warmup.
        encode: Ids of a text, without special tokens.
        draft: Greedy outputs of the frozen warm start for the examples, as ids; decoded when called.
        seed: For methods that draw.
    """

    sources: Sequence[str]
    targets: Sequence[str] | None
    target_ids: Sequence[Sequence[int]]
    cap: int
    encode: Callable[[str], list[int]]
    draft: Callable[[], list[list[int]]]
    seed: int


@dataclass(frozen=True)
class Sampler:
    """How many warmups each input of a batch gets in training, and where they come from.

    Any method that samples takes one as an option, ``warmup:sampler=pilot``. A method sees only rows of one
    length, inputs with as many warmups together. Whether that keeps its estimator unbiased is for the
    sampler's docstring to say.

    Attributes:
        name: As it is asked for.
        summary: One line.
        first: Called with (share of the budget that is spent, n): warmups of every input in the first round.
        more: Called after a round with (ly of the inputs that were in it, [inputs, drawn]; n): True for
            the inputs that go on, [inputs], and how many warmups each of them gets; None: one round.
        replayed: Share of an input's warmups that is taken from its last visit, where it had one.
        clip: Largest importance weight p(c|x) now / then of a replayed warmup.
    """

    name: str
    summary: str
    first: Callable[[float, int], int]
    more: Callable[[Tensor, int], tuple[Tensor, int]] | None = None
    replayed: float = 0.0
    clip: float = 2.0


@dataclass(frozen=True)
class Method:
    """A training method.

    An entry point names a method, or a function with keyword defaults that returns one: a user then sets an
    option behind a colon, ``warmup-garl:q=0.75``.

    Attributes:
        name: Row name in tables.
        summary: One line for ``warmup-bench list methods``.
        source: Where the formula comes from.
        warmup: "sampled": c is drawn from the model; "given": one c an input comes from :attr:`give`;
            "none": the direct path, no c and no separator.
        coefficients: Pure function of the rollout.
        give: For "given": the warmup of every example, as ids.
        given_at_inference: For "given": whether :attr:`give` also makes the warmups of the test inputs
            (a control), or the model writes its own (it was taught to).
        drafts: For "given": whether :attr:`give` asks for drafts; read by estimates of what a run costs.
        reference: Whether ``Rollout.lc_reference`` is needed.
        sampler: How warmups are drawn in training; None: n for every input, from the model as it is.
    """

    name: str
    summary: str
    source: str
    warmup: Literal["none", "sampled", "given"]
    coefficients: Callable[[Rollout], Coefficients]
    give: Callable[[Giving], list[list[int]]] | None = None
    given_at_inference: bool = True
    drafts: bool = False
    reference: bool = False
    sampler: Sampler | None = None

    @property
    def gives_at_inference(self) -> bool:
        """Whether warmups of test inputs are given rather than written by the model."""
        return self.warmup == "given" and self.given_at_inference


def likelihood(rollout: Rollout) -> Coefficients:
    """Supervised fine-tuning, A = 0 and B = 1/n: the gradient of the mean of log p(y | x, c_i)."""
    return Coefficients(
        a=rollout.lc.new_zeros(rollout.lc.shape),
        b=rollout.ly.new_full(rollout.ly.shape, 1.0 / rollout.ly.shape[1]),
    )
