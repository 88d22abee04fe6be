"""The two edge servers as processes on this test process's own database, as the platform runs them."""

import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from types import TracebackType

from django.conf import settings
from django.db import connection, connections

from apps.events.relay import Relay
from apps.marketdata.live import candle_tape
from apps.marketdata.subscribers import ticks_write
from apps.streaming.groups import account_events_send
from brokerage.env import ROOT
from brokerage.supervisor.ports import port_choose

START_S_MAX = 60.0


class Edges:
    """A WSGI server for REST and an ASGI server for sockets; matching and relay run in the test itself."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.web_port, self.ws_port = port_choose(), port_choose()
        self.processes: list[subprocess.Popen[bytes]] = []

    @property
    def web_url(self) -> str:
        return f"http://127.0.0.1:{self.web_port}"

    @property
    def ws_url(self) -> str:
        return f"ws://127.0.0.1:{self.ws_port}"

    def __enter__(self) -> "Edges":
        granian = f"granian --interface wsgi --http 1 --no-ws --host 127.0.0.1 --port {self.web_port}"
        uvicorn = f"uvicorn --host 127.0.0.1 --port {self.ws_port} --no-access-log --lifespan off"
        self._start("web", [*granian.split(), "--workers", "1", "brokerage.wsgi:application"])
        self._start("ws", [*uvicorn.split(), "brokerage.asgi:application"])
        for port in (self.web_port, self.ws_port):
            self._await(f"http://127.0.0.1:{port}/healthz")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for process in self.processes:
            process.send_signal(signal.SIGTERM)
        for process in self.processes:
            try:
                process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def _start(self, name: str, arguments: list[str]) -> None:
        env = {
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "brokerage.settings.testing",
            "DATABASE_URL": _url("default"),
            "MARKETDATA_URL": _url("marketdata"),
            "REDIS_URL": settings.REDIS_URL,
        }
        command = [sys.executable, "-m", *arguments]
        with (self.folder / f"{name}.log").open("wb") as log:
            self.processes.append(subprocess.Popen(command, cwd=ROOT, env=env, stdout=log, stderr=log))

    def _await(self, url: str) -> None:
        deadline = time.monotonic() + START_S_MAX
        while time.monotonic() < deadline:
            assert all(process.poll() is None for process in self.processes), self.logs()
            try:
                with urllib.request.urlopen(url, timeout=2):
                    return
            except (urllib.error.URLError, OSError):
                time.sleep(0.1)
        raise TimeoutError(self.logs())

    def logs(self) -> str:
        return "\n".join(path.read_text(errors="replace") for path in self.folder.glob("*.log"))


def _url(alias: str) -> str:
    found = connections[alias].settings_dict
    login = f"{found['USER']}:{found['PASSWORD']}"
    return f"postgresql://{login}@{found['HOST']}:{found['PORT']}/{found['NAME']}"


def _undelivered(relay: Relay) -> bool:
    """Return whether events wait: an open transaction on the server, another test's too, holds them back."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT EXISTS (SELECT 1 FROM events WHERE (xact_id, id) > (%s::text::xid8, %s))",
            [str(relay.position.xact_id), relay.position.event_id],
        )
        return bool(cursor.fetchone()[0])


def events_relay() -> int:
    """Deliver what has committed to the sockets, as the relay process does; returns how many events."""
    return _delivered(Relay("account-streams", account_events_send))


def ticks_relay() -> int:
    """Store the ticks of what has committed and tell their candles; returns how many events."""
    candle_tape.cache_clear()
    return _delivered(Relay("ticks", ticks_write))


def _delivered(relay: Relay) -> int:
    relay.start()
    count, deadline = 0, time.monotonic() + 10
    while _undelivered(relay) and time.monotonic() < deadline:
        count += relay.step()
    return count
