"""The engine's own C++ tests, built and run as part of the suite."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ENGINE = Path(__file__).resolve().parents[2] / "engine"
BUILD = ENGINE / "build" / "ctest"
BUILD_TIMEOUT_S = 300
PATH = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])


def tool_run(*arguments: str) -> str:
    done = subprocess.run(
        arguments, capture_output=True, text=True, timeout=BUILD_TIMEOUT_S, env=os.environ | {"PATH": PATH}
    )
    assert done.returncode == 0, f"{' '.join(arguments)}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.mark.timeout(2 * BUILD_TIMEOUT_S)
@pytest.mark.skipif(shutil.which("cmake", path=PATH) is None, reason="cmake is not installed")
def test_engine_passes_its_own_tests() -> None:
    tool_run("cmake", "-S", str(ENGINE), "-B", str(BUILD), "-DOPENBELL_TESTS=ON", "-DOPENBELL_PYTHON=OFF")
    tool_run("cmake", "--build", str(BUILD), "--parallel", "2")
    assert "100% tests passed" in tool_run("ctest", "--test-dir", str(BUILD), "--output-on-failure")
