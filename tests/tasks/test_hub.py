import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from harness.errors import UserError
from tasks.hub import load_hub, read_files

REPO, REVISION = "someone/something", "0123456789abcdef0123456789abcdef01234567"
OTHER = "f" * 40
FILES = {"train": "train.jsonl", "test": "test.jsonl"}
ROWS = {
    "train": [{"en": "one\u2028line", "de": "eins"}, {"en": "two", "de": "zwei"}],
    "test": [{"en": "three"}],
}

pytestmark = pytest.mark.usefixtures("datasets_cache")


def write(folder: Path, rows: Mapping[str, list[dict[str, str]]]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for split, name in FILES.items():
        lines = (json.dumps(row, ensure_ascii=False) for row in rows[split])
        (folder / name).write_text("\n".join(lines) + "\n", encoding="utf-8")


@pytest.fixture
def hub_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The hub's cache folder, empty, and no way to the network."""
    import huggingface_hub
    from huggingface_hub import constants

    def unreachable(*args: object, **kwargs: object) -> None:
        raise ConnectionError("no network in tests")

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(huggingface_hub, "get_hf_file_metadata", unreachable)
    return tmp_path / "hub" / "datasets--someone--something" / "snapshots"


def test_files_on_disk(tmp_path: Path) -> None:
    write(tmp_path, ROWS)
    splits = read_files({split: tmp_path / name for split, name in FILES.items()})
    assert splits["train"].to_list() == ROWS["train"]
    assert splits["test"].column_names == ["en"]


def test_a_file_that_is_not_json(tmp_path: Path) -> None:
    path = tmp_path / "train.jsonl"
    path.write_text("<html>\n")
    with pytest.raises(UserError, match=r"train\.jsonl is not a file of JSON lines"):
        read_files({"train": path})


@pytest.mark.parametrize("offline", [True, False])
def test_a_cached_revision_needs_no_network(hub_cache: Path, offline: bool) -> None:
    write(hub_cache / REVISION, ROWS)
    assert load_hub(REPO, REVISION, FILES, offline)["train"].to_list() == ROWS["train"]


@pytest.mark.parametrize("offline", [True, False])
def test_another_cached_revision_is_never_used_instead(hub_cache: Path, offline: bool) -> None:
    write(hub_cache / OTHER, ROWS)
    with pytest.raises(UserError, match="someone/something is not available"):
        load_hub(REPO, REVISION, FILES, offline)


@pytest.mark.parametrize(
    ("offline", "state"), [(True, "offline and not in the cache"), (False, "the hub could not give it")]
)
@pytest.mark.usefixtures("hub_cache")
def test_no_network_and_no_cache_say_what_to_provide(offline: bool, state: str) -> None:
    with pytest.raises(UserError, match=state) as caught:
        load_hub(REPO, REVISION, FILES, offline)
    assert REPO in caught.value.problem
    assert REVISION[:12] in caught.value.origin
    assert "--data-dir DIR with train.jsonl, test.jsonl" in caught.value.hint
