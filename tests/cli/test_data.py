from collections.abc import Callable
from pathlib import Path

import pytest

from warmup_bench.cli.data import build_command
from warmup_bench.contracts.errors import UserError

TASK = """
from pathlib import Path
from warmup_bench.contracts.task import ScaleCard, Splits, Subset, Task, TaskCard

def build(folder, say):
    folder = folder or Path("default")
    folder.mkdir()
    say("one step")
    (folder / "pairs").write_text("x")
    return folder

TASK = Task(
    TaskCard(name="made", version=1, title="t", licence="l", citation="c", metrics=("bleu",),
             subsets={"all": Subset()}, scales={"mini": ScaleCard(data="made")}),
    lambda request: Splits([], [], []),
    build=BUILD,
)
"""


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], str]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")

    def write(build: str) -> str:
        (tmp_path / "made.py").write_text(TASK.replace("BUILD", build))
        return "made.py"

    return write


@pytest.mark.parametrize(("out", "given"), [(None, ""), (Path("there"), " --data-dir there")])
def test_a_build_says_what_it_did_and_what_is_next(
    made: Callable[[str], str], out: Path | None, given: str, capsys: pytest.CaptureFixture[str]
) -> None:
    build_command(made("build"), out)
    folder = out or Path("default")
    assert (folder / "pairs").read_text() == "x"
    lines = capsys.readouterr().out.splitlines()
    assert lines == ["one step", f"Built in {folder}.", f"Next: warmup-bench run --task made{given}"]


def test_what_can_not_be_built(made: Callable[[str], str], tmp_path: Path) -> None:
    with pytest.raises(UserError, match="task 'made' has nothing to build"):
        build_command(made("None"), None)
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="file is not a folder"):
        build_command(made("build"), Path("file"))
    (tmp_path / "default").mkdir()
    with pytest.raises(UserError, match="can't write the data"):
        build_command(made("build"), None)
