"""Named points at which a test stops, slows or kills a process; one look at a flag while none is armed."""

import os
import signal
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

VARIABLE = "OPENBELL_FAILPOINTS"
HITS_VARIABLE = "OPENBELL_FAILPOINT_HITS"
"""A folder in which each point that has acted leaves a file of its name, whatever process it was in."""

POINTS = (
    "entry.before_commit",
    "entry.after_commit",
    "runner.after_take",
    "runner.match",
    "runner.after_match",
    "booking.mid_write",
    "runner.before_commit",
    "runner.commit_sent",
    "runner.after_commit",
    "runner.loop",
    "snapshot.mid_write",
    "snapshot.before_rename",
    "standby.before_epoch",
    "standby.after_epoch",
    "relay.before_send",
    "relay.after_send",
)
"""Every point there is; the suite fails when one of them is never hit."""

SPIN_S = 3600.0


class FailpointHit(RuntimeError):
    """What an armed point raises when it is told to raise."""


class FailpointsInvalid(ValueError):
    """The variable arms a point that does not exist, or in a way that does not."""


@dataclass(slots=True)
class Arming:
    """What one point does: ``kill``, ``stop``, ``spin``, ``raise``, or ``sleep`` for so many milliseconds.

    It acts at the ``nth`` passing whose facts hold ``only``, and, but for ``sleep``, at every later one.
    """

    action: str
    sleep_ms: int = 0
    nth: int = 1
    only: Mapping[str, str] | None = None
    passed: int = 0


def _arming(name: str, text: str) -> Arming:
    text, _, condition = text.partition("?")
    text, _, nth = text.partition("@")
    action, _, sleep_ms = text.partition(":")
    if name not in POINTS or action not in _ACTIONS:
        raise FailpointsInvalid(f"{VARIABLE}: there is no point {name!r} that can {action!r}")
    only = dict(pair.split("=", 1) for pair in condition.split("&")) if condition else None
    return Arming(action, sleep_ms=int(sleep_ms or 0), nth=int(nth or 1), only=only)


def failpoints_parse(text: str) -> dict[str, Arming]:
    """Return what a text such as ``runner.match=kill@3?symbol=AAPL;relay.after_send=sleep:200`` arms.

    Raises ``FailpointsInvalid`` for an unknown point or action.
    """
    pairs = (part.split("=", 1) for part in text.split(";") if part)
    return {name: _arming(name, rest) for name, rest in pairs}


def failpoint(name: str, **facts: Any) -> None:
    """Do what the point is armed with, if it is."""
    if _armed:
        _act(name, facts)


def _act(name: str, facts: Mapping[str, Any]) -> None:
    arming = _armed.get(name)
    if arming is None or any(str(facts.get(key)) != value for key, value in (arming.only or {}).items()):
        return
    arming.passed += 1
    if arming.passed < arming.nth:
        return
    folder = os.environ.get(HITS_VARIABLE)
    if folder:
        (Path(folder) / name).touch()
    _ACTIONS[arming.action](name, arming)


def _spin(name: str, arming: Arming) -> None:
    deadline = time.monotonic() + SPIN_S
    while time.monotonic() < deadline:
        pass


def _raise(name: str, arming: Arming) -> None:
    raise FailpointHit(name)


_ACTIONS = {
    "kill": lambda name, arming: os.kill(os.getpid(), signal.SIGKILL),
    "stop": lambda name, arming: os.kill(os.getpid(), signal.SIGSTOP),
    "sleep": lambda name, arming: time.sleep(arming.sleep_ms / 1000),
    "spin": _spin,
    "raise": _raise,
}
_armed = failpoints_parse(os.environ.get(VARIABLE, ""))


def failpoints_arm(text: str) -> None:
    """Arm these points in this process and no others; an empty text arms none."""
    _armed.clear()
    _armed.update(failpoints_parse(text))
