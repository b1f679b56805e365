"""How a model family turns its last hidden state into logits, found by trying it on the model itself.

T5 with tied embeddings scales its decoder's output by width^-0.5 (Raffel et al. 2020), mT5 does so or not by
the version of transformers, Cohere and Granite scale the logits, Gemma 2 bends them. Reading this off a
configuration went wrong more than once, so the model is asked; a family that can't be followed is refused.
"""

from __future__ import annotations

from typing import Any

import torch

from warmup_bench.contracts.errors import UserError
from warmup_bench.models.base import Backbone


@torch.no_grad()
def head_scale(backbone: Backbone) -> float:
    """The factor on the hidden states before the head that gives the model's own logits.

    Two rows of different length are read and go on by one token, through ``encode`` and ``advance`` and by
    plain forward passes, so a family with other needs than ours (positions, caches, masks) is found here.

    Raises:
        UserError: No factor gives the model's logits.
    """
    model, device = backbone.model, backbone.device
    config, token, eos = model.config, backbone.tokens.separator, backbone.tokens.eos
    training = model.training
    model.eval()
    try:
        sources = [[token, token, eos], [token, eos]]
        padded = torch.tensor([sources[0], [*sources[1], backbone.tokens.pad]], device=device)
        # Repeated and selected as in training: what a family keeps besides keys and values is lost here.
        state = backbone.encode(padded, torch.tensor([[1, 1, 1], [1, 1, 0]], device=device)).repeat(2)
        state = state.select(torch.tensor([0, 2], device=device))
        first = state.hidden[:, None]
        hidden = torch.cat([first, backbone.advance(state, padded.new_full((2, 1), token))], dim=1)
        wanted = []
        for source in sources:
            if backbone.start:
                ids = {"input_ids": [source], "decoder_input_ids": [[*backbone.start, token]]}
            else:
                ids = {"input_ids": [[*source, token]]}
            logits = model(**{key: torch.tensor(value, device=device) for key, value in ids.items()}).logits
            wanted.append(logits[0, -2:])
        expected = torch.stack(wanted).float()
        for scale in (
            1.0,
            float(config.hidden_size**-0.5),
            float(getattr(config, "logit_scale", None) or 1.0),
            1.0 / float(getattr(config, "logits_scaling", None) or 1.0),
        ):
            off = (backbone.logits(hidden * scale).float() - expected).abs().max()
            if off <= 1e-3 * expected.abs().max():
                return scale
        cause = None
    except torch.OutOfMemoryError:
        raise
    except (LookupError, AttributeError, TypeError, ValueError, AssertionError, RuntimeError) as error:
        cause = error  # a model without the parts that encode and advance use
    finally:
        model.train(training)
    raise unknown_family(config, "the harness can't reproduce the logits") from cause


def unknown_family(config: Any, problem: str) -> UserError:
    """The error for a model that the harness can't follow."""
    return UserError(
        f"{problem} of a model of type '{config.model_type}'",
        origin="warmup_bench.models",
        hint="Known to work: T5, mT5, BART, mBART, Marian, Llama, Qwen, Mistral, Gemma, GPT-2 and their kin.",
    )
