"""What the supervisor keeps under `var/`: its lock, passwords, ports, and what is running."""

import contextlib
import fcntl
import json
import os
import secrets
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from brokerage.supervisor.errors import AlreadyRunning, SupervisorError
from brokerage.supervisor.ports import port_choose, port_is_free

SECRET_BYTES = 24
_STOPPED = {"phase": "stopped", "pid": 0, "url": "", "detail": "", "processes": []}


@dataclass(slots=True)
class ProcessState:
    """One line of `status`."""

    name: str
    state: str
    pid: int = 0
    birth: str = ""
    restarts: int = 0
    port: int = 0
    since: str = ""


@dataclass(slots=True)
class RunState:
    """What `up`, `down` and `status` can know about a running supervisor."""

    phase: str
    pid: int = 0
    url: str = ""
    detail: str = ""
    processes: list[ProcessState] = field(default_factory=list)


class VarFolder:
    """The folder of everything written at run time."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.log = root / "log"
        self._lock: IO[str] | None = None

    def prepare(self) -> None:
        """Create the folder, or say plainly why it cannot be used."""
        try:
            self.log.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise SupervisorError(f"Cannot create {self.log}: {error.strerror}.") from None
        if self.root.stat().st_uid != os.geteuid():
            raise SupervisorError(
                f"{self.root} belongs to another user: start as that user or set OPENBELL_VAR."
            )

    def log_path(self, name: str) -> Path:
        """Return the log file of a process or step."""
        return self.log / f"{name}.log"

    def lock_take(self) -> None:
        """Make this the only supervisor of the folder until the process ends, however it ends."""
        lock = (self.root / "supervisor.lock").open("a")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            lock.close()
            pid = self.state_read().pid
            raise AlreadyRunning(f"Openbell is already running from {self.root} (process {pid}).") from None
        self._lock = lock

    def lock_is_held(self) -> bool:
        """Say whether a supervisor is running on this folder."""
        try:
            with (self.root / "supervisor.lock").open() as lock:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except FileNotFoundError:
            return False
        except BlockingIOError:
            return True
        return False

    def state_write(self, state: RunState) -> None:
        """Replace the state file in one step, so that readers never see half of it."""
        content = {name: getattr(state, name) for name in ("phase", "pid", "url", "detail")}
        lines = [{name: getattr(line, name) for name in ProcessState.__slots__} for line in state.processes]
        file_replace(self.root / "supervisor.json", {**content, "processes": lines}, mode=0o644)

    def state_read(self) -> RunState:
        """Return what was last written, an empty state when there is nothing readable."""
        content = {**_STOPPED, **json_read(self.root / "supervisor.json")}
        lines = [ProcessState(**line) for line in content.pop("processes")]
        return RunState(**content, processes=lines)

    def ports_choose(self, names: tuple[str, ...]) -> dict[str, int]:
        """Return a port for each name, the former one where it is still free: addresses stay the same."""
        path = self.root / "ports.json"
        former = json_read(path)
        ports: dict[str, int] = {}
        for name in names:
            port = former.get(name)
            if not isinstance(port, int) or port in ports.values() or not port_is_free(port):
                port = port_choose([*former.values(), *ports.values()])
            ports[name] = port
        file_replace(path, ports, mode=0o644)
        return ports


def secrets_load(path: Path, names: tuple[str, ...]) -> dict[str, str]:
    """Return a random secret per name from a file only its owner can read, adding what is missing."""
    known = json_read(path)
    missing = [name for name in names if name not in known]
    if missing:
        known |= {name: secrets.token_urlsafe(SECRET_BYTES) for name in missing}
        file_replace(path, known, mode=0o600)
    return known


def file_replace(path: Path, content: Mapping[str, Any], mode: int) -> None:
    """Write JSON aside, flush it to disk and put it in place of the old file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, aside = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    try:
        with os.fdopen(descriptor, "w") as file:
            os.fchmod(descriptor, mode)
            json.dump(content, file, indent=1)
            file.flush()
            os.fsync(descriptor)
        os.replace(aside, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(aside)
        raise


def json_read(path: Path) -> dict[str, Any]:
    """Return the object in a JSON file, an empty one when the file does not exist."""
    try:
        content = json.loads(path.read_text())
    except FileNotFoundError:
        return {}
    except ValueError:
        raise SupervisorError(f"{path} is damaged: remove it and start again.") from None
    if not isinstance(content, dict):
        raise SupervisorError(f"{path} is damaged: remove it and start again.")
    return content
