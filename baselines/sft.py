"""``sft``: supervised fine-tuning on the direct path, the baseline of every table.

    A = 0,  B = 1 (no warmup):  the gradient of log p(y | x).

Maximum likelihood of the target given the input; no warmup and no separator are written.
"""

from warmup_bench import Method, likelihood

METHOD = Method(
    name="sft",
    summary="supervised fine-tuning: log p(y|x), no warmup",
    source="maximum likelihood",
    warmup="none",
    coefficients=likelihood,
)
