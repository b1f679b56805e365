"""Secrets and control characters, taken out of what is stored or shown.

A secret is the user part of a URL, a value under a name such as ``HF_TOKEN`` or ``password``, a text in the
form of a known kind of key, or the value of an environment variable with such a name. The rules would rather
hide too much of an error message than too little; nothing that is scored passes through here.
"""

import os
import re
from collections.abc import Mapping
from typing import Any

MARK = "[redacted]"
SHORTEST = 8
"""Characters of the shortest value of a variable that is looked for in texts: a shorter one may be a word."""

_ENDINGS = (
    *("token", "password", "passwd", "passphrase", "_pwd", "secret", "credential", "credentials", "cookie"),
    *("apikey", "api_key", "access_key", "secret_key", "private_key", "access_key_id", "authorization"),
    *("amz_signature", "goog_signature", "account_key", "shared_key", "signing_key", "encryption_key"),
    *("passwords", "secrets", "api_keys", "access_keys", "db_pass", "user_pass"),
)
_OF_VARIABLES = ("_pass", "_pw", "tokens")
"""Endings that tell a secret where the whole name is in capitals: elsewhere they count tokens and passes."""
_COUNTED = re.compile(r"(?:^|_)(?:max|min|num|n|total|new)_tokens$")
_PLAIN = re.compile(
    r"(?:^|_)(?:pad|eos|bos|unk|sep|cls|mask|end|start|next|each|per|a|the|answer|separator|special)_token$"
)
"""Tokens of a vocabulary, which are not secrets."""
_USER = re.compile(
    r"(\b[a-zA-Z][a-zA-Z0-9+.-]{0,30}://)(?:[^\s/?#@]{1,2000}|[^\s/@:]{0,500}:[^\s@]{0,2000})@"
)
_HEADER = re.compile(
    r"(?i)(\bauthorization['\"]?\s{0,5}[:=]\s{0,5}['\"]?|\bbearer\s{1,5})(?:(?:basic|bearer|token)\s{1,5})?"
    r"[\w.~+/=:-]{4,2000}"
)
_PAIR = re.compile(
    r"(?P<name>[A-Za-z][\w.-]{0,100})(?P<between>['\"]?\s{0,3}[=:]\s{0,3})"
    r"(?P<value>\"[^\"\n]{1,2000}\"|'[^'\n]{1,2000}'|[^\s\"'&;,<>(){}\[\]]{1,2000})"
)
_KEYS = re.compile(
    r"\bhf_[A-Za-z0-9]{16,}|\bgh[oprsu]_[A-Za-z0-9]{20,}|\bgithub_pat_\w{20,}|\bglpat-[\w-]{16,}"
    r"|\bsk-[\w-]{20,}|\b(?:AKIA|ASIA)[A-Z0-9]{16}\b|\bxox[abeoprs]-[\w-]{10,}|\bAIza[\w-]{35}"
    r"|\bnpm_[A-Za-z0-9]{36}|\bpypi-[\w-]{50,}|\beyJ[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]{8,}"
    r"|-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----.*?(?:-----END [A-Z ]{0,40}PRIVATE KEY-----|\Z)",
    re.DOTALL,
)
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def is_secret_name(name: str) -> bool:
    """Whether what stands under a name is a secret: ``HF_TOKEN``, ``db.password``, ``apiKey``."""
    words = re.sub(r"(?<=[a-z])(?=[A-Z])|[^A-Za-z0-9]+", "_", name).lower().strip("_")
    if name.isupper() and words.endswith(_OF_VARIABLES):
        return not _COUNTED.search(words)
    return words.endswith(_ENDINGS) and not _PLAIN.search(words)


def redact(text: str, environment: Mapping[str, str] | None = None) -> str:
    """The text with :data:`MARK` in the place of every secret; redacted again it stays the same.

    Args:
        text: Anything that is to be shown or stored.
        environment: Variables whose values are secrets where their names say so; None: this process's.
    """
    known = os.environ if environment is None else environment
    for name, value in known.items():
        if len(value) >= SHORTEST and is_secret_name(name):
            text = text.replace(value, MARK)
    text = _KEYS.sub(MARK, text)
    text = _USER.sub(rf"\1{MARK}@", text)
    text = _HEADER.sub(rf"\1{MARK}", text)
    return _PAIR.sub(_hidden, text)


def _hidden(pair: re.Match[str]) -> str:
    # Where the value is no secret it may be a pair too, as in "url=https://host/?token=…".
    value = MARK if is_secret_name(pair["name"]) else _PAIR.sub(_hidden, pair["value"])
    return f"{pair['name']}{pair['between']}{value}"


def redact_all(value: Any) -> Any:
    """Nested plain data with every text redacted, and what stands under the name of a secret hidden whole."""
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, Mapping):
        return {
            key: MARK if isinstance(entry, str) and is_secret_name(str(key)) else redact_all(entry)
            for key, entry in value.items()
        }
    return [redact_all(entry) for entry in value] if isinstance(value, list | tuple) else value


def visible(text: str) -> str:
    r"""Text from outside for a terminal: control characters are spelled out (``\x1b``), so that none acts.

    Line breaks and tabs stay; so do all letters, of which lone surrogates are none.
    """
    return _CONTROL.sub(lambda control: control[0].encode("unicode_escape").decode("ascii"), text)
