"""The engine built for a test in a folder of its own, with whatever options the test needs."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ENGINE = ROOT / "engine"
BUILD_TIMEOUT_S = 300
PATH = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])


def tool_run(*arguments: str, timeout_s: int = BUILD_TIMEOUT_S) -> str:
    """Run a tool and return what it printed, errors included; it must succeed."""
    done = subprocess.run(
        arguments,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        timeout=timeout_s,
        env=os.environ | {"PATH": PATH},
    )
    assert done.returncode == 0, f"{' '.join(arguments)}\n{done.stdout[-20_000:]}"
    return done.stdout


def engine_build(name: str, *options: str) -> Path:
    """Build the engine with these CMake options and return the folder."""
    folder = ENGINE / "build" / name
    tool_run("cmake", "-S", str(ENGINE), "-B", str(folder), "-DOPENBELL_PYTHON=OFF", *options)
    tool_run("cmake", "--build", str(folder), "--parallel", "2")
    return folder
