"""Backbones by name: from-scratch configurations and public checkpoints, each with the settings to train it.

A preset is data; :mod:`warmup_bench.models.load` turns it into a model. Nothing heavy is imported here.

The paper's own settings are not known to us. Where a way to fine-tune a checkpoint is published by its makers
or by a well-known library, its values are taken and ``sources`` names the place; all others are our choice.
"""

from functools import partial
from typing import Any

from warmup_bench.contracts.preset import Preset

PAIRED, CAUSAL = "encoder-decoder", "decoder-only"
UNKNOWN_CHECKPOINT = {"train": {"learning_rate": 1e-4}, "warm_start": {"steps": 0}}
"""Settings of a checkpoint given by folder or hub id: our choice, a rate that few models are hurt by."""

MINI_T5 = Preset(
    name="mini-t5",
    summary="T5 from scratch, 2+2 layers, width 128, about 1.2M parameters",
    architecture=PAIRED,
    config={
        "model_type": "t5",
        "d_model": 128,
        "d_kv": 32,
        "d_ff": 512,
        "num_layers": 2,
        "num_decoder_layers": 2,
        "num_heads": 4,
        "feed_forward_proj": "relu",
        "tie_word_embeddings": True,
    },
    settings={
        "warm_start": {"learning_rate": 3e-2},
        "train": {"optimizer": "adafactor", "learning_rate": 1e-2},
    },
)
MINI_LLAMA = Preset(
    name="mini-llama",
    summary="Llama from scratch, 3 layers, width 128, about 0.9M parameters",
    architecture=CAUSAL,
    config={
        "model_type": "llama",
        "hidden_size": 128,
        "intermediate_size": 384,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "num_key_value_heads": 4,
        "max_position_embeddings": 1024,
        "tie_word_embeddings": True,
    },
    settings={"warm_start": {"learning_rate": 3e-3}, "train": {"learning_rate": 1e-3}},
)


def _t5(width: int, layers: int, **published: Any) -> dict[str, Any]:
    """The shape of T5, with heads of 64 (Raffel et al. 2020), at another size or as ``published``."""
    return {
        "model_type": "t5",
        "d_model": width,
        "d_kv": 64,
        "d_ff": 4 * width,
        "num_layers": layers,
        "num_decoder_layers": layers,
        "num_heads": width // 64,
        "feed_forward_proj": "relu",
        "tie_word_embeddings": True,
        **published,
    }


def _mt5(width: int, layers: int, hidden: int, heads: int) -> dict[str, Any]:
    """The shape of an mT5 (Xue et al. 2021): gated units, an output projection of its own, 250,112 tokens."""
    return _t5(
        width,
        layers,
        model_type="mt5",
        d_ff=hidden,
        num_heads=heads,
        feed_forward_proj="gated-gelu",
        tie_word_embeddings=False,
        vocab_size=250112,
    )


def _llama(width: int, layers: int, hidden: int, **published: Any) -> dict[str, Any]:
    """The shape of Llama, with heads of 64, at another size or as ``published``."""
    return {
        "model_type": "llama",
        "hidden_size": width,
        "intermediate_size": hidden,
        "num_hidden_layers": layers,
        "num_attention_heads": width // 64,
        "num_key_value_heads": width // 64,
        "max_position_embeddings": 2048,
        "tie_word_embeddings": True,
        **published,
    }


def _scratch(rate: float, warm_rate: float, steps: int, optimizer: str) -> dict[str, Any]:
    """A model from scratch learns the task in the warm start, which all methods share; then they go on."""
    return {
        "warm_start": {"steps": steps, "learning_rate": warm_rate},
        "train": {"optimizer": optimizer, "learning_rate": rate, "batch_size": 64, "dropout": 0.1},
        "budget": {"epochs": 3},
    }


SCRATCH_T5 = Preset(
    name="scratch-t5",
    summary="T5 from scratch for real data, 4+4 layers, width 256, about 9M parameters",
    architecture=PAIRED,
    config=_t5(256, 4),
    vocabulary=8000,
    settings=_scratch(3e-3, 1e-2, 4000, "adafactor"),
)
SCRATCH_LLAMA = Preset(
    name="scratch-llama",
    summary="Llama from scratch for real data, 8 layers, width 256, about 9M parameters",
    architecture=CAUSAL,
    config=_llama(256, 8, 768),
    vocabulary=8000,
    settings=_scratch(3e-4, 1e-3, 4000, "adamw"),
)
SCRATCH_T5_60M = Preset(
    name="scratch-t5-60m",
    summary="T5 from scratch in the shape of T5-small, 6+6 layers, width 512, about 60M parameters",
    architecture=PAIRED,
    config=_t5(512, 6),
    vocabulary=32000,
    settings=_scratch(1e-3, 1e-2, 50_000, "adafactor"),
)
SCRATCH_LLAMA_60M = Preset(
    name="scratch-llama-60m",
    summary="Llama from scratch, 12 layers, width 512, about 57M parameters",
    architecture=CAUSAL,
    config=_llama(512, 12, 1536),
    vocabulary=32000,
    settings=_scratch(3e-4, 6e-4, 50_000, "adamw"),
)


def _pretrained(*, epochs: float, batch_size: int = 32, **train: Any) -> dict[str, Any]:
    return {
        "warm_start": {"steps": 0},
        "train": {"batch_size": batch_size, **train},
        "budget": {"epochs": epochs},
    }


# Adafactor with steps relative to the weights, a constant rate, dropout: as T5's makers fine-tune.
_T5_SETTINGS = _pretrained(
    epochs=3, optimizer="adafactor", learning_rate=1e-3, schedule="constant", dropout=0.1
)
_T5_KEYS = ("train.optimizer", "train.learning_rate", "train.schedule", "train.dropout")
_tuned_t5 = partial(
    Preset,
    architecture=PAIRED,
    settings=_T5_SETTINGS,
    sources=dict.fromkeys(_T5_KEYS, "Raffel et al. 2020, fine-tuning"),
)
_tuned_mt5 = partial(_tuned_t5, sources=dict.fromkeys(_T5_KEYS, "Xue et al. 2021, fine-tuning"))
T5_SMALL = _tuned_t5(
    name="t5-small",
    summary="T5-small, pretrained, 60M parameters (hub: google-t5/t5-small)",
    checkpoint="google-t5/t5-small",
    config=_t5(512, 6, vocab_size=32128),
)
T5_BASE = _tuned_t5(
    name="t5-base",
    summary="T5-base, pretrained, 223M parameters (hub: google-t5/t5-base); the paper's for XSum and LogiQA",
    checkpoint="google-t5/t5-base",
    config=_t5(768, 12, vocab_size=32128),
)
T5_LARGE = _tuned_t5(
    name="t5-large",
    summary="T5-large, pretrained, 738M parameters (hub: google-t5/t5-large)",
    checkpoint="google-t5/t5-large",
    config=_t5(1024, 24, vocab_size=32128),
)
MT5_SMALL = _tuned_mt5(
    name="mt5-small",
    summary="mT5-small, pretrained, 101 languages, 300M parameters (hub: google/mt5-small)",
    checkpoint="google/mt5-small",
    config=_mt5(512, 8, hidden=1024, heads=6),
)
MT5_BASE = _tuned_mt5(
    name="mt5-base",
    summary="mT5-base, pretrained, 582M parameters (hub: google/mt5-base); the paper's for translation",
    checkpoint="google/mt5-base",
    config=_mt5(768, 12, hidden=2048, heads=12),
)
_BART_KEYS = ("learning_rate", "dropout", "weight_decay", "max_grad_norm", "lr_warmup_steps")
_tuned_bart = partial(
    Preset,
    architecture=PAIRED,
    settings=_pretrained(
        epochs=3, learning_rate=3e-5, dropout=0.1, weight_decay=0.01, max_grad_norm=0.1, lr_warmup_steps=500
    ),
    sources={f"train.{key}": "fairseq, examples/bart/README.summarization.md" for key in _BART_KEYS},
)
BART_BASE = _tuned_bart(
    name="bart-base",
    summary="BART-base, pretrained, English, 139M parameters (hub: facebook/bart-base)",
    checkpoint="facebook/bart-base",
)
BART_LARGE = _tuned_bart(
    name="bart-large",
    summary="BART-large, pretrained, English, 406M parameters (hub: facebook/bart-large)",
    checkpoint="facebook/bart-large",
)
MBART_50 = Preset(
    name="mbart-50",
    summary="mBART-50, pretrained, told the task's languages, 611M parameters (hub: facebook/mbart-large-50)",
    architecture=PAIRED,
    checkpoint="facebook/mbart-large-50",
    settings=_pretrained(epochs=3, learning_rate=3e-5, dropout=0.1, lr_warmup_steps=2500),
    sources=dict.fromkeys(
        ("train.learning_rate", "train.lr_warmup_steps"), "fairseq, examples/mbart/README.md"
    ),
)
_RATE_AND_EPOCHS = ("train.learning_rate", "budget.epochs")
GPT2 = Preset(
    name="gpt2",
    summary="GPT-2, pretrained, English, 124M parameters (hub: openai-community/gpt2)",
    architecture=CAUSAL,
    checkpoint="openai-community/gpt2",
    settings=_pretrained(epochs=3, learning_rate=5e-5),
    sources=dict.fromkeys(
        _RATE_AND_EPOCHS, "transformers, defaults of Trainer in its language-modelling example"
    ),
)
_tuned_smollm2 = partial(
    Preset,
    architecture=CAUSAL,
    settings=_pretrained(epochs=2, learning_rate=1e-3, lr_warmup_steps=100),
    sources=dict.fromkeys(_RATE_AND_EPOCHS, "alignment-handbook, recipes/smollm2/sft/config_smol.yaml"),
)
SMOLLM2_135M = _tuned_smollm2(
    name="smollm2-135m",
    summary="SmolLM2-135M, pretrained, English, 135M parameters (hub: HuggingFaceTB/SmolLM2-135M)",
    checkpoint="HuggingFaceTB/SmolLM2-135M",
    config=_llama(576, 30, 1536, num_key_value_heads=3, vocab_size=49152),
)
SMOLLM2_360M = _tuned_smollm2(
    name="smollm2-360m",
    summary="SmolLM2-360M, pretrained, English, 362M parameters (hub: HuggingFaceTB/SmolLM2-360M)",
    checkpoint="HuggingFaceTB/SmolLM2-360M",
    config=_llama(960, 32, 2560, num_key_value_heads=5, vocab_size=49152),
)
_QWEN_SETTINGS = _pretrained(epochs=1, learning_rate=2e-5)
QWEN25_05B = Preset(
    name="qwen2.5-0.5b",
    summary="Qwen2.5-0.5B, pretrained, many languages, 494M parameters (hub: Qwen/Qwen2.5-0.5B)",
    architecture=CAUSAL,
    checkpoint="Qwen/Qwen2.5-0.5B",
    settings=_QWEN_SETTINGS,
    sources=dict.fromkeys(
        _RATE_AND_EPOCHS, "torchtune, recipes/configs/qwen2_5/0.5B_full_single_device.yaml"
    ),
)
QWEN3_06B = Preset(
    name="qwen3-0.6b",
    summary="Qwen3-0.6B, pretrained, many languages, 596M parameters (hub: Qwen/Qwen3-0.6B-Base)",
    architecture=CAUSAL,
    checkpoint="Qwen/Qwen3-0.6B-Base",
    settings=_QWEN_SETTINGS,
)
_LLAMA_1B_SHAPE = _llama(2048, 16, 8192, num_key_value_heads=8, vocab_size=128256)
LLAMA_1B = Preset(
    name="llama-3.2-1b",
    summary="Llama-3.2-1B, pretrained, 1.2B parameters, gated (hub: meta-llama/Llama-3.2-1B); the paper's",
    architecture=CAUSAL,
    checkpoint="meta-llama/Llama-3.2-1B",
    config=_LLAMA_1B_SHAPE,
    settings=_pretrained(epochs=3, batch_size=16, learning_rate=2e-5),
    sources=dict.fromkeys(
        ("train.learning_rate", "train.batch_size", "budget.epochs"),
        "torchtune, recipes/configs/llama3_2/1B_full.yaml (4 x 4 a device)",
    ),
)
_LORA_SETTINGS = {
    **_pretrained(epochs=1, batch_size=32, learning_rate=3e-4, weight_decay=0.01, lr_warmup_steps=100),
    "lora": {"rank": 64, "alpha": 128},
}
_LORA_KEYS = (
    *(f"train.{key}" for key in ("batch_size", "learning_rate", "weight_decay", "lr_warmup_steps")),
    *("budget.epochs", "lora.rank", "lora.alpha"),
)
LLAMA_1B_LORA = Preset(
    name="llama-3.2-1b-lora",
    summary="Llama-3.2-1B with LoRA of rank 64 on every linear layer, gated (hub: meta-llama/Llama-3.2-1B)",
    architecture=CAUSAL,
    checkpoint="meta-llama/Llama-3.2-1B",
    config=_LLAMA_1B_SHAPE,
    settings=_LORA_SETTINGS,
    sources=dict.fromkeys(_LORA_KEYS, "torchtune, recipes/configs/llama3_2/1B_lora_single_device.yaml"),
)
LLAMA_3B_LORA = Preset(
    name="llama-3.2-3b-lora",
    summary="Llama-3.2-3B with LoRA of rank 64 on every linear layer, gated (hub: meta-llama/Llama-3.2-3B)",
    architecture=CAUSAL,
    checkpoint="meta-llama/Llama-3.2-3B",
    config=_llama(
        3072, 28, 8192, num_attention_heads=24, num_key_value_heads=8, head_dim=128, vocab_size=128256
    ),
    settings=_LORA_SETTINGS,
    sources=dict.fromkeys(_LORA_KEYS, "torchtune, recipes/configs/llama3_2/3B_lora_single_device.yaml"),
)
