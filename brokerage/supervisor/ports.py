"""Loopback ports: find a free one, see whether one is taken, wait for nobody."""

import secrets
import socket
from collections.abc import Iterable

LOOPBACK = "127.0.0.1"
# Below the ephemeral ranges of Linux and macOS, so that no outgoing connection takes a remembered port.
PORT_LOWEST, PORT_HIGHEST = 15_000, 30_000
_TRIES_MAX = 200


def port_is_free(port: int, host: str = LOOPBACK) -> bool:
    """Say whether a server could listen here now; a port in TIME_WAIT counts as free, as for servers."""
    with socket.socket(_family(host), socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def port_choose(avoid: Iterable[int] = ()) -> int:
    """Return a free loopback port that is not among `avoid`."""
    taken = set(avoid)
    for _ in range(_TRIES_MAX):
        port = PORT_LOWEST + secrets.randbelow(PORT_HIGHEST - PORT_LOWEST)
        if port not in taken and port_is_free(port):
            return port
    raise OSError(f"no free port between {PORT_LOWEST} and {PORT_HIGHEST} on {LOOPBACK}")


def port_answers(port: int, host: str = LOOPBACK, timeout_s: float = 0.5) -> bool:
    """Say whether something accepts connections here."""
    try:
        socket.create_connection((host, port), timeout_s).close()
    except OSError:
        return False
    return True


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET
