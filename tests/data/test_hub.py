import gzip
import hashlib
import re
import subprocess
from pathlib import Path

import pytest

from warmup_bench.contracts.errors import UserError
from warmup_bench.contracts.task import LoadRequest
from warmup_bench.data import hub
from warmup_bench.data.hub import File, Repository, cache_folder, check_contents, gather, git_blob, missing

REVISION, OTHER = "0123456789abcdef0123456789abcdef01234567", "f" * 40
HUB = Repository("hub", "someone/something", REVISION, "some")
GATED = Repository("hub", "someone/locked", REVISION, "locked", access="1. Ask nicely. 2. Come back.")
GITHUB = Repository("github", "someone/texts", REVISION, "texts")
LOCAL = Repository("local", "Homemade", "", "homemade", access="Run 'make it'.")
CONTENT = b"eins\nzwei\n"
ONLINE = LoadRequest("de-en", "small")


def on_disk(folder: Path, offline: bool = False) -> LoadRequest:
    return LoadRequest("de-en", "small", folder, offline)


@pytest.fixture
def caches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Both caches, empty, and no way to any network."""
    import huggingface_hub
    from huggingface_hub import constants

    def unreachable(*args: object, **kwargs: object) -> None:
        raise ConnectionError("no network in tests")

    monkeypatch.setenv("WARMUP_BENCH_CACHE", str(tmp_path / "own"))
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(huggingface_hub, "get_hf_file_metadata", unreachable)
    monkeypatch.setattr(hub, "_download", unreachable)
    return tmp_path


def in_hub_cache(caches: Path, revision: str) -> Path:
    path = caches / "hub" / "datasets--someone--something" / "snapshots" / revision / "data" / "train.jsonl"
    path.parent.mkdir(parents=True)
    path.write_bytes(CONTENT)
    return path


@pytest.mark.parametrize("below", ["", "some"])
@pytest.mark.parametrize(
    "name", ["data/train.jsonl", "train.jsonl", "data/train.jsonl.gz", "t.txt", "t.txt.gz"]
)
def test_a_file_on_disk_under_any_of_its_names(tmp_path: Path, below: str, name: str) -> None:
    path = tmp_path / below / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(CONTENT) if name.endswith(".gz") else CONTENT)
    file = HUB.file("data/train.jsonl", "t.txt")
    assert gather([file], on_disk(tmp_path)) == [path]
    assert missing([file], on_disk(tmp_path)) == []


def test_the_tasks_own_folder_comes_first(tmp_path: Path) -> None:
    for path in (tmp_path / "train.jsonl", tmp_path / "some" / "train.jsonl"):
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(CONTENT)
    assert gather([HUB.file("data/train.jsonl")], on_disk(tmp_path)) == [tmp_path / "some" / "train.jsonl"]


def test_with_a_data_folder_nothing_else_is_used(caches: Path) -> None:
    in_hub_cache(caches, REVISION)
    (caches / "data").mkdir()
    files = [HUB.file("data/train.jsonl"), HUB.file("data/test.jsonl", "test.txt")]
    request = on_disk(caches / "data")
    assert missing(files, request) == ["data/train.jsonl", "test.txt"]
    with pytest.raises(UserError, match=r"data folder lacks data/train\.jsonl, test\.txt") as caught:
        gather(files, request)
    assert caught.value.origin == str(caches / "data")
    assert "Wanted, in the folder or below some/: data/train.jsonl, data/test.jsonl" in caught.value.hint
    assert f"(hub data set someone/something, commit {REVISION[:12]})" in caught.value.hint
    assert "Without --data-dir" in caught.value.hint


@pytest.mark.parametrize("offline", [True, False])
def test_a_cached_revision_needs_no_network(caches: Path, offline: bool) -> None:
    path = in_hub_cache(caches, REVISION)
    file = HUB.file("data/train.jsonl")
    request = LoadRequest("de-en", "small", None, offline)
    assert gather([file], request) == [path]
    assert missing([file], request) == []


@pytest.mark.parametrize(
    ("offline", "state"), [(True, "offline and not in the cache"), (False, "its host could not give it")]
)
def test_another_cached_revision_is_never_used_instead(caches: Path, offline: bool, state: str) -> None:
    in_hub_cache(caches, OTHER)
    file = HUB.file("data/train.jsonl")
    request = LoadRequest("de-en", "small", None, offline)
    assert missing([file], request) == ["data/train.jsonl"]
    with pytest.raises(UserError, match=f"someone/something is not available: {state}") as caught:
        gather([file], request)
    assert REVISION[:12] in caught.value.origin
    assert "--data-dir DIR with data/train.jsonl" in caught.value.hint


def test_a_gated_data_set_gives_the_steps(caches: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub
    from huggingface_hub.errors import GatedRepoError

    class LockedError(GatedRepoError):
        def __init__(self) -> None:
            Exception.__init__(self, "401")

    def refused(*args: object, **kwargs: object) -> None:
        raise LockedError

    monkeypatch.setattr(huggingface_hub, "get_hf_file_metadata", refused)
    with pytest.raises(UserError, match="someone/locked is gated, and this machine has no access") as caught:
        gather([GATED.file("dev.jsonl")], ONLINE)
    assert caught.value.hint == GATED.access


def test_github_files_are_fetched_once_and_checked(caches: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    urls = []

    def download(url: str) -> bytes:
        urls.append(url)
        return CONTENT

    monkeypatch.setattr(hub, "_download", download)
    file = GITHUB.file("data/train.txt", blob=git_blob(CONTENT))
    (path,) = gather([file], ONLINE)
    assert path.read_bytes() == CONTENT
    assert path == caches / "own" / "someone" / "texts" / REVISION / "data" / "train.txt"
    assert gather([file], LoadRequest("de-en", "small", None, offline=True)) == [path]
    assert urls == [f"https://raw.githubusercontent.com/someone/texts/{REVISION}/data/train.txt"]
    assert missing([file], ONLINE) == []


def test_another_files_bytes_are_refused_and_not_kept(caches: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub, "_download", lambda url: b"<html>")
    with pytest.raises(UserError, match="what came is not the file of that commit"):
        gather([GITHUB.file("train.txt", blob=git_blob(CONTENT))], ONLINE)
    assert [p for p in (caches / "own").rglob("*") if p.is_file()] == []


def test_the_blob_id_is_gits(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(CONTENT)
    done = subprocess.run(
        ["git", "hash-object", "--no-filters", "file"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert git_blob(CONTENT) == done.stdout.strip()


def test_what_is_made_by_hand_is_looked_for_in_the_cache(caches: Path) -> None:
    file = LOCAL.file("pairs.jsonl.gz")
    with pytest.raises(UserError, match="Homemade is not on this machine and can't be fetched") as caught:
        gather([file], ONLINE)
    assert caught.value.hint == "Run 'make it'."
    path = cache_folder() / "homemade" / "pairs.jsonl.gz"
    path.parent.mkdir(parents=True)
    path.write_bytes(CONTENT)
    assert gather([file], ONLINE) == [path]


def test_the_cache_is_the_users(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("WARMUP_BENCH_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "warmup-bench"


def test_one_file_can_not_stand_for_two(tmp_path: Path) -> None:
    (tmp_path / "deu.jsonl").write_bytes(CONTENT)
    files = [HUB.file("dev/deu.jsonl"), HUB.file("devtest/deu.jsonl")]
    message = r"^deu\.jsonl stands for dev/deu\.jsonl and for devtest/deu\.jsonl, which are two files"
    with pytest.raises(UserError, match=message) as caught:
        gather(files, on_disk(tmp_path))
    assert caught.value.origin == str(tmp_path / "deu.jsonl")


@pytest.mark.parametrize("packed", [False, True])
def test_two_files_can_not_hold_the_same(tmp_path: Path, packed: bool) -> None:
    (tmp_path / "a.txt").write_bytes(CONTENT)
    name, content = ("b.txt.gz", gzip.compress(CONTENT)) if packed else ("b.txt", CONTENT)
    (tmp_path / name).write_bytes(content)
    message = rf"^a\.txt and {re.escape(name)} hold the same: one stands for a\.txt and for b\.txt"
    files = [HUB.file("a.txt"), HUB.file("b.txt")]
    with pytest.raises(UserError, match=message):
        check_contents(files, gather(files, on_disk(tmp_path)))


def test_another_file_of_the_data_set_is_refused_by_its_hash(tmp_path: Path) -> None:
    german = GITHUB.file("train.de", blob=git_blob(CONTENT))
    french = GITHUB.file("train.fr", blob=git_blob(b"un\ndeux\n"))
    (tmp_path / "train.fr").write_bytes(CONTENT)
    with pytest.raises(UserError, match=r"^train\.fr holds train\.de, and train\.fr is wanted there"):
        check_contents([french], [tmp_path / "train.fr"], [german, french])
    assert len(check_contents([french], [tmp_path / "train.fr"])) == 1


def _unlike(tmp_path: Path, file: File, content: bytes, name: str) -> tuple[str, ...]:
    (tmp_path / name).write_bytes(content)
    return check_contents([file], [tmp_path / name])


def test_a_file_that_is_not_as_published_is_named(tmp_path: Path) -> None:
    digest, packed = hashlib.sha256(CONTENT).hexdigest(), gzip.compress(CONTENT, mtime=1)
    plain = GITHUB.file("a/train.txt", blob=git_blob(CONTENT))
    on_hub = HUB.file("a/train.jsonl", sha256=digest)
    zipped = GITHUB.file("a/train.txt.gz", blob=git_blob(packed), unpacked=git_blob(CONTENT))
    for file in (plain, on_hub, zipped):
        for content, name in ((CONTENT, "f"), (packed, "f.gz"), (gzip.compress(CONTENT, 1), "g.gz")):
            assert _unlike(tmp_path, file, content, name) == ()
    (told,) = _unlike(tmp_path, plain, b"eins\n", "f")
    commit = REVISION[:12]
    assert told == (
        f"a/train.txt: not as published in GitHub repository someone/texts, commit {commit} "
        "(a part, or changed)."
    )
    assert _unlike(tmp_path, on_hub, b"eins\n", "f")[0].startswith("a/train.jsonl: not as published in hub")
    assert _unlike(tmp_path, zipped, b"eins\n", "f")[0].startswith("a/train.txt.gz: not as published")
    # What nobody has told the hash of can't be compared; a packed file's own hash says nothing of others.
    assert _unlike(tmp_path, HUB.file("a/train.jsonl"), b"eins\n", "f") == ()
    assert _unlike(tmp_path, GITHUB.file("t.gz", blob="0" * 40), b"eins\n", "f") == ()


def test_where_a_folder_is_read_nobody_is_told_to_log_in(tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        gather([GATED.file("dev.jsonl")], on_disk(tmp_path))
    assert GATED.access not in caught.value.hint
    assert caught.value.hint.endswith("Without --data-dir (and WARMUP_BENCH_DATA) they are fetched.")
    with pytest.raises(UserError) as caught:
        gather([LOCAL.file("pairs.jsonl")], on_disk(tmp_path))
    assert caught.value.hint.endswith(LOCAL.access)
