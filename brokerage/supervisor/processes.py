"""One watched process: its command, its log, its health, and when it may be started again."""

import os
import signal
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from brokerage.supervisor.children import child_end, child_spawn, process_birth
from brokerage.supervisor.logs import log_open
from brokerage.supervisor.ports import LOOPBACK, port_answers

BACKOFF_S = (1.0, 2.0, 4.0, 8.0, 16.0, 30.0)
# A process that lived this long has recovered: its next death starts the back-off anew.
RECOVERED_AFTER_S = 60.0
PROBE_TIMEOUT_S = 5.0


@dataclass(frozen=True, slots=True)
class Health:
    """How to see that a process works: a port that answers, a page that says 200, or mere survival."""

    port: int = 0
    path: str = ""
    alive_s: float = 2.0


@dataclass(frozen=True, slots=True)
class ProcessPlan:
    """What is started, and how it is treated."""

    name: str
    command: tuple[str, ...]
    env: Mapping[str, str]
    health: Health = Health()
    nice: int = 0
    restarts_at_once: bool = False
    grace_s: float = 15.0


class Service(Protocol):
    """What the supervisor can start, look at and stop: a child process or an embedded server."""

    log_path: Path

    @property
    def name(self) -> str: ...
    @property
    def pid(self) -> int: ...
    def start(self) -> None: ...
    def stop(self) -> None: ...
    def is_running(self) -> bool: ...


class ChildProcess:
    """A process of the plan."""

    def __init__(self, plan: ProcessPlan, log_path: Path, cwd: Path) -> None:
        self.plan = plan
        self.log_path = log_path
        self._cwd = cwd
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def name(self) -> str:
        """The name in the plan, the log file and `status`."""
        return self.plan.name

    @property
    def pid(self) -> int:
        """The process number, 0 when it does not run."""
        return self._process.pid if self._process and self._process.poll() is None else 0

    def start(self) -> None:
        """Start it; what is left of a former life in its process group is killed first."""
        self.kill_rest()
        with log_open(self.log_path) as log:
            self._process = child_spawn(
                self.plan.command, env=self.plan.env, log=log, cwd=self._cwd, nice=self.plan.nice
            )

    def is_running(self) -> bool:
        """Say whether it is alive."""
        return self.pid != 0

    def exit_text(self) -> str:
        """Say how it ended."""
        code = self._process.poll() if self._process else None
        if code is None:
            return "running"
        return f"signal {signal.Signals(-code).name}" if code < 0 else f"code {code}"

    def stop_ask(self) -> None:
        """Ask it to end, without waiting."""
        if self._process and self._process.poll() is None:
            self._process.terminate()

    def stop(self) -> None:
        """Ask it to end and wait its grace, then kill its whole group."""
        if self._process:
            child_end(self._process, ((signal.SIGTERM, self.plan.grace_s),))
            self._process = None

    def kill_rest(self) -> None:
        """Kill what a dead process left in its group, such as the workers of a web server."""
        if self._process:
            child_end(self._process, ())
            self._process = None


@dataclass(slots=True)
class Watch:
    """What the supervisor remembers about one service."""

    service: Service
    health: Health = Health(alive_s=0.0)
    restarts_at_once: bool = False
    state: str = "starting"
    deaths_in_a_row: int = 0
    restarts: int = 0
    started_at: float = field(default_factory=time.monotonic)
    start_due_at: float = 0.0
    since: str = ""
    birth: str = ""

    def death_note(self, now: float) -> float:
        """Record a death; return the seconds until it may be started again."""
        # Where every moment counts, only deaths before it worked are waited out.
        if now - self.started_at >= RECOVERED_AFTER_S or (self.restarts_at_once and self.state == "up"):
            self.deaths_in_a_row = 0
        self.deaths_in_a_row += 1
        step = self.deaths_in_a_row - (2 if self.restarts_at_once else 1)
        delay_s = 0.0 if step < 0 else BACKOFF_S[min(step, len(BACKOFF_S) - 1)]
        self.state, self.start_due_at = "down", now + delay_s
        return delay_s

    def start_note(self, now: float) -> None:
        """Record a start."""
        self.state, self.started_at = "starting", now
        self.birth = process_birth(self.service.pid)

    def is_healthy(self, now: float) -> bool:
        """Say whether it works now; a page is asked for only here, so this may take seconds."""
        if not self.service.is_running():
            return False
        if self.health.path:
            return page_answers(self.health.port, self.health.path)
        if self.health.port:
            return port_answers(self.health.port)
        return now - self.started_at >= self.health.alive_s


def page_answers(port: int, path: str, host: str = LOOPBACK) -> bool:
    """Say whether a page answers 200."""
    try:
        with urllib.request.urlopen(f"http://{host}:{port}{path}", timeout=PROBE_TIMEOUT_S) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError, ValueError):
        return False


def leftover_end(pid: int, birth: str) -> None:
    """End a process that an earlier, killed supervisor started, if that very process still lives."""
    if not pid or not birth or process_birth(pid) != birth:
        return
    for number, patience_s in ((signal.SIGTERM, 10.0), (signal.SIGKILL, 5.0)):
        try:
            os.killpg(pid, number)
        except (ProcessLookupError, PermissionError):
            return
        deadline = time.monotonic() + patience_s
        while time.monotonic() < deadline:
            if process_birth(pid) != birth:
                return
            time.sleep(0.05)
