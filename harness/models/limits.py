"""How long a sequence a model can hold: checked before the first step, not by a crash or wrong numbers."""

from typing import Any

from warmup_bench.contracts.errors import UserError
from warmup_bench.contracts.settings import Settings


def check_lengths(config: Any, settings: Settings) -> None:
    """See that the longest input and output of the settings fit the model.

    Positions: BART and GPT-2 have learned ones and no more; the others were trained on no longer texts.
    Window: layers with a sliding window count columns, padding included, so that beyond the window a row's
    numbers would depend on the rows beside it.

    Raises:
        UserError: They don't fit.
    """
    source = settings.train.max_source_tokens
    answer = max(settings.train.max_target_tokens, settings.decode.max_tokens + 1)
    written = settings.warmup.max_tokens + 1 + answer
    positions = getattr(config, "max_position_embeddings", None)
    started = written + 2  # a decoder's start token, and its language or bos
    wanted = max(source, started) if config.is_encoder_decoder else source + written
    window = sliding_window(config)
    for limit, what in ((positions, "positions"), (window, "tokens in its attention window")):
        if limit is not None and wanted > limit:
            raise UserError(
                f"sequences of up to {wanted} tokens do not fit the model: it has {limit} {what}",
                origin=f"{source} of the source; {written} of warmup, separator and output",
                hint="Lower train.max_source_tokens, train.max_target_tokens, decode.max_tokens "
                "or warmup.max_tokens.",
            )


def sliding_window(config: Any) -> int | None:
    """Width of the narrowest window of a model's attention; None where every layer sees everything."""
    if "local" in getattr(config, "attention_layers", ()):  # GPT-Neo
        return int(config.window_size)
    window = getattr(config, "sliding_window", None)
    kinds = getattr(config, "layer_types", None)
    if window is None or (kinds is not None and not any("sliding" in kind for kind in kinds)):
        return None
    return int(window)
