"""The campaign itself: a trial of each kind."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

TORTURE = Path(__file__).with_name("torture.py")


@pytest.mark.slow  # `make torture` is the long one
def test_a_trial_of_each_kind_is_survived(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(TORTURE), "--trials", "1", "--minutes", "10", "--seed", "3"],
        env=os.environ | {"TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=900,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    rows = [line.split("|")[1:-1] for line in done.stdout.splitlines() if line.startswith("| ")][1:]
    assert [row[0].strip() for row in rows] == ["kills", "corruptions", "hostile", "together", "full_disks"]
    assert all(int(row[2]) == int(row[1]) >= 1 for row in rows)
