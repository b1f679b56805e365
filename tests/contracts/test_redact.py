"""Secrets never reach a message, a stored environment or a spec."""

import string
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warmup_bench.contracts.errors import UserError
from warmup_bench.contracts.redact import MARK, is_secret_name, redact, redact_all, visible
from warmup_bench.spec.spec import make_spec
from warmup_bench.store.provenance import provenance

LETTERS = string.ascii_letters + string.digits
secrets = st.text(LETTERS, min_size=8, max_size=40).map(lambda text: f"Zq7{text}")  # stands in no other word
around = st.text(LETTERS + " \n,;", max_size=20)
FORMS = (
    "https://user:{}@host/path",
    "https://{}@host/path",
    "http://proxy.example:8080/x?token={}",
    "postgresql+psycopg://u:{}@db:5432/x",
    "HF_TOKEN={}",
    "export WANDB_API_KEY='{}'",
    'password: "{}"',
    "{{'api_key': '{}', 'x': 1}}",
    '{{"accessToken": "{}"}}',
    "Authorization: Bearer {}",
    "authorization=Basic {}",
    "https://bucket/x?X-Amz-Signature={}&x=1",
    "MLFLOW_TRACKING_PASSWORD = {}",
    "url=https://h/?a=b&secret={}",
    "https://user:pa/{}@host/",
    "PGPASSWORD={} psql",
    "DB_PASS={}",
    "MYTOKENS={}",
    "SMTP_PW: {}",
    "DefaultEndpointsProtocol=https;AccountName=n;AccountKey={};EndpointSuffix=core.windows.net",
)


@pytest.mark.parametrize("form", FORMS)
@given(secret=secrets, before=around, after=around)
def test_a_secret_is_hidden_in_every_form(form: str, secret: str, before: str, after: str) -> None:
    hidden = redact(f"{before} {form.format(secret)} {after}", {})
    assert secret not in hidden
    assert MARK in hidden
    assert redact(hidden, {}) == hidden


@given(secret=secrets, before=around, after=around)
def test_the_value_of_a_secret_variable_is_hidden_wherever_it_stands(
    secret: str, before: str, after: str
) -> None:
    text = f"{before}{secret}{after}"
    assert secret not in redact(text, {"HF_TOKEN": secret})
    assert redact(secret, {"HOME": secret, "PWD": secret, "OLDPWD": secret}) == secret


def test_known_keys_are_hidden_without_a_name() -> None:
    for key in ("hf_" + "a1" * 17, "ghp_" + "b2" * 18, "AKIA" + "ABCD" * 4, "sk-" + "c3" * 20):
        assert redact(f"401 for {key}.", {}) == f"401 for {MARK}."
    block = "-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----"
    assert redact(f"a {block} b", {}) == f"a {MARK} b"


@pytest.mark.parametrize(
    "text",
    [
        "unknown key 'train.learning_rat'. Did you mean train.learning_rate?",
        "--budget tokens=50000, warmup.max_tokens=6 and max_target_tokens: 64",
        "pad_token: <pad>, eos_token = </s>, sep_token='[SEP]'",
        "owner/name@refs/pr/1 of https://huggingface.co/owner/name at revision 1234567890ab",
        "nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp|version:2.5.1, signature: nrefs:1",
        "the tokenizer has no end-of-sequence token. Set eos_token in its tokenizer_config.json.",
        "mail someone@example.org; key: value; 3:1 = 3",
    ],
)
def test_what_is_no_secret_stays(text: str) -> None:
    assert redact(text, {}) == text


def test_names() -> None:
    secret = (
        "HF_TOKEN",
        "db.password",
        "apiKey",
        "AWS_SECRET_ACCESS_KEY",
        "github-token",
        "AWS_ACCESS_KEY_ID",
    )
    plain = ("tokens", "max_tokens", "PWD", "key", "tokenizer", "eos_token", "passwords_file", "signature")
    assert all(map(is_secret_name, secret))
    assert not any(map(is_secret_name, plain))


def test_nested_data() -> None:
    given_ = {"env": {"HF_TOKEN": "abc", "LANG": "C"}, "urls": ["https://u:p@h/"], "n": 3, "x": None}
    wanted = {"env": {"HF_TOKEN": MARK, "LANG": "C"}, "urls": [f"https://{MARK}@h/"], "n": 3, "x": None}
    assert redact_all(given_) == wanted


def test_an_error_shows_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "correct-horse-battery")
    error = UserError(
        "fetching https://me:pw@host/x failed", origin="token=abc", hint="sent correct-horse-battery"
    )
    shown = f"{error} {error.problem} {error.origin} {error.hint} {error.args}"
    for secret in ("me:pw", "abc", "correct-horse"):
        assert secret not in shown


def test_no_variable_of_the_environment_is_stored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "correct-horse-battery")
    monkeypatch.setenv("HTTPS_PROXY", "http://user:stapler-staple@proxy:1")
    stored = str(provenance("cpu", "float32"))
    assert "battery" not in stored
    assert "stapler" not in stored


@pytest.mark.parametrize(
    "spec",
    [
        {"task": "t", "backbones": {"https://me:pw@host/model": {}}},
        {"task": "t", "data_dir": "s3://key:pw@bucket"},
        {"task": "t", "score": {"comet": {"model": "hf_" + "a1" * 17}}},
        {"task": "t", "out": Path("runs/token=abcdefgh")},
    ],
)
def test_a_spec_with_a_secret_is_refused_before_it_is_stored(spec: dict[str, object]) -> None:
    with pytest.raises(UserError, match="holds a secret") as error:
        make_spec(spec, "a test")
    assert "pw" not in str(error.value)
    assert "a1a1" not in str(error.value)


@given(st.text(max_size=80))
def test_control_characters_are_spelled_out(text: str) -> None:
    shown = visible(text)
    assert not any((ord(c) < 32 and c not in "\n\t") or 127 <= ord(c) < 160 for c in shown)
    shown.encode()
    if text.isascii() and text.isprintable():
        assert shown == text


def test_an_escape_sequence_does_not_act() -> None:
    assert visible("a\x1b[31mb\ud800") == r"a\x1b[31mb\ud800"


@pytest.mark.parametrize("name", ["max_tokens", "warmup_tokens", "MAX_TOKENS", "first_pass", "target_tokens"])
def test_what_counts_tokens_and_passes_is_no_secret(name: str) -> None:
    assert not is_secret_name(name)
    assert redact(f"{name}=12345678", {}) == f"{name}=12345678"
