"""Failpoints themselves: what arms them, what they do, and that the list is what the code has."""

import re
import signal
from pathlib import Path

import pytest

from apps.primitives import failpoints
from apps.primitives.failpoints import (
    POINTS,
    FailpointHit,
    FailpointsInvalid,
    failpoint,
    failpoints_arm,
    failpoints_parse,
)
from brokerage.env import ROOT, EnvironmentInvalid, environment_read
from tests.supervisor.test_env import PRODUCTION
from tests.support.processes import Child, Place, function_main

CALL = re.compile(r"""\bfailpoint\(\s*["']([a-z_.]+)["']""")


@pytest.fixture(autouse=True)
def disarmed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> object:
    """Leave every point disarmed, and keep these hits out of the suite's."""
    monkeypatch.setattr(failpoints, "_hits", tmp_path)
    yield
    failpoints_arm("")


def test_the_list_is_exactly_what_the_code_calls() -> None:
    called = [name for path in (ROOT / "apps").rglob("*.py") for name in CALL.findall(path.read_text())]
    assert sorted(set(called)) == sorted(POINTS)
    assert len(set(POINTS)) == len(POINTS)


def test_a_point_that_is_not_armed_does_nothing() -> None:
    failpoint("runner.loop")
    failpoints_arm("runner.match=raise")
    failpoint("runner.loop")


def test_a_point_acts_from_its_nth_passing_on(tmp_path: Path) -> None:
    failpoints_arm("runner.loop=raise@3")
    failpoint("runner.loop")
    failpoint("runner.loop")
    assert not (tmp_path / "runner.loop").exists()
    for _ in range(2):
        with pytest.raises(FailpointHit):
            failpoint("runner.loop")
    assert (tmp_path / "runner.loop").exists()


def test_only_passings_with_the_facts_named_count() -> None:
    failpoints_arm("runner.match=raise@2?symbol=AAPL&order_id=7")
    for _ in range(3):
        failpoint("runner.match", symbol="MSFT", order_id=7)
        failpoint("runner.match", symbol="AAPL", order_id=8)
        failpoint("runner.match")
    failpoint("runner.match", symbol="AAPL", order_id=7)
    with pytest.raises(FailpointHit):
        failpoint("runner.match", symbol="AAPL", order_id=7)


def test_several_points_are_armed_at_once_and_the_next_arming_replaces_them() -> None:
    armed = failpoints_parse("runner.loop=kill;;relay.after_send=sleep:200@2?sink=live")
    assert (armed["runner.loop"].action, armed["runner.loop"].nth) == ("kill", 1)
    relay = armed["relay.after_send"]
    assert (relay.action, relay.sleep_ms, relay.nth, relay.only) == ("sleep", 200, 2, {"sink": "live"})
    failpoints_arm("runner.loop=raise")
    failpoints_arm("runner.match=raise")
    failpoint("runner.loop")


@pytest.mark.parametrize(
    "text",
    [
        "runner.match",
        "runner.match=",
        "runner.match=explode",
        "runner.nowhere=kill",
        "=kill",
        "kill",
        "runner.match=kill@often",
        "runner.match=kill@-1",
        "runner.match=sleep:soon",
        "runner.match=sleep:١",
        "runner.match=kill?symbol",
        "runner.match=kill?=AAPL",
    ],
)
def test_what_arms_nothing_that_exists_is_refused_and_changes_nothing(text: str) -> None:
    failpoints_arm("runner.loop=raise")
    with pytest.raises(FailpointsInvalid):
        failpoints_arm(text)
    with pytest.raises(FailpointHit):
        failpoint("runner.loop")


def _pass() -> None:
    failpoint("runner.loop")


def test_the_environment_arms_a_process_and_its_hits_are_seen_from_outside(tmp_path: Path) -> None:
    place = Place({"OPENBELL_FAILPOINT_HITS": str(tmp_path)}, tmp_path)
    with Child(function_main, place, _pass, failpoints="runner.loop=kill") as child:
        assert child.exit_code() == -signal.SIGKILL
    assert (tmp_path / "runner.loop").exists()


def test_a_misspelt_point_stops_the_start_of_a_process(tmp_path: Path) -> None:
    with Child(function_main, Place({}, tmp_path), _pass, failpoints="runner.lop=kill") as child:
        assert child.exit_code() == 1
        assert "runner.lop" in child.log


def test_production_refuses_to_start_with_armed_points(tmp_path: Path) -> None:
    given = {**PRODUCTION, "OPENBELL_VAR": str(tmp_path), "OPENBELL_FAILPOINTS": "runner.loop=sleep:1"}
    with pytest.raises(EnvironmentInvalid, match="OPENBELL_FAILPOINTS"):
        environment_read("production", given)
