"""Tiny random checkpoints in the layout in which each family is published: tokenizer files, config, weights.

Tokenizers are trained on a few lines; their files are written by hand rather than by ``save_pretrained``, so
that one layout serves every version of transformers, as the published ones do.
"""

import io
import json
from pathlib import Path

import torch
from random_models import model_of

LINES = [
    "the quick brown fox jumps over the lazy dog",
    "a green tree stands by the quiet river and the old house",
    "ein schneller brauner Fuchs springt über den faulen Hund",
    "ein grüner Baum steht am stillen Fluss neben dem alten Haus",
    "le renard brun saute par-dessus le chien paresseux",
] * 4
PAIRS = list(zip(LINES[:5] * 2, [line.split()[-1] for line in LINES[:5]] * 2, strict=True))

SEQ = {
    "d_model": 16,
    "encoder_layers": 1,
    "decoder_layers": 1,
    "encoder_attention_heads": 2,
    "decoder_attention_heads": 2,
    "encoder_ffn_dim": 32,
    "decoder_ffn_dim": 32,
    "max_position_embeddings": 64,
}
T5 = {"d_model": 16, "d_kv": 8, "d_ff": 32, "num_layers": 1, "num_decoder_layers": 1, "num_heads": 2}
LLAMA = {
    "hidden_size": 16,
    "intermediate_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 128,
}
GPT2 = {"n_embd": 16, "n_layer": 1, "n_head": 2, "n_positions": 64}


def write_json(path, content):
    path.write_text(json.dumps(content), encoding="utf-8")


def sentencepiece_model(size=120, **ids):
    """Bytes of a unigram model over the lines."""
    import sentencepiece

    written = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(LINES),
        model_writer=written,
        vocab_size=size,
        hard_vocab_limit=False,
        minloglevel=2,
        num_threads=1,
        **ids,
    )
    return written.getvalue()


def pieces(model):
    import sentencepiece

    processor = sentencepiece.SentencePieceProcessor(model_proto=model)
    return [processor.id_to_piece(i) for i in range(processor.get_piece_size())]


def byte_level(first=()):
    """A byte-level BPE whose vocabulary starts with the tokens ``first``."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=320,
        special_tokens=list(first),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    core.train_from_iterator(LINES, trainer)
    return core


def write_vocab_and_merges(folder, first):
    """vocab.json and merges.txt, as GPT-2 and BART are published."""
    core = byte_level(first)
    core.model.save(str(folder))
    return core.get_vocab_size()


def t5_tokenizer(folder, extra=3):
    model = sentencepiece_model(pad_id=0, eos_id=1, unk_id=2, bos_id=-1)
    (folder / "spiece.model").write_bytes(model)
    special = [f"<extra_id_{i}>" for i in range(extra)]
    config = {"tokenizer_class": "T5Tokenizer", "extra_ids": extra, "additional_special_tokens": special}
    config |= {"eos_token": "</s>", "pad_token": "<pad>", "unk_token": "<unk>"}
    write_json(folder / "tokenizer_config.json", config)
    return len(pieces(model)) + extra


def bart_tokenizer(folder):
    size = write_vocab_and_merges(folder, ["<s>", "<pad>", "</s>", "<unk>", "<mask>"])
    write_json(folder / "tokenizer_config.json", {"tokenizer_class": "BartTokenizer"})
    return size


def marian_tokenizer(folder):
    """Two models over one vocabulary: a source is cut by the one, a target by the other."""
    source, target = sentencepiece_model(), sentencepiece_model(model_type="char")
    (folder / "source.spm").write_bytes(source)
    (folder / "target.spm").write_bytes(target)
    words = dict.fromkeys(["</s>", "<unk>", *pieces(source)[3:], *pieces(target)[3:], "<pad>"])
    write_json(folder / "vocab.json", {word: i for i, word in enumerate(words)})
    config = {"tokenizer_class": "MarianTokenizer", "source_lang": "de", "target_lang": "en"}
    write_json(folder / "tokenizer_config.json", config)
    return len(words)


def fairseq_tokenizer(kind, source=None):
    """mBART (25 languages), mBART-50 and NLLB: one sentencepiece model, shifted ids, then languages."""

    def write(folder):
        (folder / "sentencepiece.bpe.model").write_bytes(sentencepiece_model())
        config = {"tokenizer_class": kind} | ({"src_lang": source} if source else {})
        if kind == "NllbTokenizer":
            config["additional_special_tokens"] = ["eng_Latn", "deu_Latn", "zho_Hans"]
        write_json(folder / "tokenizer_config.json", config)

    return write  # no size: the tokenizer knows it


def m2m_tokenizer(folder):
    model = sentencepiece_model()
    (folder / "sentencepiece.bpe.model").write_bytes(model)
    words = ["<s>", "<pad>", "</s>", "<unk>", *pieces(model)[3:]]
    write_json(folder / "vocab.json", {word: i for i, word in enumerate(words)})
    from transformers.models.m2m_100.tokenization_m2m_100 import FAIRSEQ_LANGUAGE_CODES

    spoken = [f"__{code}__" for code in FAIRSEQ_LANGUAGE_CODES["m2m100"]]
    config = {"tokenizer_class": "M2M100Tokenizer", "additional_special_tokens": spoken}
    config |= {"src_lang": "en", "tgt_lang": "de"}
    write_json(folder / "tokenizer_config.json", config)


def fast_tokenizer(special, *, bos=None, eos, pad=None):
    """A tokenizer.json alone, as newer decoder-only models are published; ``bos`` stands before a text."""

    def write(folder):
        from tokenizers import processors

        core = byte_level(special)
        if bos is not None:
            template = processors.TemplateProcessing(
                single=f"{bos} $A", special_tokens=[(bos, core.token_to_id(bos))]
            )
            core.post_processor = template
        core.save(str(folder / "tokenizer.json"))
        names = {"bos_token": bos, "eos_token": eos, "pad_token": pad}
        config = {"tokenizer_class": "PreTrainedTokenizerFast"}
        config |= {key: name for key, name in names.items() if name is not None}
        write_json(folder / "tokenizer_config.json", config)
        return core.get_vocab_size()

    return write


def gpt2_tokenizer(folder):
    size = write_vocab_and_merges(folder, ["<|endoftext|>"])
    write_json(folder / "tokenizer_config.json", {"tokenizer_class": "GPT2Tokenizer"})
    return size


LLAMA_3 = fast_tokenizer(
    ["<|begin|>", "<|end|>", "<|turn|>", "<|reserved_special_token_0|>"], bos="<|begin|>", eos="<|turn|>"
)
QWEN = fast_tokenizer(
    ["<|endoftext|>", "<|im_end|>", "<|fim_middle|>"], eos="<|endoftext|>", pad="<|im_end|>"
)
SMOLLM = fast_tokenizer(["<|endoftext|>", "<|im_start|>", "<file_sep>"], eos="<|endoftext|>")

FAMILIES = {
    # name: (model type, tokenizer, configuration, generation configuration)
    "t5": ("t5", t5_tokenizer, {**T5, "pad_token_id": 0, "eos_token_id": 1, "decoder_start_token_id": 0}, {}),
    "mt5": (
        "mt5",
        t5_tokenizer,
        {**T5, "tie_word_embeddings": False, "feed_forward_proj": "gated-gelu", "decoder_start_token_id": 0},
        {},
    ),
    "bart": ("bart", bart_tokenizer, SEQ, {"forced_bos_token_id": 0}),
    "marian": ("marian", marian_tokenizer, {**SEQ, "scale_embedding": True, "eos_token_id": 0}, {}),
    "mbart": ("mbart", fairseq_tokenizer("MBartTokenizer"), SEQ, {}),
    "mbart-50": ("mbart", fairseq_tokenizer("MBart50Tokenizer", "en_XX"), SEQ, {}),
    "nllb": ("m2m_100", fairseq_tokenizer("NllbTokenizer", "eng_Latn"), SEQ, {}),
    "m2m-100": ("m2m_100", m2m_tokenizer, SEQ, {}),
    "llama": ("llama", LLAMA_3, LLAMA, {"eos_token_id": [1, 2]}),
    "qwen2": ("qwen2", QWEN, LLAMA, {}),
    "qwen3": ("qwen3", QWEN, {**LLAMA, "head_dim": 8}, {}),
    "smollm2": ("llama", SMOLLM, {**LLAMA, "tie_word_embeddings": True}, {}),
    "gpt2": ("gpt2", gpt2_tokenizer, GPT2, {}),
    "mistral": ("mistral", LLAMA_3, {**LLAMA, "sliding_window": None}, {}),
    "gemma": ("gemma", LLAMA_3, {**LLAMA, "head_dim": 8}, {}),
    "gemma3": (
        "gemma3_text",
        LLAMA_3,
        {**LLAMA, "head_dim": 8, "sliding_window": 64, "sliding_window_pattern": 2},
        {},
    ),
}


def publish(folder, name, *, safe=True, seed=0, **changes):
    """Write a checkpoint of a family into a folder, which is made."""
    from transformers import AutoConfig, AutoTokenizer

    folder = Path(folder)
    folder.mkdir(parents=True)
    model_type, tokenizer, settings, generation = FAMILIES[name]
    size = tokenizer(folder)
    if size is None:
        write_json(folder / "config.json", {"model_type": model_type})
        size = len(AutoTokenizer.from_pretrained(folder))
    config = AutoConfig.for_model(model_type, **({"vocab_size": size} | settings | changes))
    for key in ("bos_token_id", "pad_token_id", "eos_token_id"):
        if not config.is_encoder_decoder and getattr(config, key, None) is not None:
            setattr(config, key, min(getattr(config, key), size - 1))
    if model_type == "marian":
        config.pad_token_id = config.decoder_start_token_id = size - 1
    torch.manual_seed(seed)
    model = model_of(config)
    with torch.no_grad():  # far from uniform predictions, so that outputs differ
        for parameter in model.parameters():
            parameter.add_(0.2 * torch.randn(parameter.shape))
    for key, value in generation.items():
        setattr(model.generation_config, key, value)
    model.save_pretrained(folder)
    if not safe:
        (folder / "model.safetensors").unlink()
        torch.save(model.state_dict(), folder / "pytorch_model.bin")
    return folder
