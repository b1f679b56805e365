"""``pocket``: a T5 of 16 dimensions."""

from warmup_bench import Preset

POCKET = Preset(
    name="pocket",
    summary="T5 from scratch, 1+1 layers, width 16",
    architecture="encoder-decoder",
    vocabulary=300,
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
    settings={
        "warm_start": {"steps": 4},
        "budget": {"steps": 4},
        "train": {"batch_size": 8, "eval_examples": 4},
        "warmup": {"samples": 2, "max_tokens": 2},
        "decode": {"max_tokens": 6},
    },
)
