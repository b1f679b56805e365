"""What a checkpoint expects around a text: special tokens, language tokens, the decoder's first tokens.

All of it is read off the tokenizer, by giving it a text and looking at what it put around it: BART's ``<s>``
and ``</s>``, Llama's ``<|begin_of_text|>``, T5's ``</s>``, the languages of mBART, M2M-100 and NLLB.
"""

import re
from dataclasses import dataclass
from typing import Any

from warmup_bench.contracts.errors import UserError

Languages = tuple[str, str]
"""ISO 639-1 codes of a task's source and target."""


@dataclass(frozen=True, slots=True)
class Frame:
    """Ids around the source, and those that a decoder reads before it predicts (none for decoder-only)."""

    prefix: tuple[int, ...]
    suffix: tuple[int, ...]
    start: tuple[int, ...] = ()


def read_frame(tokenizer: Any, config: Any, languages: Languages | None) -> Frame:
    """The frame of a checkpoint.

    A decoder is started as in its training, where the labels are a framed target shifted by one: its start
    token, then what stands before a target (BART's ``<s>``, the target language of mBART-50 and NLLB). The
    25-language mBART puts the language behind the text and starts its decoder with it alone.

    Raises:
        UserError: A multilingual checkpoint without languages, or without a token for one of them.
    """
    if not config.is_encoder_decoder:
        return Frame(_around(tokenizer)[0], ())
    start = config.decoder_start_token_id
    eos = tokenizer.eos_token_id
    if hasattr(tokenizer, "src_lang"):
        source, target = _language_tokens(tokenizer, languages)
        tokenizer.src_lang = target
        before, after = _around(tokenizer)
        tokenizer.src_lang = source
        spoken = tokenizer.convert_tokens_to_ids(_token(target, tokenizer))
        first = (spoken,) if spoken in after else (eos if start is None else start, *before)
    else:
        first = (start, *_around(tokenizer)[0])
    prefix, suffix = _around(tokenizer)
    if None in first:
        raise UserError(
            "the configuration names no first token of the decoder",
            origin=f"checkpoint {tokenizer.name_or_path}",
            hint="Set decoder_start_token_id in its config.json.",
        )
    return Frame(prefix, suffix if eos in suffix else (*suffix, eos), first)


def _around(tokenizer: Any) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The special tokens that a tokenizer puts before and after a text."""
    plain = tokenizer("a", add_special_tokens=False)["input_ids"]
    framed = tokenizer("a")["input_ids"]
    for begin in range(len(framed) - len(plain) + 1):
        if framed[begin : begin + len(plain)] == plain:
            return tuple(framed[:begin]), tuple(framed[begin + len(plain) :])
    return (), ()


def _language_tokens(tokenizer: Any, languages: Languages | None) -> tuple[str, str]:
    """The checkpoint's own names of the source and target language, as ``src_lang`` takes them."""
    origin = f"checkpoint {tokenizer.name_or_path}"
    if languages is None:
        raise UserError(
            "a multilingual checkpoint needs a source and a target language",
            origin=origin,
            hint="Run it on a task whose card names them, or load a model that a run has saved.",
        )
    names = [language_name(tokenizer, language) for language in languages]
    for language, name in zip(languages, names, strict=True):
        if name is None:
            raise UserError(
                f"the checkpoint has no token for the language '{language}'",
                origin=origin,
                hint="Take a checkpoint that was trained on it, or one without language tokens (mT5).",
            )
    return str(names[0]), str(names[1])


def _token(name: str, tokenizer: Any) -> str:
    """The vocabulary's token of a language name."""
    return f"__{name}__" if _knows(tokenizer, f"__{name}__") else name


def _knows(tokenizer: Any, token: str) -> bool:
    return tokenizer.convert_tokens_to_ids(token) not in (None, tokenizer.unk_token_id)


def language_name(tokenizer: Any, language: str) -> str | None:
    """A checkpoint's name of an ISO 639-1 language, None where it has none.

    M2M-100 says ``de`` (token ``__de__``), NLLB ``deu_Latn`` (three letters and the script; both are CLDR's,
    through Babel), mBART ``de_DE``.
    """
    from babel.core import get_global

    if _knows(tokenizer, f"__{language}__"):
        return language
    likely = get_global("likely_subtags").get(language, "").split("_")
    longer = [code for code, short in get_global("language_aliases").items() if short == language]
    for code in longer:
        if len(likely) > 1 and _knows(tokenizer, f"{code}_{likely[1]}"):
            return f"{code}_{likely[1]}"
    regional = re.compile(rf"{re.escape(language)}_[A-Z]{{2}}")
    return next((token for token in sorted(tokenizer.get_vocab()) if regional.fullmatch(token)), None)
