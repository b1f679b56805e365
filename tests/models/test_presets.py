"""Presets: complete, documented, and valid as settings."""

import re
from pathlib import Path

import pytest
import torch
from random_models import model_of

from warmup_bench.contracts.registry import backbones
from warmup_bench.contracts.settings import Budget
from warmup_bench.models.load import UNKNOWN_CHECKPOINT, make_backbone, resolve_preset
from warmup_bench.models.presets import SCRATCH_LLAMA, SCRATCH_LLAMA_60M, SCRATCH_T5, SCRATCH_T5_60M
from warmup_bench.spec.spec import make_settings

PAGE = Path(__file__).parents[2] / "docs" / "backbones.md"
PRESETS = {name: entry.value for name, entry in backbones().entries()}


def flat(settings):
    return {f"{section}.{key}": value for section, keys in settings.items() for key, value in keys.items()}


@pytest.mark.parametrize("name", PRESETS)
def test_settings_are_valid_and_sources_speak_of_them(name):
    preset = PRESETS[name]
    assert preset.name == name
    settings = make_settings(name, preset.settings)
    assert set(preset.sources) <= set(flat(preset.settings))
    assert preset.checkpoint is not None or preset.config
    if preset.checkpoint is not None:
        assert settings.warm_start.steps == 0
        assert preset.checkpoint in preset.summary


def rows():
    """Cells of the page's tables, by the preset in the first."""
    found = {}
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        if match := re.match(r"\| `([^`]+)` \|(.*)\|$", line):
            found[match[1]] = [cell.strip() for cell in match[2].split("|")]
    return {name: cells for name, cells in found.items() if not name.startswith("lora.")}


def test_the_page_has_every_preset_and_nothing_else():
    assert set(rows()) == set(PRESETS)


@pytest.mark.parametrize("name", PRESETS)
def test_the_page_says_what_the_preset_does(name):
    """``key=value`` for every setting, with † where it is documented elsewhere."""
    preset, cells = PRESETS[name], rows()[name]
    shown = dict(
        re.fullmatch(r"(\S+)=(\S+?)(†?)", part).group(1, 2) for part in cells[-2].replace("`", "").split(", ")
    )
    expected = flat(preset.settings)
    assert set(shown) == set(expected)
    for key, value in expected.items():
        assert shown[key] == (f"{value:g}" if isinstance(value, float | int) else value), key
        assert (f"{key}={shown[key]}†" in cells[-2].replace("`", "")) == (key in preset.sources), key
    for source in set(preset.sources.values()):
        assert source in cells[-1]


SCRATCH = [SCRATCH_T5, SCRATCH_LLAMA, SCRATCH_T5_60M, SCRATCH_LLAMA_60M]


@pytest.mark.parametrize("preset", SCRATCH, ids=lambda preset: preset.name)
def test_models_from_scratch_have_the_size_they_say(preset):
    from transformers import AutoConfig

    settings = dict(preset.config)
    config = AutoConfig.for_model(settings.pop("model_type"), vocab_size=preset.vocabulary, **settings)
    with torch.device("meta"):
        count = model_of(config).num_parameters()
    millions = int(re.search(r"about (\d+)M", preset.summary)[1])
    assert round(count / 1e6) == millions


def test_a_checkpoint_by_hub_id_may_name_a_revision():
    preset = resolve_preset("someone/model@refs/pr/3").value
    assert (preset.checkpoint, preset.revision) == ("someone/model", "refs/pr/3")
    assert preset.name == "someone--model@refs--pr--3"
    assert preset.settings == UNKNOWN_CHECKPOINT
    assert resolve_preset("someone/model").value.revision is None


def test_a_scratch_preset_trains_its_tokenizer_on_the_data():
    torch.manual_seed(0)
    backbone = make_backbone(SCRATCH_T5, ["the fox", "der Fuchs"] * 9, dropout=0.1, offline=True)
    assert backbone.text(backbone.plain_ids("ein Fuchs läuft")) == "ein Fuchs läuft"
    assert backbone.vocabulary == len(backbone.tokenizer)


@pytest.mark.parametrize(
    ("epochs", "examples", "batch", "steps"),
    [(1, 10, 5, 2), (3, 11, 5, 6), (0.5, 100, 10, 5), (0.01, 10, 5, 1), (2, 3, 8, 2)],
)
def test_epochs_are_steps_of_whole_batches(epochs, examples, batch, steps):
    assert Budget(epochs=epochs).in_steps(examples, batch) == Budget(steps=steps)


def test_other_budgets_stay():
    for budget in (Budget(steps=7), Budget(flops=1e9), Budget(seconds=3.0), Budget(tokens=5)):
        assert budget.in_steps(100, 10) is budget
