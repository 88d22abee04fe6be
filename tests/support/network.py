"""A wire between a process and a server that can be cut: silently, in one direction, or with a reset."""

import contextlib
import select
import socket
import threading
import time
from types import TracebackType
from urllib.parse import urlsplit, urlunsplit

CHUNK = 65_536


class Wire:
    """Forwards one port to a server. What is sent into a direction that is cut waits, and nobody is told.

    That is what a silent partition looks like to both ends: no reset, no refusal, no bytes. Unlike a dropped
    packet it is never sent again by the kernel, so when the wire heals the bytes arrive late: the worst case.
    """

    def __init__(self, host: str, port: int) -> None:
        self.server = (host, port)
        self.to_server_cut = self.to_client_cut = False
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listening.getsockname()[1])
        self._open: set[socket.socket] = set()
        self._ending = False
        self._thread = threading.Thread(target=self._accept, daemon=True)

    def __enter__(self) -> "Wire":
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ending = True
        self._listening.close()
        self.reset()

    def through(self, url: str) -> str:
        """Return the address of the same server, by this wire."""
        parts = urlsplit(url)
        user = parts.netloc.rpartition("@")[0]
        return urlunsplit(parts._replace(netloc=f"{user}@127.0.0.1:{self.port}"))

    def cut(self, *, to_server: bool = True, to_client: bool = True) -> None:
        """From now on nothing passes in these directions, and no end is told."""
        self.to_server_cut, self.to_client_cut = to_server, to_client

    def heal(self) -> None:
        self.to_server_cut = self.to_client_cut = False

    def reset(self) -> None:
        """Close every connection at both ends."""
        for one in list(self._open):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        while not self._ending:
            try:
                client, _ = self._listening.accept()
                server = socket.create_connection(self.server, timeout=5)
            except OSError:
                continue
            for one in (client, server):
                one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._open.add(one)
            for source, target, is_up in ((client, server, True), (server, client, False)):
                threading.Thread(target=self._carry, args=(source, target, is_up), daemon=True).start()

    def _is_cut(self, is_up: bool) -> bool:
        return self.to_server_cut if is_up else self.to_client_cut

    def _carry(self, source: socket.socket, target: socket.socket, is_up: bool) -> None:
        with contextlib.suppress(OSError, ValueError):
            while True:
                select.select([source], [], [], 1)
                if self._is_cut(is_up):
                    time.sleep(0.005)
                    continue
                readable, _, _ = select.select([source], [], [], 0)
                if not readable:
                    continue
                chunk = source.recv(CHUNK)
                while self._is_cut(is_up) and not self._ending:
                    time.sleep(0.005)
                if not chunk:
                    break
                target.sendall(chunk)
        for one in (source, target):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            self._open.discard(one)
