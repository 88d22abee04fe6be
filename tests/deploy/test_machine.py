"""What a machine must bring is looked for, and its absence is said: never taken for its presence."""

import subprocess
from pathlib import Path

import pytest

from brokerage.env import ROOT


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    """A machine with a shell and nothing else, whose user may not install anything."""
    (tmp_path / "id").write_text("#!/bin/sh\necho 1000\n")
    (tmp_path / "id").chmod(0o755)
    return tmp_path


@pytest.mark.parametrize(
    ("wanted", "said", "code"),
    [
        ("chromium", "Chromium is missing", 0),
        ("java", "java is missing", 1),
        ("clang", "Clang 16 or newer", 1),
        ("compiler", "A C++20 compiler is missing", 1),
        ("python", "Python 3.11 or newer with venv is missing", 1),
    ],
)
def test_what_is_missing_is_said(bare: Path, wanted: str, said: str, code: int) -> None:
    done = subprocess.run(
        ["/bin/sh", str(ROOT / ".ci" / "machine"), wanted],
        env={"PATH": str(bare)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert said in done.stderr
    assert done.returncode == code
