"""Making, saving and loading backbones; what a broken checkpoint says."""

import contextlib
import dataclasses
import hashlib
import json
import shutil

import pytest
import torch
from random_models import model_of
from safetensors.torch import load_file, save_file

from warmup_bench.contracts.errors import UserError
from warmup_bench.models.load import ADDED_SEPARATOR, load_backbone, make_backbone, resolve_preset
from warmup_bench.models.presets import MINI_LLAMA, MINI_T5
from warmup_bench.models.tokenizer import ANSWER, EOS, PAD, SEPARATOR

TEXTS = [
    "the quick brown fox jumps over the lazy dog",
    "ein schneller brauner Fuchs läuft",
    "快速的狐狸 лиса",
] * 3
SMALL = {
    "mini-t5": {"d_model": 16, "d_kv": 4, "d_ff": 32, "num_heads": 2},
    "mini-llama": {
        "hidden_size": 16,
        "intermediate_size": 32,
        "num_attention_heads": 2,
        "num_key_value_heads": 2,
    },
}
PRESETS = {
    preset.name: dataclasses.replace(preset, config={**preset.config, **SMALL[preset.name]}, vocabulary=300)
    for preset in (MINI_T5, MINI_LLAMA)
}
TRAPS = f"fox {SEPARATOR} dog {EOS}{PAD} {ANSWER} {ADDED_SEPARATOR} end"
"""A text that spells every special token."""


def fresh(name, **arguments):
    torch.manual_seed(0)
    return make_backbone(PRESETS[name], TEXTS, **{"dropout": 0.0, "offline": True} | arguments)


@pytest.fixture(scope="module", params=PRESETS)
def saved(request, tmp_path_factory):
    """(backbone, the folder that it was saved to)."""
    backbone = fresh(request.param)
    folder = tmp_path_factory.mktemp("saved") / "model"
    backbone.save(folder)
    return backbone, folder


@pytest.fixture
def copied(saved, tmp_path):
    """A copy of the folder, to be broken."""
    return shutil.copytree(saved[1], tmp_path / "model")


@torch.no_grad()
def outputs(backbone, text):
    ids, _ = backbone.source_ids(text, 20)
    backbone.model.eval()
    state = backbone.encode(torch.tensor([ids]), torch.ones(1, len(ids), dtype=torch.long))
    fed = torch.tensor([[backbone.tokens.separator, *backbone.target_ids("lazy dog", 9)[0]]])
    return backbone.logits(torch.cat([state.hidden[:, None], backbone.advance(state, fed)], dim=1))


def same_model(first, second):
    """Weights bit for bit. Outputs nearly: tensors of a mapped file are aligned in another way, so the last
    bits of a product may differ."""
    ours, theirs = first.model.state_dict(), second.model.state_dict()
    assert set(ours) == set(theirs)
    assert all(torch.equal(ours[key], theirs[key]) for key in ours)
    torch.testing.assert_close(outputs(first, "the fox"), outputs(second, "the fox"), atol=1e-5, rtol=0)


def test_a_seed_makes_the_same_model(saved):
    backbone, _ = saved
    again = fresh(MINI_T5.name if backbone.architecture == "encoder-decoder" else MINI_LLAMA.name)
    same_model(again, backbone)
    assert again.tokenizer.get_vocab() == backbone.tokenizer.get_vocab()


def test_what_is_saved_is_what_is_loaded(saved):
    backbone, folder = saved
    loaded = load_backbone(str(folder))
    assert type(loaded) is type(backbone)
    assert loaded.tokens == backbone.tokens
    assert loaded.costs == backbone.costs
    assert loaded.source_ids("brauner Fuchs", 30) == backbone.source_ids("brauner Fuchs", 30)
    same_model(loaded, backbone)
    assert torch.equal(outputs(load_backbone(str(folder)), "the fox"), outputs(loaded, "the fox"))
    assert {p.dtype for p in loaded.model.parameters()} == {torch.float32}


def test_a_second_generation_is_the_first(saved, tmp_path):
    """A cell loads the warm start, trains and saves: nothing may drift on the way."""
    backbone, folder = saved
    load_backbone(str(folder)).save(tmp_path / "second")
    third = load_backbone(str(tmp_path / "second"))
    assert third.tokens == backbone.tokens
    assert third.plain_ids(TRAPS) == backbone.plain_ids(TRAPS)
    assert third.source_ids("the fox", 9) == backbone.source_ids("the fox", 9)
    same_model(third, backbone)


def test_special_tokens_are_where_the_harness_thinks(saved):
    backbone, _ = saved
    names = backbone.tokenizer.convert_ids_to_tokens
    tokens = backbone.tokens
    assert [names(i) for i in (tokens.pad, tokens.eos, tokens.separator)] == [PAD, EOS, SEPARATOR]
    assert [names(i) for i in tokens.never] == [ANSWER]
    assert len({tokens.pad, tokens.eos, tokens.separator, *tokens.never}) == 4


def test_a_text_that_spells_a_special_token_stays_text(saved):
    _, folder = saved
    for backbone in (saved[0], load_backbone(str(folder))):
        ids = backbone.plain_ids(TRAPS)
        assert not set(ids) & set(backbone.tokenizer.all_special_ids)
        assert not set(ids) & {backbone.tokens.pad, backbone.tokens.eos, backbone.tokens.separator}
        assert backbone.text(ids) == TRAPS


def test_texts_come_back_in_any_script_and_special_tokens_are_dropped(saved):
    backbone, _ = saved
    for text in ("Ελληνικά ok", "日本語 テスト", "naïve — “quotes” 🙂", "tab\tand\nline"):
        assert backbone.text(backbone.plain_ids(text)) == text
    ids = backbone.plain_ids("lazy dog")
    special = [backbone.tokens.separator, backbone.tokens.eos, backbone.tokens.pad, *backbone.tokens.never]
    assert backbone.text([*special, *ids, *special]) == "lazy dog"


def test_long_sources_are_cut_and_what_stands_around_them_is_not(saved):
    backbone, _ = saved
    text = "the quick brown fox " * 5
    plain = backbone.plain_ids(text)
    end = backbone.tokens.eos if backbone.architecture == "encoder-decoder" else backbone.suffix[0]
    assert backbone.source_ids(text, 8) == ([*plain[:7], end], True)
    assert backbone.source_ids(text, len(plain) + 1) == ([*plain, end], False)
    assert backbone.target_ids(text, 8) == (plain[:8], True)
    assert backbone.target_ids(text, len(plain)) == (plain, False)


def test_dropout_is_what_was_asked_for(saved):
    _, folder = saved
    for rate in (0.0, 0.3):
        model = load_backbone(str(folder), dropout=rate).model
        rates = {m.p for m in model.modules() if isinstance(m, torch.nn.Dropout)}
        rates |= {m.attention_dropout for m in model.modules() if hasattr(m, "attention_dropout")}
        assert rates == {rate}


# A checkpoint as someone else would have saved it: no separator, and no pad token.


def foreign(folder, *, model_type, special=(), edit=None, **settings):
    """Save a GPT-2 or T5 with a word-level tokenizer and an eos token; ``special`` are reserved tokens."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import AutoConfig, PreTrainedTokenizerFast

    words = ["<|end|>", "fox", "dog", "the", "\n", *special]
    core = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, unk_token="fox"))
    core.pre_tokenizer = pre_tokenizers.Split(" ", "removed")
    PreTrainedTokenizerFast(
        tokenizer_object=core,
        eos_token="<|end|>",
        bos_token="<|end|>",
        additional_special_tokens=list(special),
    ).save_pretrained(folder)
    torch.manual_seed(1)
    model = model_of(AutoConfig.for_model(model_type, vocab_size=len(words), **settings))
    if edit is not None:
        edit(model)
    model.save_pretrained(folder)
    return model, len(words)


GPT2 = {"model_type": "gpt2", "n_embd": 16, "n_layer": 1, "n_head": 2, "bos_token_id": 0, "eos_token_id": 0}


def test_a_checkpoint_without_a_reserved_token_gets_a_separator(tmp_path):
    model, size = foreign(tmp_path / "plain", **GPT2)
    backbone = load_backbone(str(tmp_path / "plain"))
    assert backbone.tokenizer.convert_ids_to_tokens(backbone.tokens.separator) == ADDED_SEPARATOR
    assert backbone.tokens.separator == size
    assert backbone.vocabulary == size + 1 == backbone.model.get_input_embeddings().weight.shape[0]
    old = model.get_input_embeddings().weight
    assert torch.equal(backbone.model.get_input_embeddings().weight[:size], old)
    assert outputs(backbone, "the fox").shape[-1] == size + 1
    # Padding with eos, it must still be able to end.
    assert (backbone.tokens.pad, backbone.tokens.eos) == (0, 0)
    assert 0 not in backbone.tokens.banned_in_output
    assert backbone.source_ids("the fox", 9) == ([3, 1, 4], False)  # the default suffix is a line break
    backbone.save(tmp_path / "ours")
    loaded = load_backbone(str(tmp_path / "ours"))
    assert loaded.tokens == backbone.tokens
    assert (loaded.prefix, loaded.suffix) == ([], [4])
    same_model(loaded, backbone)


def test_a_hub_id_without_a_revision_is_its_commit(tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    known = tmp_path / "models--some--model"
    asked = []

    def fetch(checkpoint, name):
        asked.append((checkpoint, name))
        snapshot = known / "snapshots" / "0123abcd"
        snapshot.mkdir(parents=True)
        (snapshot / name).write_text("{}")
        (known / "refs").mkdir()
        (known / "refs" / "main").write_text("0123abcd")
        return str(snapshot / name)

    def unreachable(*_):
        raise OSError("no network")

    def resolved(reference, **options):
        entry = resolve_preset(reference, **options)
        return entry.value.name, entry.value.checkpoint, entry.value.revision, entry.code

    unknown = ("some--model", "some/model", None, "hub")
    monkeypatch.setattr("huggingface_hub.hf_hub_download", unreachable)
    assert resolved("some/model") == resolved("some/model", offline=False) == unknown
    monkeypatch.setattr("huggingface_hub.hf_hub_download", fetch)
    assert resolved("some/model") == unknown  # a worker asks the cache alone
    found = ("some--model", "some/model", "0123abcd", "0123abcd")
    assert resolved("some/model", offline=False) == resolved("some/model") == found
    assert resolved("some/model", offline=False) == found
    assert asked == [("some/model", "config.json")]
    assert resolved("some/model@v1", offline=False) == ("some--model@v1", "some/model", "v1", "hub")


def own_head(model):
    """Give a model a head of its own, whatever its configuration says."""
    generator = torch.Generator().manual_seed(2)
    head = model.get_output_embeddings()
    head.weight = torch.nn.Parameter(torch.randn(head.weight.shape, generator=generator))
    model.config.tie_word_embeddings = False


@pytest.mark.parametrize("kind", ["mt5", "t5"])
@pytest.mark.parametrize("tied", [False, True])
def test_a_separator_that_is_added_ties_no_head(kind, tied, tmp_path):
    """transformers 5.24 takes every T5 for tied once it is resized: its embeddings become its head."""
    shape = {"d_model": 16, "d_kv": 4, "d_ff": 32, "num_heads": 2, "num_layers": 1}
    special = {"decoder_start_token_id": 0, "eos_token_id": 0, "pad_token_id": 0}
    model, size = foreign(
        tmp_path / "plain", model_type=kind, edit=None if tied else own_head, **shape, **special
    )
    head, embeddings = (
        m.weight.clone() for m in (model.get_output_embeddings(), model.get_input_embeddings())
    )
    assert torch.equal(head, embeddings) == tied
    backbone = load_backbone(str(tmp_path / "plain"))
    assert backbone.tokens.separator == size
    backbone.save(tmp_path / "ours")
    for loaded in (backbone, load_backbone(str(tmp_path / "ours"))):
        read, written = loaded.model.get_input_embeddings().weight, loaded.head_weight
        assert (read is written) == tied
        assert torch.equal(written[:size], head)
        assert torch.equal(read[:size], embeddings)
        for part in (loaded.model.get_encoder(), loaded.model.get_decoder()):
            assert part.embed_tokens.weight is read
    same_model(loaded, backbone)


def test_a_reserved_token_is_taken_and_nothing_is_resized(tmp_path):
    _, size = foreign(tmp_path / "reserved", special=("<|x|>", "<|fim_middle|>"), **GPT2)
    backbone = load_backbone(str(tmp_path / "reserved"))
    assert backbone.tokens.separator == size - 1
    assert backbone.vocabulary == size
    chosen = load_backbone(str(tmp_path / "reserved"), separator="<|x|>", prompt_suffix="dog")
    assert chosen.tokens.separator == size - 2
    assert chosen.suffix == [2]


def test_the_decoders_start_token_is_never_written(tmp_path):
    _, size = foreign(
        tmp_path / "t5",
        special=("<start>", "<extra_id_0>"),
        model_type="t5",
        d_model=16,
        d_kv=4,
        d_ff=32,
        num_heads=2,
        num_layers=1,
        decoder_start_token_id=5,
        eos_token_id=0,
    )
    backbone = load_backbone(str(tmp_path / "t5"))
    assert backbone.tokens.separator == size - 1
    assert backbone.tokens.never == (5,)
    assert set(backbone.tokens.banned_in_output) == {size - 1, 5}
    assert set(backbone.tokens.banned_in_warmup) == {0, 5}


@contextlib.contextmanager
def edited_json(path):
    """Its content, written back as the block leaves it."""
    content = json.loads(path.read_text())
    yield content
    path.write_text(json.dumps(content))


def test_a_tokenizer_without_an_end_is_refused(tmp_path):
    foreign(tmp_path / "endless", **GPT2)
    with edited_json(tmp_path / "endless" / "tokenizer_config.json") as config:
        del config["eos_token"]
    (tmp_path / "endless" / "special_tokens_map.json").unlink(missing_ok=True)
    with pytest.raises(UserError, match="no end-of-sequence token"):
        load_backbone(str(tmp_path / "endless"))


def another_depth(folder):
    with edited_json(folder / "config.json") as config:
        config["num_layers" if "num_layers" in config else "num_hidden_layers"] += 1


def another_width(folder):
    with edited_json(folder / "config.json") as config:
        config["d_model" if "d_model" in config else "hidden_size"] *= 2


def pickled(folder):
    (folder / "model.safetensors").unlink()
    torch.save({}, folder / "pytorch_model.bin")


def cut_short(folder):
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])


def no_tokenizer(folder):
    for path in folder.glob("*token*"):
        path.unlink()


BREAKAGES = {
    "gone": shutil.rmtree,
    "no weights": lambda folder: (folder / "model.safetensors").unlink(),
    "weights in a pickle only": pickled,
    "weights cut short": cut_short,
    "empty weights": lambda folder: (folder / "model.safetensors").write_bytes(b""),
    "weights of too few layers": another_depth,
    "weights of another width": another_width,
    "no tokenizer": no_tokenizer,
    "a broken tokenizer": lambda folder: (folder / "tokenizer.json").write_text("{}"),
    "no config": lambda folder: (folder / "config.json").unlink(),
    "a broken config": lambda folder: (folder / "config.json").write_text("{"),
    "a config of nothing": lambda folder: (folder / "config.json").write_text('{"model_type": "nonesuch"}'),
    "a broken layout": lambda folder: (folder / "warmup_bench.json").write_text("{"),
}


@pytest.mark.parametrize("breakage", BREAKAGES)
def test_a_broken_checkpoint_is_one_clear_line(copied, breakage):
    BREAKAGES[breakage](copied)
    with pytest.raises(UserError) as caught:
        load_backbone(str(copied))
    assert str(copied) in caught.value.problem
    assert "\n" not in caught.value.problem
    assert "--backbone FOLDER" in caught.value.hint


def test_references_of_backbones(saved, tmp_path):
    _, folder = saved
    entry = resolve_preset(str(folder))
    assert entry.value.checkpoint == str(folder.resolve())
    (tmp_path / "empty").mkdir()
    for reference in (str(tmp_path / "empty"), "./no/such/folder"):
        with pytest.raises(UserError, match=r"holds no config\.json"):
            resolve_preset(reference)
    assert resolve_preset("someone/some-model").value.checkpoint == "someone/some-model"


def changed_weight(folder):
    """The weights with one number another: the same size, the same names."""
    path = folder / "model.safetensors"
    weights = load_file(path)
    name = min(weights)
    weights[name].view(-1)[0] += 1
    save_file(weights, path, metadata={"format": "pt"})


def edited(name):
    """Append a blank to a file: for JSON the same content in other bytes."""
    return lambda folder: (folder / name).write_text((folder / name).read_text() + " ")


EDITS = {
    "weights": changed_weight,
    "config": edited("config.json"),
    "tokenizer": edited("tokenizer.json"),
    "tokens": edited("tokenizer_config.json"),
    "layout": edited("warmup_bench.json"),
    "ends": edited("generation_config.json"),
    "more": lambda folder: (folder / "added_tokens.json").write_text("{}"),
}


@pytest.mark.parametrize("edit", EDITS)
def test_a_local_checkpoint_is_known_by_what_is_loaded_from_it(copied, edit):
    before = resolve_preset(str(copied)).code
    EDITS[edit](copied)
    after = resolve_preset(str(copied)).code
    assert before != after == resolve_preset(str(copied)).code


def test_a_local_checkpoint_is_the_same_elsewhere_and_beside_other_files(saved, copied, monkeypatch):
    (copied / "README.md").write_text("notes")
    (copied / "optimizer.safetensors").write_bytes(b"0" * 10)
    (copied / "checkpoint-5").mkdir()
    assert resolve_preset(str(copied)).code == resolve_preset(str(saved[1])).code
    monkeypatch.chdir(copied.parent)
    assert resolve_preset("model").code == resolve_preset(str(copied)).code


def test_weights_of_a_checkpoint_are_read_once_a_process(copied, monkeypatch):
    digest, read = hashlib.file_digest, []

    def noting(file, kind):
        read.append(file.name)
        return digest(file, kind)

    monkeypatch.setattr(hashlib, "file_digest", noting)
    for _ in range(3):
        resolve_preset(str(copied))
    assert read.count(str(copied / "model.safetensors")) == 1


def test_every_part_of_sharded_weights_counts(saved, tmp_path):
    backbone, _ = saved
    folder = tmp_path / "model"
    backbone.save(folder)
    (folder / "model.safetensors").unlink()
    backbone.model.save_pretrained(folder, max_shard_size="20KB")
    parts = sorted(folder.glob("model-*.safetensors"))
    assert len(parts) > 1
    codes = {resolve_preset(str(folder)).code}
    for part in parts:
        part.write_bytes(part.read_bytes()[:-1] + b"x")
        codes.add(resolve_preset(str(folder)).code)
    assert len(codes) == len(parts) + 1
    (folder / "left-over.safetensors").write_bytes(b"")
    assert resolve_preset(str(folder)).code in codes
    (folder / "model.safetensors.index.json").write_text("{")
    with pytest.raises(UserError, match="can't be loaded"):
        load_backbone(resolve_preset(str(folder)).value.checkpoint)
