"""Third-party packages, installed by pip into a folder of their own: this environment stays as it is."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

HERE = Path(__file__).parent


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Install ``good`` or ``broken`` once a session; returns the folder to put on the path."""
    folders: dict[str, Path] = {}

    def install(name: str) -> Path:
        if name not in folders:
            folder = tmp_path_factory.mktemp(f"site-{name}")
            command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps"]
            command += ["--no-build-isolation", "--disable-pip-version-check", "--no-compile"]
            done = subprocess.run(
                [*command, "--target", str(folder), str(HERE / name)],
                capture_output=True,
                text=True,
                check=False,
            )
            assert done.returncode == 0, done.stderr
            folders[name] = folder
        return folders[name]

    return install
