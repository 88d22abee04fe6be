"""Child processes: spawn one that cannot outlive us, find what a killed supervisor left, end one."""

import contextlib
import ctypes
import hashlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO

from brokerage.supervisor.errors import StopRequested, SupervisorError
from brokerage.supervisor.privileges import Account, Credentials

POLL_S = 0.05
_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


def child_spawn(
    command: Sequence[str],
    *,
    env: Mapping[str, str],
    log: IO[bytes],
    cwd: Path | str = "/",
    account: Account | None = None,
    death_signal: signal.Signals | None = signal.SIGTERM,
    pass_fds: Sequence[int] = (),
    stdin: IO[bytes] | int = subprocess.DEVNULL,
    nice: int = 0,
) -> subprocess.Popen[bytes]:
    """Start a process in a session of its own; on Linux the kernel signals it when the supervisor dies.

    Must be called from the main thread: the kernel takes the end of the spawning thread for the parent's end.
    """
    credentials = account.credentials() if account else Credentials()
    return subprocess.Popen(
        list(command),
        env=dict(env),
        stdin=stdin,
        stdout=log,
        stderr=subprocess.STDOUT,
        cwd=cwd,
        pass_fds=tuple(pass_fds),
        start_new_session=True,
        preexec_fn=_child_prepare(os.getpid(), death_signal, nice),
        **credentials,
    )


def child_wait(
    process: subprocess.Popen[bytes], timeout_s: float, should_stop: Callable[[], bool] = lambda: False
) -> int | None:
    """Return the exit code, or None when the time is over; raise StopRequested when asked to stop."""
    deadline = time.monotonic() + timeout_s
    while process.poll() is None:
        if should_stop():
            raise StopRequested
        if time.monotonic() >= deadline:
            return None
        time.sleep(POLL_S)
    return process.returncode


def child_end(process: subprocess.Popen[bytes], stages: Sequence[tuple[signal.Signals, float]]) -> None:
    """Send each signal in turn and wait its seconds, then kill what is left of the process and its group."""
    for number, patience_s in stages:
        if process.poll() is not None:
            break
        process.send_signal(number)
        child_wait(process, patience_s)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def folder_name(folder: Path) -> str:
    """Return a short name for a data folder, the same in every run, to mark its server's processes."""
    return "openbell-" + hashlib.sha256(os.path.realpath(folder).encode()).hexdigest()[:12]


def marked_pids(markers: Sequence[str]) -> list[int]:
    """Return the processes whose command line contains one of the markers, our own excepted.

    Only the command line is readable in every container; the working folder of another user's process is not.
    """
    return [
        pid
        for pid, command in _command_lines()
        if pid != os.getpid() and any(marker in command for marker in markers)
    ]


def marked_end(markers: Sequence[str], stages: Sequence[tuple[signal.Signals, float]]) -> None:
    """End every process that carries a marker; raise SupervisorError if one survives all stages."""
    for number, patience_s in stages:
        for pid in marked_pids(markers):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
        if marked_wait(markers, patience_s):
            return
    if remaining := marked_pids(markers):
        raise SupervisorError(f"Processes {remaining} of an earlier run do not end.")


def marked_wait(markers: Sequence[str], timeout_s: float) -> bool:
    """Wait until no process carries a marker; return whether that came true."""
    deadline = time.monotonic() + timeout_s
    while marked_pids(markers):
        if time.monotonic() >= deadline:
            return False
        time.sleep(POLL_S)
    return True


def process_birth(pid: int) -> str:
    """Return what tells this process from a later one of the same number; empty when there is none."""
    try:
        if sys.platform == "linux":
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            return "" if fields[0] == "Z" else fields[19]
    except OSError:
        return ""
    return _ps("-o", "lstart=", "-p", str(pid)).strip()


def _child_prepare(parent_pid: int, death_signal: signal.Signals | None, nice: int) -> Callable[[], None]:
    def prepare() -> None:
        if _LIBC is not None and death_signal is not None:
            _LIBC.prctl(_PR_SET_PDEATHSIG, int(death_signal), 0, 0, 0)
            if os.getppid() != parent_pid:
                os._exit(1)
        if nice:
            os.nice(nice)

    return prepare


def _command_lines() -> list[tuple[int, str]]:
    if not Path("/proc/self/cmdline").exists():
        rows = [line.strip().partition(" ") for line in _ps("-axo", "pid=,command=").splitlines()]
        return [(int(pid), command) for pid, _, command in rows if pid.isdigit()]
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                found.append((int(entry.name), (entry / "cmdline").read_bytes().decode(errors="replace")))
    return found


def _ps(*options: str) -> str:
    return subprocess.run(["ps", *options], capture_output=True, text=True, check=False).stdout
