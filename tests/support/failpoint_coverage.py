"""A run of all fault tests fails when a failpoint was never hit, in whatever process it is."""

import os
from pathlib import Path

import pytest

from apps.primitives.failpoints import POINTS

FAULTS = Path(__file__).parents[1] / "faults"
_passed: set[str] = set()
_never_hit: list[str] = []


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Note which files have run; with several processes the first of them hears of all tests."""
    if report.when == "call" and report.passed:
        _passed.add(report.nodeid.partition("::")[0])


def _is_whole(config: pytest.Config) -> bool:
    """Return whether this run was meant to be of every fault test, and got to each of their files."""
    chosen = config.option.keyword or config.option.markexpr or config.option.deselect
    if chosen or any("::" in argument for argument in config.args):
        return False
    files = {path.relative_to(config.rootpath).as_posix() for path in FAULTS.glob("test_*.py")}
    return files <= _passed


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail a whole run that left a point untouched."""
    if "PYTEST_XDIST_WORKER" in os.environ or not _is_whole(session.config):
        return
    hits = Path(os.environ["OPENBELL_FAILPOINT_HITS"])
    _never_hit.extend(name for name in POINTS if not (hits / name).exists())
    if _never_hit:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say which points no test has hit."""
    if _never_hit:
        terminalreporter.write_line(f"never hit: {', '.join(_never_hit)}", red=True)
