"""How long a sequence a model can hold."""

import pytest

from warmup_bench.contracts.errors import UserError
from warmup_bench.models.limits import check_lengths, sliding_window
from warmup_bench.spec.spec import make_settings


def config_of(kind, **settings):
    from transformers import AutoConfig

    return AutoConfig.for_model(kind, **settings)


def settings_of(*, source=20, target=8, output=9, warmup=3):
    return make_settings(
        "a test",
        {
            "train": {"max_source_tokens": source, "max_target_tokens": target},
            "decode": {"max_tokens": output},
            "warmup": {"max_tokens": warmup},
        },
    )


WRITTEN = 3 + 1 + 9 + 1
"""Warmup, separator, output and eos of ``settings_of()``."""


def test_a_decoder_only_model_holds_the_source_and_all_that_is_written():
    check_lengths(config_of("gpt2", n_positions=20 + WRITTEN), settings_of())
    with pytest.raises(UserError, match=rf"up to {20 + WRITTEN} tokens .* it has {19 + WRITTEN} positions"):
        check_lengths(config_of("gpt2", n_positions=19 + WRITTEN), settings_of())


def test_an_encoder_decoder_has_two_sequences():
    check_lengths(config_of("bart", max_position_embeddings=20), settings_of())
    with pytest.raises(UserError, match="up to 21 tokens"):
        check_lengths(config_of("bart", max_position_embeddings=20), settings_of(source=21))
    with pytest.raises(UserError, match="it has 20 positions"):
        check_lengths(config_of("bart", max_position_embeddings=20), settings_of(target=30))


def test_relative_positions_have_no_end():
    check_lengths(config_of("t5"), settings_of(source=100_000))
    check_lengths(config_of("bloom"), settings_of(source=100_000))


WINDOWS = {
    "mistral": ({"sliding_window": 30}, 30),
    "mistral without": ({"sliding_window": None}, None),
    "qwen2": ({"sliding_window": 30}, None),  # it has the number and does not use it
    "qwen2 with": ({"sliding_window": 30, "use_sliding_window": True, "max_window_layers": 0}, 30),
    "gemma3_text": ({"sliding_window": 30}, 30),
    "gpt_neo": ({"window_size": 30}, 30),
    "llama": ({}, None),
}


@pytest.mark.parametrize("name", WINDOWS)
def test_windows(name):
    changes, window = WINDOWS[name]
    config = config_of(name.split()[0], **changes)
    assert sliding_window(config) == window
    if window is None:
        check_lengths(config, settings_of())
    else:
        check_lengths(config, settings_of(source=30 - WRITTEN))
        with pytest.raises(UserError, match="30 tokens in its attention window"):
            check_lengths(config, settings_of(source=31 - WRITTEN))
