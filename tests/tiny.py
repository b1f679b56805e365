"""Tiny real models, and their numbers worked out without the harness.

The reference runs ``model(...).logits`` in fp64 on one unpadded sequence at a time: no cache, no batch, no
padding, its own mask of the tokens that a warmup may not hold.
"""

import copy
import itertools

import torch

PAD, EOS, SEPARATOR, ANSWER = 0, 1, 2, 3
CONTENT = (4, 5)
"""Tokens that a warmup and a target are made of, unless a model is made with a larger vocabulary."""


def make_t5(*, vocabulary=6, dropout=0.0, seed=0, costs=None):
    """A T5 of width 16; ANSWER is one more token that it may write."""
    from transformers import T5Config, T5ForConditionalGeneration

    from warmup_bench.models.costs import measure_costs
    from warmup_bench.models.families import EncoderDecoder
    from warmup_bench.models.state import SpecialTokens

    config = T5Config(
        vocab_size=vocabulary,
        d_model=16,
        d_kv=8,
        d_ff=32,
        num_layers=2,
        num_decoder_layers=2,
        num_heads=2,
        feed_forward_proj="gated-gelu",  # smooth, for finite differences
        dropout_rate=dropout,
        decoder_start_token_id=PAD,
        pad_token_id=PAD,
        eos_token_id=EOS,
    )
    model = _stirred(T5ForConditionalGeneration(config), seed)
    tokens = SpecialTokens(PAD, EOS, SEPARATOR, never=(ANSWER,))
    return EncoderDecoder(model, None, tokens, costs or measure_costs(model))


def make_llama(*, vocabulary=6, dropout=0.0, seed=0, costs=None):
    """A Llama of width 16, with grouped-query attention; its prompts end with ANSWER."""
    from transformers import LlamaConfig, LlamaForCausalLM

    from warmup_bench.models.costs import measure_costs
    from warmup_bench.models.families import DecoderOnly
    from warmup_bench.models.state import SpecialTokens

    config = LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=64,
        attention_dropout=dropout,
        tie_word_embeddings=False,
        pad_token_id=PAD,
        bos_token_id=None,
        eos_token_id=EOS,
    )
    model = _stirred(LlamaForCausalLM(config), seed)
    tokens = SpecialTokens(PAD, EOS, SEPARATOR, never=(ANSWER,))
    return DecoderOnly(model, None, tokens, costs or measure_costs(model), prefix=[], suffix=[ANSWER])


def _stirred(model, seed):
    """Weights of our own: the same for every version of transformers, and far from uniform predictions."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for _, parameter in sorted(model.named_parameters()):
            noise = torch.randn(parameter.shape, generator=generator)
            parameter.copy_(0.3 * noise if parameter.dim() > 1 else 1 + 0.25 * noise)
    return model


def make(name, **arguments):
    return {"t5": make_t5, "llama": make_llama}[name](**arguments)


def source_of(backbone, content):
    """A source as ``source_ids`` would lay it out."""
    return [*content, ANSWER if backbone.architecture == "decoder-only" else EOS]


def every_warmup(cap, content=CONTENT):
    """All warmups of at most ``cap`` tokens."""
    return [list(c) for size in range(cap + 1) for c in itertools.product(content, repeat=size)]


def warmups_of(rows, cap):
    """Given warmups as the sampler would return them; those shorter than the cap ended by themselves."""
    from warmup_bench.models.rollout import Warmups

    lengths = torch.tensor([len(row) for row in rows])
    tokens = torch.tensor([row + [PAD] * (cap - len(row)) for row in rows])
    return Warmups(tokens, lengths, lengths < cap, torch.zeros(len(rows)))


def batch_of(sources, targets):
    """Sources and targets (without eos) of any lengths, padded."""
    from warmup_bench.models.batching import Encoded, collate

    items = [Encoded(s, [*y, EOS]) for s, y in zip(sources, targets, strict=True)]
    return collate(items, PAD, torch.device("cpu"))


def draws_of(uniforms):
    """Draws as ``batch_loss`` wants them: the sampler's, and one more a warmup for the method itself."""
    return torch.cat([uniforms, torch.full_like(uniforms[..., :1], 0.5)], dim=-1)


def counting_costs(**changes):
    """Costs to count by hand: 2 operations a token fed, 2000 a prediction; 3 times that with backward."""
    from warmup_bench.models.costs import Costs

    zero = dict.fromkeys(("encoder", "cross", "encoder_attention", "decoder_attention", "cross_attention"), 0)
    return Costs(**zero | {"decoder": 1, "head": 1000, "parameters": 1, "trainable": 1} | changes)


class Reference:
    """The plain model in fp64. ``parameters`` are named as those of the harness's model."""

    def __init__(self, backbone, *, temperature=1.0):
        self.model = copy.deepcopy(backbone.model).double().eval()
        self.paired = backbone.architecture == "encoder-decoder"
        self.temperature = temperature

    def logits(self, source, written):
        """Logits that predict each token of ``written``, [len(written), vocabulary]."""
        if self.paired:
            decoder = torch.tensor([[PAD, *written[:-1]]])
            return self.model(input_ids=torch.tensor([source]), decoder_input_ids=decoder).logits[0]
        return self.model(torch.tensor([source + written[:-1]])).logits[0, len(source) - 1 :]

    def policy(self, logits):
        """Log-probabilities of a warmup's next token: never pad, eos or the answer mark."""
        allowed = [SEPARATOR, *range(ANSWER + 1, logits.shape[-1])]
        kept = logits[..., allowed] / self.temperature
        full = torch.full_like(logits, -torch.inf)
        full[..., allowed] = kept - kept.exp().sum(-1, keepdim=True).log()
        return full

    def log_c_and_y(self, source, c, cap, y):
        """(log p(c|x), log p(y|x,c)); at the cap the separator is forced, so it has no probability."""
        scored = c if len(c) == cap else [*c, SEPARATOR]
        written = [*c, SEPARATOR, *y, EOS]
        logits = self.logits(source, written)
        policy = self.policy(logits[: len(scored)])
        log_c = policy[range(len(scored)), scored].sum()
        rest = logits[len(c) + 1 :].log_softmax(-1)
        return log_c, rest[range(len(y) + 1), [*y, EOS]].sum()

    def log_direct(self, source, y):
        """log p(y|x) without a warmup."""
        written = [*y, EOS]
        return self.logits(source, written).log_softmax(-1)[range(len(written)), written].sum()

    def gradient(self, value):
        """Gradients by name; 0 where the value does not depend on a parameter."""
        names, parameters = zip(*self.model.named_parameters(), strict=True)
        gradients = torch.autograd.grad(value, parameters, allow_unused=True, retain_graph=True)
        return {
            name: torch.zeros_like(p) if g is None else g
            for name, p, g in zip(names, parameters, gradients, strict=True)
        }


def gradients_of(backbone):
    """The gradients that a backward pass has left, by name, and none left behind."""
    found = {
        name: torch.zeros_like(p) if p.grad is None else p.grad.clone()
        for name, p in backbone.model.named_parameters()
    }
    backbone.model.zero_grad(set_to_none=True)
    return found


def distance(ours, theirs):
    """Largest difference over all parameters, relative to the largest gradient."""
    scale = max(float(g.abs().max()) for g in theirs.values())
    assert scale > 1e-3, "a test of gradients needs gradients"
    return max(float((ours[name].double() - g.double()).abs().max()) for name, g in theirs.items()) / scale
