"""LoRA through the stages of a run, from a local checkpoint: what is trained, stored and read back."""

import shutil
from pathlib import Path
from typing import Any

import pytest
from checkpoints import publish

from plugin_files import run_here, write_plugins
from warmup_bench.contracts.errors import UserError
from warmup_bench.plan.plan import Plan, make_plan
from warmup_bench.spec.spec import make_spec
from warmup_bench.store.folders import CorruptError, read_json, read_table

pytest.importorskip("peft")
METHODS = ["sft", "warmup-jensen:kl=0.1"]
"""The second one reads the frozen reference."""
SETTINGS: dict[str, Any] = {
    "lora": {"rank": 4},
    "budget": {"epochs": 0.2},
    "train": {"batch_size": 8, "learning_rate": 0.05, "max_source_tokens": 16},
    "warmup": {"samples": 2, "max_tokens": 2},
    "decode": {"max_tokens": 6},
    "limit": {"train": 100, "test": 10},
}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("lora")
    write_plugins(folder)
    publish(folder / "tiny-llama", "llama")
    return folder


def planned(place: Path, **changes: Any) -> Plan:
    content = {
        "task": str(place / "my_task.py"),
        "backbones": [str(place / "tiny-llama")],
        "methods": METHODS,
        "seeds": [0],
        "out": str(place / "out"),
    }
    return make_plan(make_spec(content | SETTINGS | changes, "a test"))


@pytest.mark.filterwarnings("error::FutureWarning", "error::UserWarning")
def test_adapters_are_stored_on_one_base(place: Path) -> None:
    assert run_here(planned(place)) == ["warm start", "training", "training", "cell", "cell"]
    (base,) = (place / "out" / "warm-starts").iterdir()
    assert (base / "model.safetensors").is_file()
    trainings = sorted((place / "out" / "trainings").iterdir())
    for training in trainings:
        files = {path.name for path in (training / "model").iterdir()}
        assert {"adapter_config.json", "adapter_model.safetensors"} <= files
        assert not files & {"model.safetensors", "config.json"}
        ledger = read_json(training / "ledger.json")
        assert ledger["steps"] == 2  # 0.2 of the 12 whole batches of 100 examples, rounded
        assert 0 < ledger["trainable"] < ledger["parameters"]
    # Decoding otherwise reads the stored adapters and trains nothing.
    assert run_here(planned(place, decode={"max_tokens": 6, "beams": 2})) == ["cell", "cell"]
    assert len(list((place / "out").rglob("predictions.parquet"))) == 4
    for path in (place / "out").rglob("predictions.parquet"):
        assert read_table(path).num_rows == 10
    # Without its base an adapter is not read: it is made again first.
    good = (base / "model.safetensors").read_bytes()
    shutil.rmtree(base)
    assert run_here(planned(place, decode={"max_tokens": 5})) == ["warm start", "cell", "cell"]
    assert (base / "model.safetensors").read_bytes() == good
    (base / "model.safetensors").write_bytes(good[:-64] + bytes(64))
    with pytest.raises(CorruptError, match="warm-starts"):
        run_here(planned(place, decode={"max_tokens": 4}))


def test_a_warm_start_under_adapters_is_refused_before_the_first_step(place: Path) -> None:
    with pytest.raises(UserError, match=r"lora\.rank=4 needs warm_start\.steps=0, not 5"):
        planned(place, warm_start={"steps": 5})


def test_what_does_not_fit_the_model_is_said_first(place: Path) -> None:
    plan = planned(place, train={"max_source_tokens": 500}, out=str(place / "long"))
    with pytest.raises(UserError, match="it has 128 positions"):
        run_here(plan)
    assert not (place / "long" / "warm-starts").exists()
