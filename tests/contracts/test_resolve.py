"""Methods by reference, with options, and one that a third party adds in a file."""

import pytest
import torch

from enumeration import Enumeration, loss_of
from tiny import distance, gradients_of
from toy import rollout_of
from warmup_bench.contracts.errors import UserError
from warmup_bench.contracts.resolve import resolve_method

TEMPERED = """
from warmup_bench.contracts.method import Coefficients, Method

def METHOD(heat=1.0, credit=1.0):
    '''The weights of ``warmup`` at another temperature.'''

    def coefficients(rollout):
        s = (rollout.ly / heat).softmax(dim=1)
        return Coefficients(a=credit * (s - 1 / rollout.samples), b=s)

    return Method("tempered", "warmup with tempered weights", "test", "sampled", coefficients)
"""


@pytest.fixture
def tempered(tmp_path):
    path = tmp_path / "tempered.py"
    path.write_text(TEMPERED, encoding="utf-8")
    return str(path)


def test_a_name_alone_takes_the_defaults():
    entry = resolve_method("warmup-garl")
    assert (entry.name, entry.value.name) == ("warmup-garl", "warmup-garl")
    assert not resolve_method("warmup-jensen").value.reference


def test_an_option_is_set_and_named():
    entry = resolve_method("warmup-garl:q=0.75")
    assert (entry.name, entry.value.name) == ("warmup-garl:q=0.75", "warmup-garl:q=0.75")
    assert entry.origin == resolve_method("warmup-garl").origin
    found = entry.value.coefficients(rollout_of(torch.tensor([[0.0625]]).log()))
    assert float(found.b) == pytest.approx(0.5)  # 0.0625^(1 - 0.75)


def test_a_penalty_asks_for_the_reference():
    assert resolve_method("warmup-jensen:kl=0.1").value.reference
    assert not resolve_method("warmup-jensen:kl=0").value.reference


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("warmup-gral", "unknown method 'warmup-gral'.*warmup-garl"),
        ("warmup-garl:p=1", "no option 'p'.*It has: q"),
        ("warmup-garl:", "no option ''"),
        ("warmup-garl:q", "'q' of method 'warmup-garl' is not a number"),
        ("warmup-garl:q=half", "'q=half' of method 'warmup-garl' is not a number"),
        ("warmup-garl:q=1.5", "q=1.5 is not in 0..1"),
        ("warmup-garl:q=nan", "q=nan is not in 0..1"),
        ("warmup-em:q=-1", "q=-1 is not in 0..1"),
        ("warmup-jensen:kl=-0.1", "kl=-0.1 is not 0 or more"),
        ("warmup-jensen:kl=inf", "kl=inf is not 0 or more"),
        ("warmup:q=1", "method 'warmup' has no options.*Ask for 'warmup'"),
        ("no_such_file.py", "does not exist"),
    ],
)
def test_a_mistake_is_named(reference, message):
    with pytest.raises(UserError, match=message):
        resolve_method(reference)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("METHOD = 3", "is not a warmup_bench.Method"),
        ("def METHOD(): return 3", "is not a warmup_bench.Method"),
        (
            "from warmup_bench.contracts.method import Method, likelihood\n"
            "METHOD = Method('mine', '', '', 'given', likelihood)",
            "has no 'give'",
        ),
    ],
)
def test_a_file_that_defines_no_method_is_refused(tmp_path, text, message):
    path = tmp_path / "mine.py"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UserError, match=message) as error:
        resolve_method(str(path))
    assert "mine.py" in str(error.value)


def test_a_third_party_adds_a_method_with_options_in_a_dozen_lines(tempered):
    assert len(TEMPERED.strip().splitlines()) <= 12
    entry = resolve_method(f"{tempered}:heat=2:credit=0.5")
    assert entry.name == entry.value.name == "tempered:heat=2:credit=0.5"
    assert entry.origin == tempered
    found = entry.value.coefficients(rollout_of(torch.tensor([[0.04, 0.36]]).log()))
    assert found.b[0].tolist() == pytest.approx([0.25, 0.75])
    assert found.a[0].tolist() == pytest.approx([-0.125, 0.125])
    with pytest.raises(UserError, match="It has: heat, credit"):
        resolve_method(f"{tempered}:cold=2")


def test_a_third_party_method_trains(tiny, tempered):
    found, drawn = Enumeration(tiny, [5, 4], [4, 5]), [1, 6]
    uniforms = found.uniforms[None, drawn]

    def gradients(reference):
        method = resolve_method(reference).value
        loss_of(tiny, [found.source], [found.target], method, n=2, uniforms=uniforms).value.backward()
        return gradients_of(tiny)

    built_in = gradients("warmup")
    assert distance(gradients(tempered), built_in) < 1e-6
    assert distance(gradients(f"{tempered}:heat=3"), built_in) > 1e-3
