"""The front: every connection reaches the right server, byte for byte, within its bounds."""

import asyncio
import json
from collections.abc import Awaitable, Callable

import pytest

from brokerage import front
from brokerage.front import Backends, front_serve, head_is_for_asgi
from brokerage.supervisor.ports import port_choose

Story = Callable[[int], Awaitable[None]]


class Echo(asyncio.Protocol):
    """A server that answers with its name and everything it was sent."""

    def __init__(self, name: bytes) -> None:
        self.name = name

    def connection_made(self, transport):
        self.transport = transport
        transport.write(self.name)

    def data_received(self, data):
        self.transport.write(data)


def play(story: Story, connections_max: int = 10, with_backends: bool = True) -> None:
    """Run a story against a front with two echoing servers behind it."""

    async def run() -> None:
        loop = asyncio.get_running_loop()
        ports = []
        for name in (b"WSGI:", b"ASGI:"):
            if with_backends:
                server = await loop.create_server(lambda name=name: Echo(name), "127.0.0.1", 0)
                ports.append(server.sockets[0].getsockname()[1])
            else:
                ports.append(port_choose(ports))
        started = loop.create_future()
        serving = loop.create_task(
            front_serve(
                "127.0.0.1", 0, Backends(*ports), connections_max=connections_max, started=started.set_result
            )
        )
        try:
            async with asyncio.timeout(10):
                await story(await started)
        finally:
            serving.cancel()
            await asyncio.gather(serving, return_exceptions=True)

    asyncio.run(run())


async def exchange(port: int, sent: bytes, length: int) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(sent)
    answer = await reader.readexactly(length)
    writer.close()
    return answer


@pytest.mark.parametrize(
    ("head", "is_for_asgi"),
    [
        (b"GET / HTTP/1.1\r\nHost: a", False),
        (b"GET /ws/terminal HTTP/1.1\r\nHost: a", True),
        (b"GET /stream HTTP/1.1", True),
        (b"GET /stream?x=1 HTTP/1.1", True),
        (b"GET /streams HTTP/1.1", False),
        (b"GET /v2/iex HTTP/1.1", True),
        (b"GET /v2/sip/test HTTP/1.1", True),
        (b"GET /v2/orders HTTP/1.1", False),
        (b"GET /x HTTP/1.1\r\nHost: a\r\nuPGRADE:  WebSocket", True),
        (b"GET /x HTTP/1.1\r\nX-Upgrade: websocket", False),
        (b"GET /x HTTP/1.1\r\nUpgrade: h2c", False),
        (b"GET /x?next=/ws/ HTTP/1.1", False),
        (b"nonsense", False),
        (b"", False),
    ],
)
def test_head_chooses_the_server(head, is_for_asgi):
    assert head_is_for_asgi(head) is is_for_asgi


def test_connection_is_passed_on_unchanged_in_both_directions():
    async def story(port):
        body = bytes(range(256)) * 4096
        sent = b"POST /v2/orders HTTP/1.1\r\nHost: a\r\n\r\n" + body
        assert await exchange(port, sent, 5 + len(sent)) == b"WSGI:" + sent
        upgrade = b"GET /ws/terminal HTTP/1.1\r\nUpgrade: websocket\r\n\r\nframes"
        assert await exchange(port, upgrade, 5 + len(upgrade)) == b"ASGI:" + upgrade

    play(story)


def test_head_in_single_bytes_is_put_together():
    async def story(port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        head = b"GET /ws/ HTTP/1.1\r\nA: b\r\n\r\n"
        for position in range(len(head)):
            writer.write(head[position : position + 1])
            await writer.drain()
            await asyncio.sleep(0.001)
        assert await reader.readexactly(5 + len(head)) == b"ASGI:" + head
        writer.close()

    play(story)


def test_head_beyond_its_bound_is_refused():
    async def story(port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET / HTTP/1.1\r\nX: " + b"a" * front.HEAD_BYTES_MAX)
        assert (await reader.readline()).startswith(b"HTTP/1.1 431")
        writer.close()

    play(story)


def test_late_head_is_refused_and_a_silent_connection_let_go(monkeypatch):
    monkeypatch.setattr(front, "HEAD_TIMEOUT_S", 0.1)

    async def story(port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET / HTTP/1.1\r\n")
        assert (await reader.read()).startswith(b"HTTP/1.1 408")
        writer.close()
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        assert await reader.read() == b""
        writer.close()

    play(story)


def test_missing_server_gives_502_as_json():
    async def story(port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET / HTTP/1.1\r\n\r\n")
        head, _, body = (await reader.read()).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 502")
        assert json.loads(body)["code"] == 50200000
        writer.close()

    play(story, with_backends=False)


def test_connections_are_bounded_and_a_closed_one_makes_room():
    async def story(port):
        first = await asyncio.open_connection("127.0.0.1", port)
        first[1].write(b"GET / HTTP/1.1\r\n\r\n")
        await first[0].readexactly(5)
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        assert (await reader.readline()).startswith(b"HTTP/1.1 503")
        writer.close()
        first[1].close()
        await asyncio.sleep(0.1)
        assert await exchange(port, b"GET / HTTP/1.1\r\n\r\n", 5) == b"WSGI:"

    play(story, connections_max=1)


def test_client_that_never_reads_stops_the_flow_instead_of_filling_memory():
    async def story(port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1024)
        writer.write(b"GET / HTTP/1.1\r\n\r\n")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1):
                while True:
                    writer.write(b"x" * 65536)
                    await writer.drain()
        writer.transport.abort()

    play(story)
