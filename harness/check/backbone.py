"""The backbone of the trial run: a T5 of 16 dimensions, which no table should ever show."""

from warmup_bench.contracts.preset import Preset

BACKBONE = Preset(
    name="trial",
    summary="T5 from scratch, 1+1 layers, width 16, for trial runs",
    architecture="encoder-decoder",
    config={
        "model_type": "t5",
        "d_model": 16,
        "d_kv": 8,
        "d_ff": 32,
        "num_layers": 1,
        "num_decoder_layers": 1,
        "num_heads": 2,
        "tie_word_embeddings": True,
    },
    vocabulary=400,
)
