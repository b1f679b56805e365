"""A method as a training reads it: with the settings of its warmups and the model that it may refer to."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from warmup_bench.contracts.boundary import coefficients_of
from warmup_bench.contracts.method import Coefficients, Method, Rollout, likelihood
from warmup_bench.contracts.settings import Warmup
from warmup_bench.models.base import Backbone


@dataclass(frozen=True, slots=True)
class Objective:
    """A method with the settings of its warmups, and the frozen model that it may refer to."""

    method: Method
    warmup: Warmup
    reference: Backbone | None = None

    @property
    def samples(self) -> int:
        """Rows an input: n where warmups are sampled, else 1."""
        return self.warmup.samples if self.method.warmup == "sampled" else 1

    @property
    def direct_weight(self) -> float:
        """Weight of the path without a warmup beside the method's own loss; 0 where it is that path."""
        return 0.0 if self.method.warmup == "none" else self.warmup.direct_weight

    def coefficients(self, share: float) -> Callable[[Rollout], Coefficients]:
        """What weighs a rollout when ``share`` of the budget is spent.

        In the format stage that is :func:`likelihood`, whatever the method; after it, the method's own, with
        A times ``warmup.credit``. A method that samples no warmup has neither.
        """
        method, settings = self.method, self.warmup
        if method.warmup != "sampled" or (share >= settings.format_share and settings.credit == 1):
            return partial(coefficients_of, method)
        if share < settings.format_share:
            return likelihood

        def scaled(rollout: Rollout) -> Coefficients:
            unscaled = coefficients_of(method, rollout)
            return Coefficients(settings.credit * unscaled.a, unscaled.b)

        return scaled
