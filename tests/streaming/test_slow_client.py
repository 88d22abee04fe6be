"""A client that does not read is dropped, and costs a bounded amount of memory until then."""

import asyncio
from typing import Any

import pytest

from apps.streaming.consumers import base
from apps.streaming.consumers.base import READY_MAX, KeySeat, LiveSocket, SlowClient


class Pipe:
    """What the server offers a socket: sends block while nobody reads, a close always passes."""

    def __init__(self, *, reads: bool) -> None:
        self.reads = reads
        self.sent: list[dict[str, Any]] = []

    async def __call__(self, message: dict[str, Any]) -> None:
        if message["type"] == "websocket.send" and not self.reads:
            await asyncio.sleep(60)
        self.sent.append(message)


def socket_on(pipe: Pipe) -> LiveSocket:
    socket = LiveSocket()
    socket.base_send = pipe
    socket.writer_start()
    return socket


def test_client_that_reads_gets_everything_in_order() -> None:
    async def story() -> list[str]:
        pipe = Pipe(reads=True)
        socket = socket_on(pipe)
        for number in range(50):
            socket.put(str(number))
        await asyncio.sleep(0.05)
        await socket.disconnect(1000)
        return [message["text"] for message in pipe.sent]

    assert asyncio.run(story()) == [str(number) for number in range(50)]


def test_client_that_stops_reading_is_closed_as_slow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(base, "SEND_TIMEOUT_S", 0.05)

    async def story() -> list[dict[str, Any]]:
        pipe = Pipe(reads=False)
        socket = socket_on(pipe)
        socket.put("never read")
        await asyncio.sleep(0.3)
        return pipe.sent

    assert asyncio.run(story()) == [{"type": "websocket.close", "code": 1013}]


def test_frames_that_must_arrive_pile_up_only_so_far() -> None:
    async def story() -> None:
        socket = socket_on(Pipe(reads=False))
        with pytest.raises(SlowClient):
            for number in range(READY_MAX + 2):
                socket.put(str(number))
        await socket.disconnect(1000)

    asyncio.run(story())


def test_conflated_state_is_sent_at_most_ten_times_a_second_and_the_newest_wins() -> None:
    class Ticker(LiveSocket):
        newest: int | None = None

        def conflated_pull(self) -> list[str | bytes]:
            found, self.newest = self.newest, None
            return [] if found is None else [str(found)]

    async def story() -> list[str]:
        pipe, socket = Pipe(reads=True), Ticker()
        socket.base_send = pipe
        socket.writer_start()
        for number in range(100):
            socket.newest = number
            socket.wake.set()
            await asyncio.sleep(0.005)
        await asyncio.sleep(0.2)
        await socket.disconnect(1000)
        return [message["text"] for message in pipe.sent]

    sent = asyncio.run(story())
    assert sent[-1] == "99"
    assert 3 <= len(sent) <= 12


def test_seats_of_a_key_are_counted_and_given_back() -> None:
    seats = [KeySeat.take("market:k", 2) for _ in range(3)]
    assert [seat is not None for seat in seats] == [True, True, False]
    assert seats[0] is not None
    seats[0].free()
    assert KeySeat.take("market:k", 2) is not None
