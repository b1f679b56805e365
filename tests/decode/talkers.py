"""Tiny models with something to say, their inputs, and what transformers' own ``generate`` says."""

import torch

from tiny import ANSWER, EOS, PAD, SEPARATOR, make, source_of

VOCABULARY = 14
CONTENTS = ([4, 5, 6, 7], [8], [9, 10, 11, 12, 13, 4, 5], [6, 6], [13, 4, 9], [5, 12, 7, 10, 8], [11])
QUIETLY = {"report": lambda done, total: None}


class Letters:
    """A tokenizer that can only spell."""

    def decode(self, ids, **_):
        return " ".join("abcdefghijklmnop"[i] for i in ids)


def make_talker(name):
    """A model that ends some of its outputs early and some never (the seeds were looked for)."""
    backbone = make(name, vocabulary=VOCABULARY, seed={"t5": 14, "llama": 6}[name])
    backbone.tokenizer = Letters()
    backbone.model.eval()
    return backbone


def sources_of(backbone):
    return [source_of(backbone, content) for content in CONTENTS]


def generated(backbone, source, cap, **search):
    """Output ids of transformers' own search, until eos."""
    ids = torch.tensor([source])
    out = backbone.model.generate(
        ids,
        attention_mask=torch.ones_like(ids),
        do_sample=False,
        max_new_tokens=cap,
        suppress_tokens=[PAD, SEPARATOR, ANSWER],
        pad_token_id=PAD,
        eos_token_id=EOS,
        **search,
    )[0].tolist()
    return out[1:] if backbone.architecture == "encoder-decoder" else out[len(source) :]
