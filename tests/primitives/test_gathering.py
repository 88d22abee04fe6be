"""Questions that come at once travel together, and each fares as if it had gone by itself."""

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest

from apps.primitives.gathering import Gathering, Separately
from tests.support.house import until


class Server:
    """Answers a question with its double; can be made to keep the first load waiting."""

    def __init__(self) -> None:
        self.loads: list[list[int]] = []
        self.alone: list[int] = []
        self.begun, self.may_answer = threading.Event(), threading.Event()
        self.may_answer.set()
        self.act: Callable[[Sequence[int]], Sequence[Any]] = lambda load: [2 * number for number in load]

    def carry(self, load: Sequence[int]) -> Sequence[Any]:
        self.loads.append(list(load))
        self.begun.set()
        assert self.may_answer.wait(10)
        return self.act(load)

    def lone(self, number: int) -> int:
        self.alone.append(number)
        return 100 * number


@pytest.fixture
def server() -> Server:
    return Server()


def asked_together(gathering: Gathering[int, int], server: Server, numbers: Sequence[int]) -> list[Any]:
    """Ask one question that is kept waiting, meanwhile the others, then let all go; returns what came."""
    server.may_answer.clear()
    with ThreadPoolExecutor(max_workers=len(numbers)) as pool:
        futures: list[Future[int]] = []
        for place, number in enumerate(numbers):
            futures.append(pool.submit(gathering, number))
            assert server.begun.wait(10)
            until(lambda seen=place: len(gathering._waiting) >= seen, "it waits")
        server.may_answer.set()
        return [future.exception(10) or future.result() for future in futures]


def test_whoever_comes_first_goes_at_once_and_the_others_share_the_next_message(server: Server) -> None:
    gathering = Gathering(server.carry, server.lone, most=3)
    assert asked_together(gathering, server, [1, 2, 3, 4, 5]) == [2, 4, 6, 8, 10]
    assert server.loads == [[1], [2, 3, 4], [5]]
    assert gathering(7) == 14, "nobody is left carrying"


def test_equal_keys_never_share_a_message(server: Server) -> None:
    gathering = Gathering(server.carry, server.lone, most=9, key=lambda number: number % 10)
    assert asked_together(gathering, server, [1, 2, 12, 3, 22]) == [2, 4, 24, 6, 44]
    assert server.loads == [[1], [2, 3], [12], [22]]


def test_an_error_is_raised_where_it_was_asked_and_nowhere_else(server: Server) -> None:
    server.act = lambda load: [KeyError(number) if number == 3 else number for number in load]
    found = asked_together(Gathering(server.carry, server.lone, most=9), server, [1, 2, 3, 4])
    assert [found[0], found[1], found[3]] == [1, 2, 4]
    assert isinstance(found[2], KeyError)


def test_what_gets_no_answer_in_company_goes_by_itself(server: Server) -> None:
    server.act = lambda load: [None if number == 3 else number for number in load]
    found = asked_together(Gathering(server.carry, server.lone, most=9), server, [1, 2, 3, 4])
    assert found == [1, 2, 300, 4]
    assert (server.loads, server.alone) == ([[1], [2, 3, 4]], [3])


def test_when_nothing_came_of_a_load_each_goes_by_itself(server: Server) -> None:
    def act(load: Sequence[int]) -> Sequence[int]:
        if len(load) > 1:
            raise Separately
        return load

    server.act = act
    found = asked_together(Gathering(server.carry, server.lone, most=9), server, [1, 2, 3])
    assert found == [1, 200, 300]
    assert (server.loads, sorted(server.alone)) == ([[1], [2, 3]], [2, 3])


def test_one_that_waits_by_itself_keeps_nobody_from_carrying(server: Server) -> None:
    server.act = lambda load: [None if number == 1 else number for number in load]
    may_end = threading.Event()

    def alone(number: int) -> int:
        assert may_end.wait(10)
        return 100 * number

    gathering = Gathering(server.carry, alone, most=9)
    with ThreadPoolExecutor(max_workers=1) as pool:
        waiting = pool.submit(gathering, 1)
        until(lambda: server.loads == [[1]], "it was carried")
        assert [gathering(number) for number in (2, 3)] == [2, 3]
        may_end.set()
        assert waiting.result(10) == 100


def test_a_carrier_that_fails_fails_its_load_and_nobody_waits_for_ever(server: Server) -> None:
    def act(load: Sequence[int]) -> Sequence[int]:
        if len(load) > 1:
            raise OSError("gone")
        return load

    server.act = act
    gathering = Gathering(server.carry, server.lone, most=9)
    found = asked_together(gathering, server, [1, 2, 3])
    assert found[0] == 1
    assert [type(error) for error in found[1:]] == [OSError, OSError]
    assert gathering(5) == 5


class SlowLock:
    """A lock after which one thread does something before it goes on."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.afterwards: dict[int, Callable[[], None]] = {}

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, *error: Any) -> None:
        self._lock.release()
        self.afterwards.pop(threading.get_ident(), lambda: None)()


def test_whoever_is_made_to_lead_before_waiting_leads_all_the_same(server: Server) -> None:
    gathering = Gathering(server.carry, server.lone, most=9)
    lock = gathering._lock = SlowLock()  # type: ignore[assignment]
    server.may_answer.clear()

    def led_at_once() -> None:
        server.may_answer.set()
        until(lambda: bool(gathering._waiting) and gathering._waiting[0].leads, "it is the next to lead")

    def ask(number: int) -> int:
        lock.afterwards[threading.get_ident()] = led_at_once
        return gathering(number)

    with ThreadPoolExecutor(max_workers=2) as pool:
        first = pool.submit(gathering, 1)
        assert server.begun.wait(10)
        second = pool.submit(ask, 2)
        assert [first.result(10), second.result(10)] == [2, 4]
    assert gathering(7) == 14, "nobody is left carrying"


def test_sixteen_threads_each_get_their_own_answers() -> None:
    def carry(load: Sequence[int]) -> list[Any]:
        time.sleep(0.0005)
        return [None if number % 7 == 0 else -number for number in load]

    gathering = Gathering(carry, lambda number: -number, most=8, key=lambda number: number % 5)
    numbers = range(1, 1_601)
    with ThreadPoolExecutor(max_workers=16) as pool:
        assert list(pool.map(gathering, numbers, timeout=60)) == [-number for number in numbers]
