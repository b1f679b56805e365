"""Stored cells with a handful of predictions, and encoders of a few kilobytes."""

from pathlib import Path

from stored_cells import Written, store

SOURCES = ["die katze lief", "der hund", "das rote haus", "rot", "die katze"]
GOLDS = [["the cat ran", "a cat ran"], ["the dog"], ["the red house"], ["red"], ["the cat"]]
SFT = ["the cat sat", "the dog", "", "a red mat on the house", "the cat"]
WARMUP = ["a cat ran", "the dog", "the house", "red", "on the mat"]

WORDS = sorted({word for texts in (*GOLDS, SOURCES, SFT, WARMUP) for text in texts for word in text.split()})


def store_predictions(
    out: Path, method: str, hypotheses: list[str], *, metrics: tuple[str, ...] = ("chrf++",)
) -> Path:
    """A trained and decoded cell, not scored yet."""
    written = [Written(text) for text in hypotheses]
    return store(out, method, 0, SOURCES, GOLDS, written, metric_names=metrics, scored=False)


def make_encoder(folder: Path, kind: str, *, seed: int = 0) -> Path:
    """An encoder with three layers and random weights, in the layout of save_pretrained."""
    import torch
    from transformers import AutoConfig, AutoModel

    sizes = {"hidden_size": 16, "num_hidden_layers": 3, "num_attention_heads": 2, "intermediate_size": 32}
    if kind == "t5":
        sizes = {"d_model": 16, "d_kv": 8, "d_ff": 32, "num_layers": 3, "num_heads": 2}
    if kind == "roberta":
        sizes |= {"max_position_embeddings": 42, "type_vocab_size": 1}
    tokenizer = make_tokenizer(kind)
    special = {
        "pad_token_id": tokenizer.pad_token_id,
        "bos_token_id": tokenizer.cls_token_id,
        "eos_token_id": tokenizer.sep_token_id or tokenizer.eos_token_id,
    }
    config = AutoConfig.for_model(kind, vocab_size=len(tokenizer), **sizes, **special)
    torch.manual_seed(seed)
    model = AutoModel.from_config(config)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:  # biases would turn all texts the same way
                parameter.add_(0.5 * torch.randn(parameter.shape))
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def make_tokenizer(kind: str):
    """A tokenizer of :data:`WORDS`; RoBERTa's tells a word after a space from one that begins a text."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast, RobertaTokenizerFast

    if kind == "roberta":
        from tokenizers.pre_tokenizers import ByteLevel

        letters = sorted(ByteLevel.alphabet())
        vocabulary = {t: i for i, t in enumerate(["<s>", "<pad>", "</s>", "<unk>", "<mask>", *letters])}
        text_tokens = Tokenizer(models.BPE(vocab=vocabulary, merges=[], unk_token="<unk>"))
        text_tokens.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        text_tokens.post_processor = processors.RobertaProcessing(
            ("</s>", 2), ("<s>", 0), add_prefix_space=False
        )
        return RobertaTokenizerFast(tokenizer_object=text_tokens, model_max_length=40)
    if kind == "t5":
        vocabulary = {t: i for i, t in enumerate(["<pad>", "</s>", "<unk>", *WORDS])}
        text_tokens = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
        text_tokens.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
        text_tokens.post_processor = processors.TemplateProcessing(
            single="$A </s>", special_tokens=[("</s>", 1)]
        )
        names = {"pad_token": "<pad>", "eos_token": "</s>", "unk_token": "<unk>"}
        return PreTrainedTokenizerFast(tokenizer_object=text_tokens, **names)
    vocabulary = {t: i for i, t in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS])}
    text_tokens = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    text_tokens.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    text_tokens.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    names = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    return PreTrainedTokenizerFast(tokenizer_object=text_tokens, mask_token="[MASK]", **names)
