"""The commands `run`, `up`, `down` and `status`."""

import argparse
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence

from brokerage.env import ROOT, Environment, EnvironmentInvalid, environment_copy_whole, environment_read
from brokerage.supervisor.errors import SupervisorError
from brokerage.supervisor.logs import log_open, log_tail
from brokerage.supervisor.run import Supervisor
from brokerage.supervisor.screen import say, status_text, welcome_text
from brokerage.supervisor.state import VarFolder

UP_TIMEOUT_S = 1200.0
DOWN_TIMEOUT_S = 180.0
POLL_S = 0.1
NOT_RUNNING_CODE = 3
RUN_COMMAND = (sys.executable, "-m", "brokerage.supervisor", "run")


def main(arguments: Sequence[str]) -> int:
    """Run one command; return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m brokerage.supervisor", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("run", help="start everything and stay; Ctrl-C stops it in order")
    commands.add_parser("up", help="start everything in the background; return when it is healthy")
    commands.add_parser("down", help="stop everything; return when it has stopped")
    commands.add_parser("status", help="show what runs")
    command = parser.parse_args(arguments).command
    try:
        # What a former supervisor wrote for commands typed by hand must not look like given addresses.
        environment = environment_read("supervisor")
        return _COMMANDS[command](environment)
    except (EnvironmentInvalid, SupervisorError) as error:
        say(str(error), is_error=True)
        return 1


def run(environment: Environment) -> int:
    """Start everything and stay until asked to stop."""
    return Supervisor(environment).run()


def up(environment: Environment, run_command: Sequence[str] = RUN_COMMAND) -> int:
    """Start a supervisor in the background and wait until the platform is ready; 0 when it already is."""
    folder = VarFolder(environment.var)
    folder.prepare()
    if folder.lock_is_held():
        say(f"Openbell is already running (supervisor {folder.state_read().pid}).")
        return _ready_wait(folder, None)
    log_path = folder.log_path("supervisor")
    with log_open(log_path) as log:
        log.truncate(0)
        process = subprocess.Popen(
            list(run_command),
            cwd=ROOT,
            env=environment_copy_whole(),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        return _ready_wait(folder, process)
    except KeyboardInterrupt:
        process.send_signal(signal.SIGTERM)
        process.wait()
        say("Stopped.")
        return 130


def down(environment: Environment) -> int:
    """Stop the running supervisor and return when everything has stopped."""
    folder = VarFolder(environment.var)
    if not folder.lock_is_held():
        say("Openbell is not running.")
        return 0
    pid = folder.state_read().pid
    os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + DOWN_TIMEOUT_S
    while folder.lock_is_held():
        if time.monotonic() >= deadline:
            raise SupervisorError(
                f"Supervisor {pid} has not stopped within {DOWN_TIMEOUT_S:.0f} s; see {folder.log}."
            )
        time.sleep(POLL_S)
    say("Openbell has stopped.")
    return 0


def status(environment: Environment) -> int:
    """Show the table; 0 when everything is up, 1 when something is not, 3 when nothing runs."""
    folder = VarFolder(environment.var)
    if not folder.lock_is_held():
        say("Openbell is not running.")
        return NOT_RUNNING_CODE
    state = folder.state_read()
    say(status_text(state))
    return 0 if state.phase == "ready" and all(line.state == "up" for line in state.processes) else 1


def _ready_wait(folder: VarFolder, process: subprocess.Popen[bytes] | None) -> int:
    """Wait for the phase `ready`, showing the supervisor's lines as they come."""
    log_path = folder.log_path("supervisor")
    shown = 0
    deadline = time.monotonic() + UP_TIMEOUT_S
    while time.monotonic() < deadline:
        if process is not None:
            shown = _lines_show(folder, shown)
        if process is not None and process.poll() is not None:
            _lines_show(folder, shown)
            return process.returncode or 1
        if process is None and not folder.lock_is_held():
            raise SupervisorError(f"It ended while starting; {log_path} ends with:\n{log_tail(log_path)}")
        state = folder.state_read()
        if state.phase == "ready" and (process is None or state.pid == process.pid):
            return _ready_show(folder, shown, process is not None)
        time.sleep(POLL_S)
    raise SupervisorError(f"Not ready in {UP_TIMEOUT_S:.0f} s; {log_path} ends with:\n{log_tail(log_path)}")


def _ready_show(folder: VarFolder, shown: int, was_shown: bool) -> int:
    if not was_shown:
        say(welcome_text(folder.state_read().url, folder.root))
        return 0
    # The welcome is written just after the state: give it a moment to arrive in the log.
    time.sleep(POLL_S)
    _lines_show(folder, shown)
    return 0


def _lines_show(folder: VarFolder, shown: int) -> int:
    content = folder.log_path("supervisor").read_bytes()
    fresh = content[shown : content.rfind(b"\n") + 1]
    if fresh:
        say(fresh.decode(errors="replace").rstrip("\n"))
    return shown + len(fresh)


_COMMANDS = {"run": run, "up": up, "down": down, "status": status}
