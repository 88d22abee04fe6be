"""The whole platform as processes in a folder of its own, as ``make up`` starts it."""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Any

import psycopg

from brokerage.env import ROOT
from brokerage.supervisor.ports import port_choose

FOREIGN = ("DATABASE_URL", "MARKETDATA_URL", "REDIS_URL", "DJANGO_SETTINGS_MODULE", "DATABASE_OWNER_URL")


class Platform:
    """Starts with ``up``, ends with ``down``; ``demo`` decides whether participants trade in it."""

    def __init__(self, *, demo: bool) -> None:
        self.folder = tempfile.TemporaryDirectory(prefix="openbell-platform-")
        self.var = Path(self.folder.name) / "var"
        self.port = port_choose()
        self.url = f"http://127.0.0.1:{self.port}"
        self.env = {
            **{name: value for name, value in os.environ.items() if name not in FOREIGN},
            "OPENBELL_VAR": str(self.var),
            "OPENBELL_PORT": str(self.port),
            "OPENBELL_DEMO": "1" if demo else "0",
        }

    def __enter__(self) -> "Platform":
        self._supervisor("up", timeout_s=240)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._supervisor("down", timeout_s=120)
        self.folder.cleanup()

    def _supervisor(self, verb: str, timeout_s: float) -> None:
        done = subprocess.run(
            [sys.executable, "-m", "brokerage.supervisor", verb],
            cwd=ROOT,
            env=self.env,
            capture_output=True,
            text=True,
            timeout=timeout_s,
        )
        assert done.returncode == 0, f"{verb} failed:\n{done.stdout}\n{done.stderr}"

    def manage(self, *arguments: str, code: str | None = None) -> "subprocess.CompletedProcess[str]":
        """Run a management command, or Python in Django's shell, against this platform."""
        command = [sys.executable, "manage.py", *arguments]
        return subprocess.run(
            command, cwd=ROOT, env=self.env, capture_output=True, text=True, timeout=300, input=code
        )

    def python(self, code: str) -> str:
        """Run Python with Django set up against this platform; returns what it printed."""
        done = self.manage("shell", "--no-imports", "-c", code)
        assert done.returncode == 0, done.stderr
        return done.stdout

    @property
    def demo(self) -> dict[str, Any]:
        """Return the demo's logins."""
        return json.loads((self.var / "demo.json").read_text())

    @property
    def addresses(self) -> dict[str, str]:
        return json.loads((self.var / "environment.json").read_text())

    def connect(self) -> "psycopg.Connection[Any]":
        """Return a session of the owner's role."""
        return psycopg.connect(self.addresses["DATABASE_URL"], autocommit=True)

    def leader_pid(self, timeout_s: float = 20.0) -> int:
        """Return the process id of the matching leader, waiting for one to lead."""
        deadline = time.monotonic() + timeout_s
        with self.connect() as connection:
            while time.monotonic() < deadline:
                row = connection.execute(
                    "SELECT l.pid FROM matching_leader l JOIN pg_stat_activity a ON a.pid = l.backend_pid"
                ).fetchone()
                if row:
                    return int(row[0])
                time.sleep(0.05)
        raise TimeoutError("nobody leads the matching partition")

    def log(self, name: str) -> str:
        """Return what a process has logged."""
        return (self.var / "log" / f"{name}.log").read_text(errors="replace")
