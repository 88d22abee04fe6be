"""The supervisor as a whole: up, down, killed in every way, with real servers and a small plan."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from brokerage.env import ROOT
from brokerage.supervisor.children import process_birth
from brokerage.supervisor.ports import port_answers, port_choose


class Platform:
    """The small platform in a folder of its own."""

    def __init__(self, var: Path, **env: str) -> None:
        self.var = var
        self.port = port_choose()
        kept = {name: value for name, value in os.environ.items() if not name.endswith("_URL")}
        self.env = {**kept, "OPENBELL_VAR": str(var), "OPENBELL_PORT": str(self.port), **env}

    def command(self, name: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "tests.supervisor.fake_platform", name],
            cwd=ROOT,
            env=self.env,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def state(self) -> dict:
        return json.loads((self.var / "supervisor.json").read_text())

    def process(self, name: str) -> dict:
        return next(line for line in self.state()["processes"] if line["name"] == name)

    def pids(self) -> list[tuple[int, str]]:
        return [(line["pid"], line["birth"]) for line in self.state()["processes"]]

    def starts(self) -> int:
        url = json.loads((self.var / "environment.json").read_text())["DATABASE_OWNER_URL"]
        with psycopg.connect(url) as connection:
            return connection.execute("SELECT count(*) FROM starts").fetchone()[0]


def wait_until(question, timeout_s: float = 20.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not question():
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.05)


def is_gone(pid: int, birth: str) -> bool:
    return process_birth(pid) != birth


@pytest.fixture(scope="module")
def platform(tmp_path_factory) -> Iterator[Platform]:
    platform = Platform(tmp_path_factory.mktemp("platform") / "var")
    try:
        yield platform
    finally:
        platform.command("down")


def test_up_returns_when_ready_down_when_stopped_and_data_stays(platform):
    assert platform.command("status").returncode == 3
    first = platform.command("up")
    assert first.returncode == 0, first.stdout + first.stderr
    assert f"http://127.0.0.1:{platform.port}" in first.stdout
    assert port_answers(platform.port)
    assert platform.command("status").returncode == 0
    pids = platform.pids()
    assert len(pids) == 4
    again = platform.command("up")
    assert again.returncode == 0
    assert "already running" in again.stdout
    second_run = platform.command("run")
    assert second_run.returncode == 1
    assert "already running" in second_run.stderr
    assert platform.starts() == 1
    assert platform.command("down").returncode == 0
    assert all(is_gone(*pid) for pid in pids)
    assert not (platform.var / "environment.json").exists()
    assert platform.command("down").returncode == 0


def test_killed_process_and_killed_server_come_back(platform):
    assert platform.command("up").returncode == 0
    assert platform.starts() == 2
    for name in ("idle", "web", "postgres", "valkey"):
        before = platform.process(name)["pid"]
        os.kill(before, signal.SIGKILL)
        wait_until(lambda name=name, before=before: platform.process(name)["pid"] not in (0, before))
    wait_until(lambda: all(line["state"] == "up" for line in platform.state()["processes"]))
    assert platform.starts() == 2
    assert all(line["restarts"] == 1 for line in platform.state()["processes"])


def test_killed_supervisor_takes_its_processes_along_and_the_next_start_succeeds(platform):
    pids = platform.pids()
    os.kill(platform.state()["pid"], signal.SIGKILL)
    result = platform.command("up")
    assert result.returncode == 0, result.stdout + result.stderr
    assert all(is_gone(*pid) for pid in pids)
    assert platform.starts() == 3


def test_interrupt_stops_in_order(platform):
    platform.command("down")
    supervisor = subprocess.Popen(
        [sys.executable, "-m", "tests.supervisor.fake_platform", "run"],
        cwd=ROOT,
        env=platform.env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    with contextlib.ExitStack() as stack:
        stack.callback(supervisor.kill)
        wait_until(lambda: platform.state()["phase"] == "ready" and platform.state()["pid"] == supervisor.pid)
        pids = platform.pids()
        supervisor.send_signal(signal.SIGINT)
        assert supervisor.wait(30) == 0
    assert all(is_gone(*pid) for pid in pids)
    assert "database system is shut down" in (platform.var / "log" / "postgres.log").read_text()
    assert platform.state()["phase"] == "stopped"


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [("FAKE_STEP", "the step has failed"), ("FAKE_IDLE", "idle will not stay")],
)
def test_failed_start_shows_the_end_of_the_log_and_leaves_nothing(platform, fault, sentence):
    platform.command("down")
    platform.env[fault] = "fails"
    try:
        result = platform.command("up")
    finally:
        del platform.env[fault]
    assert result.returncode == 1
    assert sentence in result.stdout + result.stderr
    assert platform.command("status").returncode == 3
    assert platform.state()["processes"] == []


def test_taken_public_port_is_named(platform):
    platform.command("down")
    with socket.create_server(("127.0.0.1", platform.port)):
        result = platform.command("up")
    assert result.returncode == 1
    assert "OPENBELL_PORT" in result.stdout + result.stderr
