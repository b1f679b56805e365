"""``warmup-frozen``: no credit to the sampler, the decisive ablation: are the warmups learned at all?

    A = 0,   B = 1/n

The output learns to use the warmups that the model happens to write; nothing teaches it which to write.
"""

from warmup_bench import Method, likelihood

METHOD = Method(
    name="warmup-frozen",
    summary="output given sampled warmups, no credit to the sampler (ablation)",
    source="ablation",
    warmup="sampled",
    coefficients=likelihood,
)
