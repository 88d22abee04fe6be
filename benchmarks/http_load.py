"""A cheap HTTP client in a process of its own: raw keep-alive sockets, requests made beforehand, two loops.

Closed: every connection sends its next request when the last is answered; the figure is answers a second.
Open: requests leave at a fixed rate whether or not earlier ones are answered; the figure is milliseconds from
the moment at which a request was due.
"""

import json
import selectors
import socket
import subprocess
import sys
import time
from collections import Counter, deque
from dataclasses import dataclass, field
from typing import Any

from brokerage.env import ROOT

RECEIVE_BYTES = 65_536
ANSWER_TIMEOUT_S = 30.0
_HEAD_END = b"\r\n\r\n"
_LENGTH = b"content-length:"


@dataclass(slots=True)
class Load:
    """What a run brought: how long it took, each answer's milliseconds, how many had which status."""

    elapsed_s: float
    latencies_ms: list[float] = field(default_factory=list)
    statuses: dict[str, int] = field(default_factory=dict)

    @property
    def per_s(self) -> float:
        return len(self.latencies_ms) / self.elapsed_s

    def all_were(self, status: int) -> bool:
        """Say whether every request had this answer."""
        return list(self.statuses) == [str(status)]


def request_bytes(
    method: str, path: str, headers: dict[str, str] | None = None, body: dict[str, Any] | None = None
) -> bytes:
    """Return a whole HTTP/1.1 request."""
    content = json.dumps(body).encode() if body is not None else b""
    fields = {"Host": "127.0.0.1", **(headers or {}), "Content-Length": str(len(content))}
    if content:
        fields["Content-Type"] = "application/json"
    head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode() + content


def load_run(port: int, requests: list[list[bytes]], *, seconds: float, per_s: float | None = None) -> Load:
    """Send ``requests[i]`` in turn on connection ``i`` for ``seconds``, closed or at ``per_s`` altogether."""
    asked = {
        "port": port,
        "requests": [[text.decode("latin-1") for text in row] for row in requests],
        "seconds": seconds,
        "per_s": per_s,
    }
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.http_load"],
        cwd=ROOT,
        input=json.dumps(asked),
        capture_output=True,
        text=True,
        timeout=seconds + 2 * ANSWER_TIMEOUT_S,
    )
    assert done.returncode == 0, done.stderr
    return Load(**json.loads(done.stdout))


class _Connection:
    """One keep-alive connection with at most one request on its way."""

    def __init__(self, port: int, requests: list[bytes]) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=ANSWER_TIMEOUT_S)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._requests = requests
        self._next = 0
        self._answer = b""
        self._wanted = 0
        self.due = 0.0

    def send(self, due: float) -> None:
        self.due = due
        self.socket.sendall(self._requests[self._next % len(self._requests)])
        self._next += 1

    def receive(self) -> str | None:
        """Take what has come; return the status once the answer is whole."""
        received = self.socket.recv(RECEIVE_BYTES)
        if not received:
            raise ConnectionError("the server closed a connection")
        self._answer += received
        if not self._wanted:
            end = self._answer.find(_HEAD_END)
            if end < 0:
                return None
            self._wanted = end + len(_HEAD_END) + _length(self._answer[:end])
        if len(self._answer) < self._wanted:
            return None
        status = self._answer[9:12].decode()
        self._answer, self._wanted = self._answer[self._wanted :], 0
        return status


def _length(head: bytes) -> int:
    start = head.lower().find(_LENGTH)
    return int(head[start + len(_LENGTH) :].split(b"\r\n", 1)[0]) if start >= 0 else 0


class _Loop:
    """The connections, who of them is free, and what has been answered."""

    def __init__(self, connections: list[_Connection]) -> None:
        self.free = deque(connections)
        self.busy = 0
        self.latencies_ms: list[float] = []
        self.statuses: Counter[str] = Counter()
        self._selector = selectors.DefaultSelector()
        for connection in connections:
            self._selector.register(connection.socket, selectors.EVENT_READ, connection)

    def send(self, due: float) -> None:
        self.free.popleft().send(due)
        self.busy += 1

    def receive(self, timeout_s: float) -> None:
        for key, _ in self._selector.select(timeout_s):
            status = key.data.receive()
            if status is not None:
                self.latencies_ms.append((time.perf_counter() - key.data.due) * 1000)
                self.statuses[status] += 1
                self.free.append(key.data)
                self.busy -= 1


def _closed(loop: _Loop, seconds: float) -> None:
    until = time.perf_counter() + seconds
    while (now := time.perf_counter()) < until:
        while loop.free:
            loop.send(now)
        loop.receive(ANSWER_TIMEOUT_S)


def _open(loop: _Loop, seconds: float, per_s: float) -> None:
    started = time.perf_counter()
    for number in range(int(seconds * per_s)):
        due = started + number / per_s
        while (left := due - time.perf_counter()) > 0 or not loop.free:
            loop.receive(max(left, 0) if loop.free else ANSWER_TIMEOUT_S)
        loop.send(due)


def main() -> None:
    """Read what is asked from standard input and write what came of it."""
    asked = json.load(sys.stdin)
    rows = [[text.encode("latin-1") for text in row] for row in asked["requests"]]
    loop = _Loop([_Connection(asked["port"], row) for row in rows])
    started = time.perf_counter()
    if asked["per_s"]:
        _open(loop, asked["seconds"], asked["per_s"])
    else:
        _closed(loop, asked["seconds"])
    elapsed_s = time.perf_counter() - started
    while loop.busy:
        loop.receive(ANSWER_TIMEOUT_S)
    answer = {"elapsed_s": elapsed_s, "latencies_ms": loop.latencies_ms, "statuses": loop.statuses}
    json.dump(answer, sys.stdout)


if __name__ == "__main__":
    main()
