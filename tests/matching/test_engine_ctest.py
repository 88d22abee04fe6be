"""The engine's own C++ tests, built and run as part of the suite."""

import shutil

import pytest

from tests.matching.engine_build import BUILD_TIMEOUT_S, PATH, engine_build, tool_run


@pytest.mark.timeout(2 * BUILD_TIMEOUT_S)
@pytest.mark.skipif(shutil.which("cmake", path=PATH) is None, reason="cmake is not installed")
def test_engine_passes_its_own_tests() -> None:
    folder = engine_build("ctest", "-DOPENBELL_TESTS=ON")
    assert "100% tests passed" in tool_run("ctest", "--test-dir", str(folder), "--output-on-failure")
