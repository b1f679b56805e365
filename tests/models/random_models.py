"""Tiny models of many families with random weights."""

import torch

from tiny import EOS, PAD, SEPARATOR
from warmup_bench.models.costs import measure_costs
from warmup_bench.models.families import DecoderOnly, EncoderDecoder
from warmup_bench.models.state import SpecialTokens

TOKENS = SpecialTokens(PAD, EOS, SEPARATOR)


def model_of(config):
    """A new model of a transformers configuration."""
    from transformers import AutoModelForCausalLM, AutoModelForSeq2SeqLM

    auto = AutoModelForSeq2SeqLM if config.is_encoder_decoder else AutoModelForCausalLM
    return auto.from_config(config)


def wrapped(model, tokens=TOKENS):
    """A model as a backbone without a tokenizer."""
    if model.config.is_encoder_decoder:
        return EncoderDecoder(model, None, tokens, measure_costs(model))
    return DecoderOnly(model, None, tokens, measure_costs(model), prefix=[], suffix=[])


def random_backbone(kind, settings):
    """A backbone of 12 tokens far from its initialisation: every weight counts."""
    from transformers import AutoConfig

    special = {"pad_token_id": PAD, "eos_token_id": EOS, "bos_token_id": EOS}
    config = AutoConfig.for_model(kind, vocab_size=12, **special | settings)
    if config.is_encoder_decoder and getattr(config, "decoder_start_token_id", None) is None:
        config.decoder_start_token_id = PAD
    torch.manual_seed(0)
    model = model_of(config).eval()
    generator = torch.Generator().manual_seed(1)
    for tensor in [*model.parameters(), getattr(model, "final_logits_bias", torch.zeros(1))]:
        tensor.data.add_(0.3 * torch.randn(tensor.shape, generator=generator))
    return wrapped(model)
