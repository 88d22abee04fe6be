"""Named points at which a test stops, slows or kills a process; one look at a flag while none is armed."""

import os
import signal
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

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
    "ticks.before_tell",
    "chain.before_block",
    "chain.after_block",
    "anchor.mid_write",
    "archive.before_rename",
    "archive.before_drop",
    "archive.after_drop",
    "export.before_rename",
    "bust.before_commit",
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

    It acts at the ``nth`` passing whose facts hold ``only``, and at every later one.
    """

    action: str
    sleep_ms: int = 0
    nth: int = 1
    only: Mapping[str, str] = field(default_factory=dict)
    passed: int = 0


def _arming(name: str, text: str) -> Arming:
    text, _, condition = text.partition("?")
    text, _, nth = text.partition("@")
    action, _, sleep_ms = text.partition(":")
    if name not in POINTS or action not in _ACTIONS:
        raise FailpointsInvalid(f"there is no failpoint {name!r} that can {action!r}")
    facts = [pair.partition("=") for pair in condition.split("&")] if condition else []
    if any(not key or not equals for key, equals, _ in facts):
        raise FailpointsInvalid(f"the condition of {name} is not of the form fact=value: {condition!r}")
    only = {key: value for key, _, value in facts}
    return Arming(action, _whole(name, sleep_ms, 0), _whole(name, nth, 1), only)


def _whole(name: str, text: str, default: int) -> int:
    if text and not (text.isascii() and text.isdigit() and len(text) < 10):
        raise FailpointsInvalid(f"a number of {name} is none: {text!r}")
    return int(text or default)


def failpoints_parse(text: str) -> dict[str, Arming]:
    """Return what a text such as ``runner.match=kill@3?symbol=AAPL;relay.after_send=sleep:200`` arms.

    Raises ``FailpointsInvalid`` for an unknown point or action.
    """
    pairs = (part.partition("=") for part in text.split(";") if part)
    return {name: _arming(name, rest) for name, _, rest in pairs}


def failpoint(name: str, **facts: Any) -> None:
    """Do what the point is armed with, if it is."""
    if _armed:
        _act(name, facts)


def failpoint_is_armed(name: str) -> bool:
    """Return whether the point would act, where getting ready for it costs something."""
    return name in _armed


def _act(name: str, facts: Mapping[str, Any]) -> None:
    arming = _armed.get(name)
    if arming is None or any(str(facts.get(key)) != value for key, value in arming.only.items()):
        return
    arming.passed += 1
    if arming.passed < arming.nth:
        return
    if _hits is not None:
        (_hits / name).touch()
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
_armed: dict[str, Arming] = {}
_hits: Path | None = None


def failpoints_arm(text: str, hits: Path | None = None) -> None:
    """Arm these points in this process and no others; an empty text arms none.

    In the folder ``hits`` each point that acts leaves a file of its name, whatever process it is in; without
    one, the folder given before stays.
    """
    global _hits
    armed = failpoints_parse(text)
    _hits = hits or _hits
    _armed.clear()
    _armed.update(armed)
