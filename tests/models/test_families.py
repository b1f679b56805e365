"""Logits through encode, advance and the head equal ``model(...).logits``, for many model families."""

import checkpoints
import pytest
import torch
from checkpoints import LLAMA, SEQ
from random_models import random_backbone, wrapped

from tiny import EOS, PAD, SEPARATOR, batch_of, warmups_of
from warmup_bench.contracts.errors import UserError
from warmup_bench.contracts.method import Coefficients, Method
from warmup_bench.contracts.settings import Warmup
from warmup_bench.models.rollout import sample_warmups
from warmup_bench.train.loss import batch_loss
from warmup_bench.train.objective import Objective
from warmup_bench.train.weights import Weights

T5 = {**checkpoints.T5, "d_kv": 4, "num_layers": 2, "num_decoder_layers": 2, "num_heads": 4}
BART = {**SEQ, "encoder_layers": 2, "decoder_layers": 2, "encoder_layerdrop": 0.0, "decoder_layerdrop": 0.0}
BART |= {"encoder_attention_heads": 4, "decoder_attention_heads": 4}
PAIRED = {
    "t5": ("t5", T5),
    "t5-untied": ("t5", {**T5, "tie_word_embeddings": False, "feed_forward_proj": "gated-gelu"}),
    "mt5": ("mt5", {**T5, "tie_word_embeddings": False}),
    "mt5-tied": ("mt5", {**T5, "tie_word_embeddings": True}),
    "bart": ("bart", {**BART, "bos_token_id": PAD, "decoder_start_token_id": EOS, "scale_embedding": True}),
    "mbart": ("mbart", {**BART, "bos_token_id": PAD, "decoder_start_token_id": EOS}),
    "marian": ("marian", {**BART, "decoder_start_token_id": PAD, "scale_embedding": True}),
    "m2m_100": ("m2m_100", {**BART, "decoder_start_token_id": EOS, "scale_embedding": True}),
}
CAUSAL = {
    "llama": ("llama", LLAMA),
    "qwen2": ("qwen2", LLAMA),
    "mistral": ("mistral", LLAMA),
    "gpt2": ("gpt2", {"n_embd": 16, "n_layer": 2, "n_head": 4, "n_positions": 64}),
    "opt": ("opt", {**LLAMA, "ffn_dim": 32, "word_embed_proj_dim": 16}),
    "bloom": ("bloom", {"hidden_size": 16, "n_layer": 2, "n_head": 4}),
    "cohere": ("cohere", {**LLAMA, "logit_scale": 0.3}),
    "granite": ("granite", {**LLAMA, "logits_scaling": 3.0}),
}
SOURCES = [[3, 4, 5, 6, 7, EOS], [8, 9, 3, EOS], [10, EOS]]
WRITTEN = [[5, 6, SEPARATOR, 7, EOS], [9, 9, SEPARATOR, 3, EOS], [11, 4, 8, 7, EOS]]


@pytest.mark.parametrize("name", [*PAIRED, *CAUSAL])
@torch.no_grad()
def test_logits_equal_the_models_own(name):
    backbone = random_backbone(*{**PAIRED, **CAUSAL}[name])
    model = backbone.model
    width = max(len(source) for source in SOURCES)
    source = torch.tensor([row + [PAD] * (width - len(row)) for row in SOURCES])
    mask = torch.tensor([[1] * len(row) + [0] * (width - len(row)) for row in SOURCES])
    written = torch.tensor(WRITTEN)
    state = backbone.encode(source, mask)
    hidden = [state.hidden[:, None], backbone.advance(state, written[:, :2])]  # two tokens at once ...
    hidden += [backbone.advance(state, written[:, k : k + 1]) for k in (2, 3)]  # ... and one at a time
    logits = backbone.logits(torch.cat(hidden, dim=1))
    for row, (x, y) in enumerate(zip(SOURCES, WRITTEN, strict=True)):
        if name in PAIRED:
            decoder = torch.tensor([[model.config.decoder_start_token_id, *y[:-1]]])
            expected = model(input_ids=torch.tensor([x]), decoder_input_ids=decoder).logits[0]
        else:
            expected = model(torch.tensor([x + y[:-1]])).logits[0, len(x) - 1 :]
        assert expected.std() > 0.1
        torch.testing.assert_close(logits[row], expected, atol=2e-5, rtol=0)


def test_the_head_is_tried_in_eval_mode_and_the_mode_is_put_back():
    model = random_backbone("t5", {**T5, "dropout_rate": 0.5}).model
    for training in (True, False):
        model.train(training)
        backbone = wrapped(model)
        assert model.training == training
        assert backbone.head_scale == 16**-0.5


def test_a_bias_of_the_logits_follows_the_model():
    """It is a buffer: when the model moves, a tensor that was kept aside would stay behind."""
    backbone = random_backbone(*PAIRED["marian"])
    model = backbone.model
    hidden = torch.randn(2, 16)
    before = backbone.logits(hidden)
    model.final_logits_bias = model.final_logits_bias + 1.0  # as a move to a device would replace it
    torch.testing.assert_close(backbone.logits(hidden), before + 1.0)


def test_a_family_with_logits_of_its_own_is_refused():
    """Gemma 2 bends its logits after the head; scoring without that would be another model."""
    settings = {**LLAMA, "head_dim": 4, "query_pre_attn_scalar": 4, "final_logit_softcapping": 1.0}
    with pytest.raises(UserError, match="'gemma2'"):
        random_backbone("gemma2", settings)


def head_gradient(name, dtype, untied, monkeypatch):
    """Of a step that draws warmups, and learns given ones and the targets."""
    backbone = random_backbone(*{**PAIRED, **CAUSAL}[name])
    head = backbone.model.get_output_embeddings()
    head.weight.data *= 0.1  # far from certain: of what is, a rounded logarithm says nothing
    if untied:
        head.weight = torch.nn.Parameter(head.weight.detach().flip(1))
    given = warmups_of([[5], [9, 4], [4, 5, 6]], 3)

    def drawn(*arguments, **options):
        sample_warmups(*arguments, **options)
        return given

    monkeypatch.setattr("warmup_bench.train.rounds.sample_warmups", drawn)
    both = Method("", "", "", "sampled", lambda r: Coefficients(torch.ones_like(r.lc), torch.ones_like(r.ly)))
    batch = batch_of(SOURCES, [row[:-1] for row in WRITTEN])
    backbone.model.train()
    weights = Weights(backbone, dtype)
    objective = Objective(both, Warmup(samples=1, max_tokens=3))
    batch_loss(backbone, batch, objective, torch.full((3, 1, 4), 0.5)).value.backward()
    weights.collect()
    trained = [p for p in backbone.model.parameters() if p.requires_grad]
    (gradient,) = (m.grad for m, p in zip(weights.masters, trained, strict=True) if p is head.weight)
    return gradient.to_dense().flatten()


@pytest.mark.parametrize("untied", [True, False])
@pytest.mark.parametrize("name", [*PAIRED, *CAUSAL])
def test_the_heads_gradient_in_bfloat16_is_that_of_float32(name, untied, monkeypatch):
    """Autocast of torch 2.9 dropped it where the head had been used without gradient, to draw warmups."""
    exact, rounded = (head_gradient(name, dtype, untied, monkeypatch) for dtype in ("float32", "bfloat16"))
    assert rounded.dtype == torch.float32
    assert torch.cosine_similarity(exact, rounded, dim=0) > 0.9
    assert float(rounded.norm() / exact.norm()) == pytest.approx(1, abs=0.2)
