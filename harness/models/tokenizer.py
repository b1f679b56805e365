"""The tokenizer of a from-scratch backbone: byte-level BPE trained on the training split."""

from collections.abc import Iterable
from typing import Any

PAD, EOS, SEPARATOR, ANSWER = "<pad>", "</s>", "<extra_id_0>", "<answer>"


def train_tokenizer(texts: Iterable[str], vocabulary: int) -> Any:
    """Train byte-level BPE (no unknown tokens in any script) and wrap it for transformers.

    Args:
        texts: Sources and targets of the training split, in a fixed order.
        vocabulary: Size with the 256 bytes and the four special tokens.
    """
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    core.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=[PAD, EOS, SEPARATOR, ANSWER],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    core.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=core,
        pad_token=PAD,
        eos_token=EOS,
        add_prefix_space=True,  # transformers 4 would undo what the core has
        additional_special_tokens=[SEPARATOR, ANSWER],
    )
