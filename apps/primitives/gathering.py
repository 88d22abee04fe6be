"""What arrives at once travels together: one thread carries to the server what others have brought."""

import threading
from collections.abc import Callable, Hashable, Sequence
from typing import Generic, TypeVar

Q = TypeVar("Q")
A = TypeVar("A")


class Separately(Exception):
    """Nothing came of a load of several: each is to go by itself."""


class _Asked(Generic[Q, A]):
    """One question, and what became of it; ``turn`` is open when its thread has something to do."""

    __slots__ = ("answer", "error", "is_answered", "leads", "question", "turn")

    def __init__(self, question: Q) -> None:
        self.question = question
        self.answer: A | None = None
        self.error: BaseException | None = None
        self.is_answered = self.leads = False
        self.turn = threading.Lock()
        self.turn.acquire()


class Gathering(Generic[Q, A]):
    """Answers questions of many threads, several in one message when they come faster than messages travel.

    ``carry`` answers a load of them, in order, and waits for nothing that concerns only one of them. An
    answer may be an exception, which is then raised where it was asked; None leaves that question to go by
    itself, and if it raises ``Separately`` all do: ``alone`` answers one, in the thread that asked, and may
    wait.

    Whoever comes first carries at once; what comes while it is on its way is the next load. Questions of
    equal ``key`` are never in one load.
    """

    def __init__(
        self,
        carry: Callable[[Sequence[Q]], Sequence[A | BaseException | None]],
        alone: Callable[[Q], A],
        most: int,
        key: Callable[[Q], Hashable] | None = None,
    ) -> None:
        self._carry, self._alone, self._most, self._key = carry, alone, most, key
        self._lock = threading.Lock()
        self._waiting: list[_Asked[Q, A]] = []
        self._is_busy = False

    def __call__(self, question: Q) -> A:
        """Return the answer to one question; raises what was answered instead."""
        mine: _Asked[Q, A] = _Asked(question)
        with self._lock:
            self._waiting.append(mine)
            is_first, self._is_busy = not self._is_busy, True
            mine.leads = is_first
        # Not what ``leads`` says by now: whoever is made to lead meanwhile still has a turn to take.
        if not is_first:
            self._wait(mine)
        if mine.leads:
            self._lead()
        if not mine.is_answered:
            return self._alone(question)
        if mine.error is not None:
            raise mine.error
        return mine.answer  # type: ignore[return-value]

    def _wait(self, mine: "_Asked[Q, A]") -> None:
        try:
            mine.turn.acquire()
        except BaseException:
            # Whoever is called away must neither be carried nor be waited for as the next to lead.
            with self._lock:
                if mine in self._waiting:
                    self._waiting.remove(mine)
                is_next = mine.leads
            if is_next:
                self._pass_on()
            raise

    def _lead(self) -> None:
        load: list[_Asked[Q, A]] = []
        try:
            with self._lock:
                load = self._load()
            answers = self._carry([asked.question for asked in load])
            for asked, answer in zip(load, answers, strict=True):
                _settle(asked, answer)
        except Separately:
            pass
        except Exception as error:
            for asked in load:
                asked.is_answered, asked.error = True, error
        except BaseException:
            for asked in load:
                asked.is_answered, asked.error = True, RuntimeError("whoever carried this was called away")
            raise
        finally:
            for asked in load:
                asked.turn.release()
            self._pass_on()

    def _load(self) -> "list[_Asked[Q, A]]":
        """Take the longest waiting, of each key the first, and leave the rest waiting in order."""
        load: list[_Asked[Q, A]] = []
        rest: list[_Asked[Q, A]] = []
        keys: set[Hashable] = set()
        for asked in self._waiting:
            key = self._key(asked.question) if self._key else None
            if len(load) == self._most or (key is not None and key in keys):
                rest.append(asked)
                continue
            keys.add(key)
            load.append(asked)
        self._waiting = rest
        return load

    def _pass_on(self) -> None:
        with self._lock:
            self._is_busy = bool(self._waiting)
            if self._waiting:
                self._waiting[0].leads = True
                self._waiting[0].turn.release()


def _settle(asked: "_Asked[Q, A]", answer: "A | BaseException | None") -> None:
    if answer is None:
        return
    asked.is_answered = True
    if isinstance(answer, BaseException):
        asked.error = answer
    else:
        asked.answer = answer
