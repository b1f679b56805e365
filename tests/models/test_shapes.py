"""Shapes that presets declare, against the sizes that the checkpoints' makers and the hub state."""

import pytest

from warmup_bench.contracts.errors import UserError
from warmup_bench.contracts.preset import Preset
from warmup_bench.contracts.settings import Lora
from warmup_bench.models import presets
from warmup_bench.models.shapes import shape_costs

PARAMETERS = {
    "T5_SMALL": 60_506_624,
    "T5_BASE": 222_903_552,
    "T5_LARGE": 737_668_096,
    "MT5_SMALL": 300_176_768,
    "MT5_BASE": 582_401_280,
    "SMOLLM2_135M": 134_515_008,
    "SMOLLM2_360M": 361_821_120,
    "LLAMA_1B": 1_235_814_400,
}


@pytest.mark.parametrize("name", PARAMETERS)
def test_a_declared_shape_has_the_checkpoints_size(name: str) -> None:
    assert shape_costs(getattr(presets, name), Lora()).parameters == PARAMETERS[name]


def test_the_weights_that_a_token_of_t5_base_meets() -> None:
    costs = shape_costs(presets.T5_BASE, Lora())
    attention, feed = 4 * 768 * 768, 2 * 768 * 3072
    assert costs.encoder == 12 * (attention + feed)
    assert costs.cross == 12 * 2 * 768 * 768
    assert costs.decoder == 12 * (attention + 2 * 768 * 768 + feed)
    assert costs.head == 768 * 32128
    assert costs.backward == 3


def test_adapters_are_counted_on_the_shape() -> None:
    pytest.importorskip("peft")
    costs = shape_costs(presets.LLAMA_1B_LORA, Lora(rank=64, alpha=128))
    layer = sum(a + b for a, b in ((2048, 2048), (2048, 512), (2048, 512), (2048, 2048)))
    layer += sum(a + b for a, b in ((2048, 8192), (2048, 8192), (8192, 2048)))
    assert costs.trainable == 16 * 64 * layer + 2048  # and the separator's row
    assert 2 < costs.backward < 3


def test_a_shape_that_is_not_declared_names_the_command_that_fetches_it() -> None:
    preset = Preset("x", "x", "", checkpoint="nobody/nothing", revision="v1")
    with pytest.raises(UserError, match=r"hf download nobody/nothing config.json --revision v1"):
        shape_costs(preset, Lora())
