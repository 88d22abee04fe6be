"""Real processes of the platform, forked in milliseconds: runner, web and relay on any PostgreSQL and Valkey.

A fork server that has everything imported makes each of them. A child reads its settings anew from the
environment it is given, so that addresses, time-outs and failpoints reach it as they reach any process.
"""

import atexit
import contextlib
import ctypes
import importlib
import multiprocessing
import os
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

from django.conf import Settings, settings
from django.core.cache import caches
from django.db import connections

SETTINGS_MODULE = "brokerage.settings.testing"
_PR_SET_PDEATHSIG = 1
_CONTEXT: Any = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(["tests.support.processes_preload"])


def _folder_make() -> Path:
    path = Path(tempfile.mkdtemp(prefix="openbell-processes-"))
    atexit.register(shutil.rmtree, path, ignore_errors=True)
    return path


@dataclass(frozen=True)
class Place:
    """Where a process finds its servers and its folder, as environment variables."""

    env: Mapping[str, str]
    folder: Path = field(default_factory=_folder_make)

    def with_env(self, **env: str) -> "Place":
        """Return the same place, but for some variables."""
        return Place({**self.env, **env}, self.folder)


def suite_place() -> Place:
    """Return the place of this test process: its own database, as superuser, and its own Valkey."""
    urls = {alias: _url(alias) for alias in ("default", "marketdata")}
    env = {
        "DATABASE_URL": urls["default"],
        "MARKETDATA_URL": urls["marketdata"],
        "REDIS_URL": settings.REDIS_URL,
    }
    place = Place(env)
    return place.with_env(OPENBELL_VAR=str(place.folder))


def _url(alias: str) -> str:
    where = connections[alias].settings_dict
    return "postgresql://{USER}:{PASSWORD}@{HOST}:{PORT}/{NAME}".format(**where)


class Child:
    """One process; a context manager that kills it at the end, whatever state it is in."""

    def __init__(
        self, main: Callable[..., None], place: Place, *arguments: Any, failpoints: str = "", **env: str
    ) -> None:
        self.log_path = place.folder / f"{main.__name__}-{time.monotonic_ns()}.log"
        told = {**place.env, "OPENBELL_FAILPOINTS": failpoints, **env}
        self.process = _CONTEXT.Process(
            target=_child, args=(main, told, str(self.log_path), arguments), daemon=True
        )
        self.process.start()
        self.born = time.monotonic()

    def __enter__(self) -> "Child":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.kill()
        # Shown by pytest when the test failed, and only then.
        sys.stderr.write(
            f"--- {self.log_path.name}: ended with {self.process.exitcode}\n{self.log[-4000:]}\n"
        )

    @property
    def pid(self) -> int:
        return int(self.process.pid)

    @property
    def log(self) -> str:
        """Return what the process has written so far."""
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    @property
    def is_alive(self) -> bool:
        return bool(self.process.is_alive())

    def signal(self, number: int) -> None:
        os.kill(self.pid, number)

    def kill(self) -> None:
        """End it by SIGKILL, and see that it has ended."""
        if self.is_alive:
            self.process.kill()
        self.process.join(10)

    def stop(self) -> int | None:
        """Ask it to end, and return its exit code."""
        self.signal(signal.SIGTERM)
        return self.exit_code()

    def exit_code(self, timeout_s: float = 20.0) -> int | None:
        """Wait for its end and return the code, negative for a signal; None when it still lives."""
        self.process.join(timeout_s)
        code: int | None = self.process.exitcode
        return code


def _child(
    main: Callable[..., None], env: Mapping[str, str], log_path: str, arguments: tuple[Any, ...]
) -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
    log = os.open(log_path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.environ.update(env)
    os.environ.pop("DATABASE_OWNER_URL", None)
    _settings_read()
    main(*arguments)


def _settings_read() -> None:
    """Load the settings from the environment as it is now, and forget what was derived from others."""
    importlib.reload(importlib.import_module(SETTINGS_MODULE))
    settings._wrapped = Settings(SETTINGS_MODULE)
    for handler in (connections, caches):
        for alias in handler:
            with contextlib.suppress(AttributeError):
                del handler[alias]
        handler.__dict__.pop("settings", None)
        handler._settings = None


def runner_main() -> None:
    """Live as a matching worker does: lead or stand by, and end the process at the first error."""
    from apps.trades.bootstep import RunnerStep

    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    step = RunnerStep(None)
    step.start(None)
    while not ended.wait(0.2) and all(thread.is_alive() for thread in step.threads):
        pass
    step.stop(None)


def relay_main() -> None:
    """Live as the relay does."""
    from django.core.management import call_command

    call_command("relay")


def web_main(port: int) -> None:
    """Serve the platform's own WSGI application on a real socket, one thread a request."""
    from socketserver import ThreadingMixIn
    from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

    from brokerage.wsgi import application

    class Server(ThreadingMixIn, WSGIServer):
        daemon_threads = True
        request_queue_size = 128

    class Quiet(WSGIRequestHandler):
        def log_message(self, format: str, *arguments: Any) -> None:
            pass

    make_server("127.0.0.1", port, application, Server, Quiet).serve_forever()


def function_main(act: Callable[..., None], *arguments: Any) -> None:
    """Run one function, as a script of its own would."""
    act(*arguments)
