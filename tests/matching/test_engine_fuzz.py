"""Hostile input under the address and undefined-behaviour sanitizers: a short run of every libFuzzer target.

Inputs that reach something new are kept in ``var/fuzz/<target>`` and used again; one that breaks something is
left in ``var/fuzz`` and named in the failure. `make fuzz-engine-targets` is the long run.
"""

import os
import subprocess
from pathlib import Path

import pytest

from tests.matching.engine_build import BUILD_TIMEOUT_S, ENGINE, ROOT, engine_build, tool_run

SECONDS = int(os.environ.get("OPENBELL_TEST_FUZZ_SECONDS", "10"))
INPUT_BYTES_MAX = {"commands": 4_096, "book": 2_048, "snapshot": 8_192}
VAR = ROOT / "var" / "fuzz"


@pytest.fixture(scope="module")
def targets() -> Path:
    found = subprocess.run([str(ROOT / ".ci" / "machine"), "clang"], capture_output=True, text=True)
    if found.returncode != 0:
        pytest.skip(found.stderr.strip().splitlines()[-1])
    return engine_build(
        "fuzz",
        f"-DCMAKE_CXX_COMPILER={found.stdout.strip()}",
        "-DOPENBELL_FUZZ=ON",
        "-DOPENBELL_TESTS=OFF",
        "-DOPENBELL_SANITIZE=address,undefined",
    )


@pytest.mark.timeout(SECONDS + 2 * BUILD_TIMEOUT_S)
@pytest.mark.parametrize("target", INPUT_BYTES_MAX)
def test_no_input_breaks_the_engine(targets: Path, target: str) -> None:
    found = VAR / target
    found.mkdir(parents=True, exist_ok=True)
    said = tool_run(
        str(targets / "fuzz" / f"fuzz_{target}"),
        f"-max_total_time={SECONDS}",
        f"-max_len={INPUT_BYTES_MAX[target]}",
        f"-artifact_prefix={VAR}/{target}-",
        "-timeout=10",
        "-print_final_stats=1",
        str(found),
        str(ENGINE / "fuzz" / "corpus" / target),
        timeout_s=SECONDS + BUILD_TIMEOUT_S,
    )
    executed = [line.split()[-1] for line in said.splitlines() if "number_of_executed_units" in line]
    assert executed, said
    assert int(executed[0]) > 100, said
