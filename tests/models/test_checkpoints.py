"""Every family from its published layout: load, train with warmups, decode, save, load: the same outputs."""

import shutil

import pytest
import torch
import transformers
from checkpoints import FAMILIES, LINES, PAIRS, publish, write_json
from random_models import model_of

from warmup_bench.baselines import warmup
from warmup_bench.contracts.errors import UserError
from warmup_bench.contracts.settings import Budget, Decode, Lora, Train, Warmup
from warmup_bench.contracts.task import numbered
from warmup_bench.decode import infer
from warmup_bench.models.batching import encode_examples
from warmup_bench.models.load import load_backbone
from warmup_bench.models.lora import ADAPTER
from warmup_bench.train.diagnostics import diagnose
from warmup_bench.train.loop import train
from warmup_bench.train.objective import Objective

TRAIN = Train(batch_size=5, lr_warmup_steps=0, schedule="constant", dtype="float32")
WARMUP = Warmup(samples=2, max_tokens=3)
EXAMPLES = numbered("t", PAIRS)
LANGUAGES = ("en", "de")


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """Folder of a family's checkpoint, written once."""
    place = tmp_path_factory.mktemp("published")

    def folder(name):
        return place / name if (place / name).is_dir() else publish(place / name, name)

    return folder


def skip_unsupported(name):
    if name == "gemma3" and transformers.__version__.startswith("4."):
        pytest.skip("refused with transformers 4: its body can't be reached there as in every other family")


def trained(backbone, folder, *, steps=3, rate=3e-3):
    items, _ = encode_examples(backbone, EXAMPLES, 24, 12)
    objective = Objective(warmup.METHOD, WARMUP)
    torch.manual_seed(0)
    return train(
        backbone,
        items,
        objective,
        TRAIN,
        budget=Budget(steps=steps),
        learning_rate=rate,
        seed=0,
        log=folder / "log.jsonl",
        report=lambda *_: None,
        evaluate=lambda step, fit: diagnose(backbone, items[:2], objective, seed=step, batch_size=2),
    )


def written(backbone, **settings):
    decoded, _ = infer(
        backbone,
        [backbone.source_ids(line, 24)[0] for line in LINES[:5]],
        Decode(max_tokens=6, batch_size=2, **settings),
        warmup_cap=3,
        seed=0,
        report=lambda *_: None,
    )
    return decoded


@torch.no_grad()
def first_logits(backbone):
    """Of two sources, what is predicted first, [2, vocabulary]."""
    rows = [backbone.source_ids(line, 24)[0] for line in (LINES[0], LINES[3])]
    states = [backbone.encode(torch.tensor([ids]), torch.ones(1, len(ids), dtype=torch.long)) for ids in rows]
    return torch.cat([backbone.logits(state.hidden) for state in states])


@pytest.mark.parametrize("name", FAMILIES)
def test_train_decode_save_load(name, published, tmp_path):
    skip_unsupported(name)
    backbone = load_backbone(str(published(name)), languages=LANGUAGES)
    before = {key: value.clone() for key, value in backbone.model.state_dict().items()}
    ledger = trained(backbone, tmp_path)
    assert ledger.steps == 3
    assert ledger.skipped_steps == 0
    assert ledger.parameters == sum(p.numel() for p in backbone.model.parameters())
    assert ledger.trainable == sum(p.numel() for p in backbone.model.parameters() if p.requires_grad)
    assert any(not torch.equal(value, before[key]) for key, value in backbone.model.state_dict().items())
    backbone.save(tmp_path / "model")
    loaded = load_backbone(str(tmp_path / "model"))  # no languages: they are in what was saved
    stored, own = loaded.model.state_dict(), backbone.model.state_dict()
    assert stored.keys() == own.keys()
    assert [key for key, value in own.items() if not torch.equal(stored[key], value)] == []
    assert loaded.tokens == backbone.tokens
    assert loaded.costs == backbone.costs
    for line in LINES[:5]:
        assert loaded.source_ids(line, 24) == backbone.source_ids(line, 24)
        assert loaded.target_ids(line, 24) == backbone.target_ids(line, 24)
    outputs = written(backbone)
    assert written(loaded) == outputs
    assert written(loaded, beams=2) == written(backbone, beams=2)
    ours, theirs = first_logits(backbone), first_logits(loaded)
    torch.testing.assert_close(theirs, ours, atol=1e-4, rtol=0)
    assert (ours[0] - ours[1]).abs().max() > 1e-2  # the model does read its input


@pytest.mark.parametrize("name", FAMILIES)
def test_texts_survive(name, published):
    """Nothing is added, and what spells a special token stays text."""
    skip_unsupported(name)
    backbone = load_backbone(str(published(name)), languages=LANGUAGES)
    assert backbone.text(backbone.target_ids(LINES[1], 99)[0]) == LINES[1]
    special = {backbone.tokens.eos, backbone.tokens.separator, backbone.tokens.pad}
    trap = " the dog ".join(backbone.tokenizer.convert_ids_to_tokens(sorted(special)))
    for ids in (backbone.plain_ids(trap), backbone.plain_ids(trap, target=True)):
        assert not set(ids) & special
        assert len(ids) > len(special)


FRAMES = {
    # name: tokens before a source, after it, and before the decoder's first prediction
    "t5": ([], ["</s>"], ["<pad>"]),
    "mt5": ([], ["</s>"], ["<pad>"]),
    "bart": (["<s>"], ["</s>"], ["</s>", "<s>"]),
    "marian": ([], ["</s>"], ["<pad>"]),
    "mbart": ([], ["</s>", "en_XX"], ["de_DE"]),
    "mbart-50": (["en_XX"], ["</s>"], ["</s>", "de_DE"]),
    "nllb": (["eng_Latn"], ["</s>"], ["</s>", "deu_Latn"]),
    "m2m-100": (["__en__"], ["</s>"], ["</s>", "__de__"]),
    "llama": (["<|begin|>"], ["Ċ"], []),
    "qwen2": ([], ["Ċ"], []),
    "smollm2": ([], ["Ċ"], []),
    "gpt2": ([], ["Ċ"], []),
}


@pytest.mark.parametrize("name", FRAMES)
def test_what_stands_around_a_text(name, published):
    """As the makers of each family document it."""
    backbone = load_backbone(str(published(name)), languages=LANGUAGES)
    names, frame = (
        backbone.tokenizer.convert_ids_to_tokens,
        (backbone.prefix, backbone.suffix, backbone.start),
    )
    assert tuple(map(names, frame)) == FRAMES[name]
    ids, cut = backbone.source_ids(LINES[0], 99)
    assert (ids, cut) == ([*backbone.prefix, *backbone.plain_ids(LINES[0]), *backbone.suffix], False)


def test_the_decoder_starts_as_its_own_labels_do(published):
    """mBART-50 of transformers shifts framed targets; its loss on them is ours."""
    backbone = load_backbone(str(published("mbart-50")), languages=LANGUAGES)
    tokenizer, model = backbone.tokenizer, backbone.model.eval()
    tokenizer.src_lang, tokenizer.tgt_lang = "en_XX", "de_DE"
    theirs = tokenizer(LINES[0], text_target="der Hund", return_tensors="pt")
    with torch.no_grad():
        loss = model(**theirs).loss
        ids, _ = backbone.source_ids(LINES[0], 99)
        state = backbone.encode(torch.tensor([ids]), torch.ones(1, len(ids), dtype=torch.long))
        target = torch.tensor([[*backbone.target_ids("der Hund", 99)[0], backbone.tokens.eos]])
        hidden = torch.cat([state.hidden[:, None], backbone.advance(state, target[:, :-1])], dim=1)
        logp = backbone.logits(hidden).log_softmax(-1).gather(2, target[..., None])
        first = {
            "labels": theirs["labels"][:, :1],
            "decoder_input_ids": torch.tensor([[backbone.tokens.eos]]),
        }
        given = model(**{**theirs, **first}).loss  # the language's: it is read, never predicted
    count = theirs["labels"].shape[1]
    assert theirs["labels"][0, 0] == backbone.start[1]
    assert float(-logp.sum()) == pytest.approx(float(loss * count - given), rel=1e-4)


def test_languages_are_asked_for_and_looked_up(published):
    folder = str(published("nllb"))
    with pytest.raises(UserError, match="needs a source and a target language"):
        load_backbone(folder)
    with pytest.raises(UserError, match="no token for the language 'fi'"):
        load_backbone(folder, languages=("en", "fi"))
    chinese = load_backbone(folder, languages=("zh", "de"))
    assert chinese.tokenizer.convert_ids_to_tokens(chinese.prefix) == ["zho_Hans"]


def test_marian_cuts_targets_with_their_own_model(published):
    backbone = load_backbone(str(published("marian")))
    line = LINES[0]
    source, target = backbone.plain_ids(line), backbone.target_ids(line, 99)[0]
    pieces = backbone.tokenizer.convert_ids_to_tokens
    assert pieces(source) == backbone.tokenizer.spm_source.encode(line, out_type=str)
    assert pieces(target) == backbone.tokenizer.spm_target.encode(line, out_type=str)
    assert source != target


def test_every_end_of_a_chat_model_but_its_own_is_never_written(published):
    """Llama 3 stops at several tokens; a target ends with the tokenizer's, and so must an output."""
    backbone = load_backbone(str(published("llama")))
    names = backbone.tokenizer.convert_ids_to_tokens
    assert names(backbone.tokens.eos) == "<|turn|>"
    assert backbone.tokens.pad == backbone.tokens.eos  # it has no pad token
    assert set(names(list(backbone.tokens.never))) == {"<|begin|>", "<|end|>"}
    assert names(backbone.tokens.separator) == "<|reserved_special_token_0|>"
    assert backbone.tokens.eos not in backbone.tokens.banned_in_output


# What is refused.


def test_weights_in_a_pickle_are_refused_with_a_way_out(tmp_path):
    publish(tmp_path / "old", "t5", safe=False)
    with pytest.raises(UserError) as caught:
        load_backbone(str(tmp_path / "old"))
    assert "pytorch_model.bin only, a pickle" in caught.value.problem
    assert "save_pretrained" in caught.value.hint


def causal(folder, published, model_type, **settings):
    """A random checkpoint of another type with the tokenizer of the tiny Llama."""
    from transformers import AutoConfig

    folder.mkdir()
    for file in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(published("llama") / file, folder)
    special = {"vocab_size": 320, "hidden_size": 16, "bos_token_id": 0, "eos_token_id": 2}
    model_of(AutoConfig.for_model(model_type, **special, **settings)).save_pretrained(folder)
    return str(folder)


STRANGE = {
    "mamba": {"num_hidden_layers": 1, "state_size": 4},
    "bert": {"num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32, "is_decoder": False},
}


@pytest.mark.parametrize("model_type", STRANGE)
def test_a_family_that_can_not_be_followed_is_refused(model_type, published, tmp_path):
    """A state-space model keeps no keys and values; an encoder sees what comes later."""
    folder = causal(tmp_path / model_type, published, model_type, **STRANGE[model_type])
    with pytest.raises(UserError, match=f"of a model of type '{model_type}'") as caught:
        load_backbone(folder)
    assert "Known to work" in caught.value.hint


def test_mixtures_of_experts_are_refused(published, tmp_path):
    shape = {"intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    experts = {"num_key_value_heads": 2, "num_local_experts": 2}
    folder = causal(tmp_path / "moe", published, "mixtral", **shape, **experts)
    with pytest.raises(UserError, match="mixtures of experts are not supported"):
        load_backbone(folder)


# LoRA.


@pytest.mark.parametrize("name", ["t5", "mt5", "bart", "mbart-50", "llama", "smollm2", "gpt2"])
def test_lora_trains_adapters_and_the_separator_alone(name, published, tmp_path):
    pytest.importorskip("peft")
    base = load_backbone(str(published(name)), languages=LANGUAGES)
    base.save(tmp_path / "base")
    torch.manual_seed(0)
    backbone = load_backbone(str(tmp_path / "base"), lora=Lora(rank=4))
    assert written(backbone) == written(base)  # fresh adapters change nothing
    frozen = {key: p.detach().clone() for key, p in backbone.model.named_parameters() if not p.requires_grad}
    ledger = trained(backbone, tmp_path, rate=0.1)
    assert 0 < ledger.trainable < ledger.parameters
    assert ledger.trainable == sum(p.numel() for p in backbone.model.parameters() if p.requires_grad)
    after = dict(backbone.model.named_parameters())
    assert all(torch.equal(after[key], value) for key, value in frozen.items())
    row = next(p for key, p in after.items() if "trainable_tokens_delta" in key)
    old = base.model.get_input_embeddings().weight[base.tokens.separator]
    assert row.shape == (1, old.shape[0])
    assert not torch.equal(row[0], old)
    backbone.save(tmp_path / "trained")
    assert (tmp_path / "trained" / ADAPTER).is_file()
    assert not (tmp_path / "trained" / "model.safetensors").exists()
    loaded = load_backbone(str(tmp_path / "base"), adapter=tmp_path / "trained")
    outputs = written(backbone)
    assert written(loaded) == outputs
    assert outputs != written(base)


@pytest.mark.parametrize("name", ["t5", "llama"])
def test_peft_itself_reads_an_adapter_that_was_stored(name, published, tmp_path):
    peft = pytest.importorskip("peft")
    base = str(published(name))
    backbone = load_backbone(base, lora=Lora(rank=4))
    trained(backbone, tmp_path, rate=0.1)
    backbone.save(tmp_path / "trained")
    plain = load_backbone(base).model
    inputs = {"input_ids": torch.tensor([[5, 9, 7]])}
    if plain.config.is_encoder_decoder:
        inputs["decoder_input_ids"] = torch.tensor([[0, 6]])
    with torch.no_grad():
        ours, without = backbone.model.eval()(**inputs).logits, plain(**inputs).logits
        theirs = peft.PeftModel.from_pretrained(plain, str(tmp_path / "trained")).eval()(**inputs).logits
    torch.testing.assert_close(theirs, ours)
    assert not torch.allclose(without, ours, atol=1e-2)


def test_lora_counts_what_it_adds(published):
    """Rank 4 on a matrix [in, out] adds 4 * (in + out) weights; a frozen one needs no gradient of its own."""
    pytest.importorskip("peft")
    plain = load_backbone(str(published("llama"))).costs
    lora = load_backbone(
        str(published("llama")), lora=Lora(rank=4, target_modules=("q_proj", "down_proj"))
    ).costs
    width, hidden, layers = 16, 32, 2
    added = layers * 4 * ((width + width) + (hidden + width))
    assert lora.decoder == plain.decoder + added
    assert lora.head == plain.head
    assert lora.trainable == added + width  # and the separator's embedding
    assert lora.backward == pytest.approx(2 + added / (lora.decoder + lora.head))
    assert plain.backward == 3


def test_lora_says_which_layers_there_are(published):
    pytest.importorskip("peft")
    with pytest.raises(UserError, match="LoRA can't be put") as caught:
        load_backbone(str(published("llama")), lora=Lora(rank=2, target_modules=("query",)))
    assert "q_proj" in caught.value.hint


def test_a_broken_adapter_is_one_clear_line(published, tmp_path):
    pytest.importorskip("peft")
    (tmp_path / "broken").mkdir()
    write_json(tmp_path / "broken" / ADAPTER, {"peft_type": "LORA"})
    with pytest.raises(UserError, match="can't be loaded"):
        load_backbone(str(published("llama")), adapter=tmp_path / "broken")
