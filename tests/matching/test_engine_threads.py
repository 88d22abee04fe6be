"""Readers beside the writer under the thread sanitizer."""

import shutil

import pytest

from tests.matching.engine_build import BUILD_TIMEOUT_S, PATH, engine_build, tool_run


@pytest.mark.timeout(2 * BUILD_TIMEOUT_S)
@pytest.mark.skipif(shutil.which("cmake", path=PATH) is None, reason="cmake is not installed")
def test_readers_race_with_nobody() -> None:
    folder = engine_build("threads", "-DOPENBELL_SANITIZE=thread")
    assert "WARNING: ThreadSanitizer" not in tool_run(str(folder / "tests" / "openbell_tests"), "readers")
