"""Kept token ids: those of the tokenizer, made once a split and tokenizer, made again where damaged."""

import dataclasses
from typing import Any

import numpy as np
import pytest
import torch

from warmup_bench.contracts.task import Example, Splits
from warmup_bench.models.base import TEXTS_A_CALL, Backbone
from warmup_bench.models.batching import encode_examples
from warmup_bench.models.encoding import encode_split, text_ids
from warmup_bench.models.load import load_backbone, make_backbone
from warmup_bench.models.presets import MINI_LLAMA, MINI_T5
from warmup_bench.store.examples import write_examples
from warmup_bench.store.folders import writing

PAIRS = [
    ("ein schneller Fuchs", "a quick fox"),
    ("", "nothing"),  # no ids at all
    ("ein Hund </s> und <sep> ein Fuchs, der sehr, sehr weit läuft", "a dog and a fox who runs far"),
    ("der Fuchs", ""),
]
EXAMPLES = [Example(f"e{i}", source, target) for i, (source, target) in enumerate(PAIRS)]


def small(preset: Any, texts: list[str]) -> Backbone:
    sizes = {"d_model": 8, "d_kv": 4, "d_ff": 8, "num_heads": 2}
    if preset is MINI_LLAMA:
        sizes = {"hidden_size": 8, "intermediate_size": 8, "num_attention_heads": 2, "num_key_value_heads": 2}
    torch.manual_seed(0)
    preset = dataclasses.replace(preset, config={**preset.config, **sizes}, vocabulary=290)
    return make_backbone(preset, texts, dropout=0.0, offline=True)


@pytest.fixture(scope="module", params=[MINI_T5, MINI_LLAMA], ids=["t5", "llama"])
def backbone(request):
    return small(request.param, [text for pair in PAIRS for text in pair] * 3)


@pytest.fixture
def data(tmp_path):
    with writing(tmp_path / "data" / "pairs") as folder:
        write_examples(folder, Splits(EXAMPLES, EXAMPLES[:1], EXAMPLES[:1]))
    return tmp_path / "data" / "pairs"


@pytest.fixture
def calls(monkeypatch):
    """How many texts each call of a tokenizer got."""
    made, real = [], Backbone._tokenized

    def tokenized(self, texts, target):
        made.append(len(texts))
        return real(self, texts, target)

    monkeypatch.setattr(Backbone, "_tokenized", tokenized)
    return made


def test_many_texts_have_the_ids_of_each_in_few_calls(backbone, calls):
    texts = [pair[0] for pair in PAIRS] * 600  # 2,400, of which 600 spell special tokens
    rows = list(backbone.many_ids(texts))
    assert calls == [TEXTS_A_CALL, TEXTS_A_CALL, 400]  # a fast tokenizer splits what spells them by itself
    assert rows == [backbone.plain_ids(text) for text in texts[: len(PAIRS)]] * 600


@pytest.mark.parametrize(("max_source", "max_target"), [(99, 99), (7, 4), (1, 1)])
def test_a_split_is_what_its_examples_are(backbone, data, tmp_path, max_source, max_target):
    expected, cut = encode_examples(backbone, EXAMPLES, max_source, max_target)
    split = encode_split(backbone, data, "train", max_source, max_target, cache=tmp_path / "ids")
    assert list(split) == expected
    assert split[1:3] == expected[1:3]
    assert split.cut == cut
    assert len(split) == len(EXAMPLES)


def test_cells_share_the_ids_whatever_their_limits(backbone, data, tmp_path, calls):
    for limit in (99, 7, 99):
        encode_split(backbone, data, "train", limit, limit, cache=tmp_path / "ids")
    assert calls == [len(EXAMPLES), len(EXAMPLES)]  # sources, then targets
    ids = text_ids(backbone, data, "train", "source", cache=tmp_path / "ids").ids
    assert isinstance(ids, np.memmap)
    backbone.save(tmp_path / "saved")  # a cell loads what another has saved
    text_ids(load_backbone(str(tmp_path / "saved")), data, "train", "source", cache=tmp_path / "ids")
    assert len(calls) == 2


def test_another_tokenizer_or_other_texts_have_ids_of_their_own(backbone, data, tmp_path, calls):
    cache = tmp_path / "ids"
    text_ids(backbone, data, "train", "source", cache=cache)
    text_ids(backbone, data, "test", "source", cache=cache)
    other = small(MINI_T5, ["zzz yyy xxx"] * 9)
    assert list(text_ids(other, data, "train", "source", cache=cache)) == [
        other.plain_ids(source) for source, _ in PAIRS
    ]
    with writing(tmp_path / "data" / "more") as folder:
        write_examples(folder, Splits([*EXAMPLES, Example("n", "neu", "new")], EXAMPLES, EXAMPLES))
    assert len(text_ids(backbone, tmp_path / "data" / "more", "train", "source", cache=cache)) == 5
    assert len(list(cache.iterdir())) == 4


@pytest.mark.parametrize("harm", ["flipped", "removed", "manifest"])
def test_damaged_ids_are_made_again(backbone, data, tmp_path, calls, harm):
    cache = tmp_path / "ids"
    before = list(text_ids(backbone, data, "train", "source", cache=cache))
    (folder,) = cache.iterdir()
    if harm == "flipped":
        content = bytearray((folder / "ids.npy").read_bytes())
        content[-1] ^= 1
        (folder / "ids.npy").write_bytes(content)
    else:
        (folder / ("ends.npy" if harm == "removed" else "DONE.json")).unlink()
    assert list(text_ids(backbone, data, "train", "source", cache=cache)) == before
    assert calls == [len(EXAMPLES)] * 2


def test_an_index_past_the_end_is_an_error(backbone, data, tmp_path):
    split = encode_split(backbone, data, "train", 9, 9, cache=tmp_path / "ids")
    for index in (len(EXAMPLES), -1):
        with pytest.raises(IndexError):
            split[index]
