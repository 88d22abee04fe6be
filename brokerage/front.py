"""The one public port: WebSocket connections go to the ASGI server, all others to the WSGI server.

A connection is looked at once, at its first request; after that only bytes are passed. WebSocket clients open
a connection of their own, so nothing is lost by that, and a request costs next to nothing.
"""

import argparse
import asyncio
import json
import resource
import signal
import socket
import sys
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, cast

HEAD_BYTES_MAX = 16 * 1024
HEAD_TIMEOUT_S = 10.0
CONNECT_TIMEOUT_S = 5.0
CONNECTIONS_MAX = 4096
BACKLOG = 1024
# Each connection needs two descriptors; the rest is for the loop, the log and the listening socket.
DESCRIPTORS_KEPT = 64
ASGI_PATHS = ("/stream", "/ws/", "/v2/iex", "/v2/sip")
_HEAD_END = b"\r\n\r\n"
_REASONS = {408: "Request Timeout", 431: "Request Header Fields Too Large", 502: "Bad Gateway", 503: "Busy"}
_MESSAGES = {
    408: "The request's head did not arrive in time.",
    431: f"The request's head is larger than {HEAD_BYTES_MAX} bytes.",
    502: "The server behind this address does not answer; try again in a moment.",
    503: "Too many connections are open; try again in a moment.",
}


@dataclass(frozen=True, slots=True)
class Backends:
    """The servers the connections are shared out to."""

    wsgi_port: int
    asgi_port: int
    wsgi_host: str = "127.0.0.1"
    asgi_host: str = "127.0.0.1"

    def of(self, head: bytes) -> tuple[str, int]:
        """Return the address of the server that a request belongs to."""
        if head_is_for_asgi(head):
            return self.asgi_host, self.asgi_port
        return self.wsgi_host, self.wsgi_port


def head_is_for_asgi(head: bytes) -> bool:
    """Say which server a request belongs to, from its first line and its Upgrade header."""
    request_line, _, fields = head.partition(b"\r\n")
    words = request_line.split(b" ", 2)
    path = words[1].partition(b"?")[0].decode("latin-1") if len(words) > 1 else ""
    if any(path == name.rstrip("/") or path.startswith(name.rstrip("/") + "/") for name in ASGI_PATHS):
        return True
    for field in fields.split(b"\r\n"):
        name, _, value = field.partition(b":")
        if name.lower() == b"upgrade" and b"websocket" in value.lower():
            return True
    return False


def refusal(status: int) -> bytes:
    """Return a complete answer of our own, as JSON."""
    body = json.dumps({"code": status * 100_000, "message": _MESSAGES[status]}).encode()
    head = f"HTTP/1.1 {status} {_REASONS[status]}\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode() + body


class _Half(asyncio.Protocol):
    """One end of a spliced connection: what arrives here is written to the other, as fast as it can."""

    transport: asyncio.Transport | None = None
    other: "_Half | None" = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        if self.other and self.other.transport:
            self.other.transport.write(data)

    def connection_lost(self, error: Exception | None) -> None:
        self.transport = None
        if self.other and self.other.transport:
            self.other.transport.close()

    def pause_writing(self) -> None:
        if self.other and self.other.transport:
            self.other.transport.pause_reading()

    def resume_writing(self) -> None:
        if self.other and self.other.transport:
            self.other.transport.resume_reading()


class Front(_Half):
    """A client's connection: its first head chooses the server, after that bytes only pass through."""

    def __init__(self, backends: Backends, open_now: set["Front"], connections_max: int) -> None:
        self._backends = backends
        self._open_now = open_now
        self._connections_max = connections_max
        self._head = bytearray()
        self._task: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._ended = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        if len(self._open_now) >= self._connections_max:
            self._refuse(503)
            return
        self._open_now.add(self)
        self._timer = asyncio.get_running_loop().call_later(HEAD_TIMEOUT_S, self._head_late)

    def data_received(self, data: bytes) -> None:
        if self.other:
            super().data_received(data)
            return
        if self._ended:
            return
        if self._task:
            self._head += data
            return
        # A head that comes in small pieces is searched only where it is new.
        searched = max(0, len(self._head) - len(_HEAD_END) + 1)
        self._head += data
        end = self._head.find(_HEAD_END, searched)
        if end > HEAD_BYTES_MAX or (end < 0 and len(self._head) > HEAD_BYTES_MAX):
            self._refuse(431)
        elif end >= 0:
            self._connect(bytes(self._head[:end]))

    def eof_received(self) -> bool:
        """Pass a half-close on: a client that has sent its request may still wait for the answer."""
        self._ended = True
        if self.other is None:
            return self._task is not None
        if self.other.transport:
            with suppress(OSError, RuntimeError):
                self.other.transport.write_eof()
        return True

    def connection_lost(self, error: Exception | None) -> None:
        self._open_now.discard(self)
        self._timer_end()
        if self._task and not self.other:
            self._task.cancel()
        super().connection_lost(error)

    def _connect(self, head: bytes) -> None:
        assert self.transport is not None
        self._timer_end()
        # What follows the head waits in the kernel until there is somewhere to send it.
        self.transport.pause_reading()
        address = self._backends.of(head)
        self._task = asyncio.get_running_loop().create_task(self._splice(*address))

    async def _splice(self, host: str, port: int) -> None:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                transport, half = await loop.create_connection(_Half, host, port)
        except (OSError, TimeoutError):
            self._refuse(502)
            return
        if self.transport is None or self.transport.is_closing():
            transport.close()
            return
        self.other, half.other = half, self
        transport.write(bytes(self._head))
        self._head.clear()
        if self._ended:
            transport.write_eof()
        self.transport.resume_reading()

    def _head_late(self) -> None:
        """Tell a client that began a request what was wrong; let go in silence of one that only connected."""
        if self._head:
            self._refuse(408)
        elif self.transport:
            self.transport.close()

    def _refuse(self, status: int) -> None:
        self._ended = True
        if self.transport:
            self.transport.write(refusal(status))
            self.transport.close()

    def _timer_end(self) -> None:
        if self._timer:
            self._timer.cancel()
            self._timer = None


async def front_serve(
    host: str,
    port: int,
    backends: Backends,
    *,
    connections_max: int = CONNECTIONS_MAX,
    started: Callable[[int], None] = lambda port: None,
) -> None:
    """Serve until SIGTERM or SIGINT; `started` is told the port once connections are accepted."""
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        with suppress(RuntimeError, ValueError, NotImplementedError):
            loop.add_signal_handler(number, stop.set)
    open_now: set[Front] = set()

    def front_make() -> Front:
        return Front(backends, open_now, connections_max)

    server = await loop.create_server(front_make, host, port, backlog=BACKLOG, reuse_address=True)
    try:
        started(server.sockets[0].getsockname()[1])
        await stop.wait()
    finally:
        server.close()
        for front in list(open_now):
            if front.transport:
                front.transport.close()
        await asyncio.sleep(0)


def connections_allowed() -> int:
    """Return how many connections the descriptor limit permits, after raising it as far as it goes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 2 * CONNECTIONS_MAX + DESCRIPTORS_KEPT
    limit = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < limit:
        with suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
    soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if soft == resource.RLIM_INFINITY:
        return CONNECTIONS_MAX
    return max(16, min(CONNECTIONS_MAX, (soft - DESCRIPTORS_KEPT) // 2))


def main(arguments: list[str]) -> int:
    """Run the front as a process of its own."""
    parser = argparse.ArgumentParser(prog="python -m brokerage.front", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    for server in ("wsgi", "asgi"):
        parser.add_argument(f"--{server}-host", default="127.0.0.1")
        parser.add_argument(f"--{server}-port", type=int, required=True)
    given = parser.parse_args(arguments)
    backends = Backends(given.wsgi_port, given.asgi_port, given.wsgi_host, given.asgi_host)
    allowed = connections_allowed()
    try:
        _loop_run(front_serve(given.host, given.port, backends, connections_max=allowed))
    except OSError as error:
        sys.stderr.write(f"Cannot listen on {given.host}:{given.port}: {error.strerror}.\n")
        return 1
    return 0


def _loop_run(work: Coroutine[Any, Any, None]) -> None:
    try:
        import uvloop
    except ImportError:
        asyncio.run(work)
    else:
        uvloop.run(work)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
