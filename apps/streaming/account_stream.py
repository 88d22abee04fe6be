"""One account's events in order and without gaps, whatever order or holes they arrive with."""

from collections import deque
from typing import Any

from channels.db import database_sync_to_async

from apps.accounts.selectors import account_get
from apps.events.selectors import LIST_MAX, account_event_list
from apps.events.types import EventType
from apps.streaming.groups import event_wire

INBOX_MAX = 1_000
RESUMED_EVENTS_MAX = 2_000
"""A client that missed more reads the state faster than their telling."""

_UNNUMBERED_SHOWN = ("ORDER_", "ACCOUNT_", "API_KEY_")
"""Facts outside the numbered stream that sockets are told; the rest repeats what the numbered ones say."""

_UNNUMBERED_KEPT = EventType.ORDER_UPDATED
"""What the market's working does to an order is for the record: trades may move a trailing stop each."""


class AccountStream:
    """Begins after a position; ``take`` never waits, ``pull`` returns what follows, in order."""

    def __init__(self, account_id: int, seq: int) -> None:
        self.account_id = account_id
        self.seq = seq
        self._inbox: deque[dict[str, Any]] = deque()
        self._behind = False

    @classmethod
    async def begin(cls, account_id: int, after: int | None = None) -> "AccountStream":
        """Return the stream from ``after`` on, or from now on when that is not asked or cannot be had.

        Join the account's group first, so that nothing falls between. Whoever asked for ``after`` and gets
        another ``seq`` has missed events that are too many or too old, and must read the state instead.
        """
        account = await database_sync_to_async(account_get)(account_id)
        stream = cls(account_id, account.event_seq)
        if after is not None and await database_sync_to_async(_is_resumable)(account, after):
            stream.seq, stream._behind = after, after < account.event_seq
        return stream

    def take(self, event: dict[str, Any]) -> None:
        """Take in an event as it arrives; when too many wait, all are read again from the record."""
        if len(self._inbox) >= INBOX_MAX:
            self._inbox.clear()
            self._behind = True
        self._inbox.append(event)

    def verify(self) -> None:
        """Let the next ``pull`` ask the record whether something was missed."""
        self._behind = True

    async def pull(self) -> list[dict[str, Any]]:
        """Return the events that follow, in order; each numbered one exactly once."""
        ready: list[dict[str, Any]] = []
        while self._behind or self._inbox:
            if self._behind:
                ready += await self._missed()
            else:
                ready += await self._next(self._inbox.popleft())
        return ready

    async def _next(self, event: dict[str, Any]) -> list[dict[str, Any]]:
        seq = event["account_seq"]
        if seq is None:
            kind = event["event_type"]
            return [event] if kind.startswith(_UNNUMBERED_SHOWN) and kind != _UNNUMBERED_KEPT else []
        missed = await self._missed() if seq > self.seq + 1 else []
        if seq <= self.seq or self._behind:
            return missed
        self.seq = seq
        return [*missed, event]

    async def _missed(self) -> list[dict[str, Any]]:
        records = await database_sync_to_async(account_event_list)(self.account_id, self.seq)
        if records:
            self.seq = records[-1].account_seq or self.seq
        self._behind = len(records) == LIST_MAX
        return [event_wire(record) for record in records]


def _is_resumable(account: Any, after: int) -> bool:
    """Return whether every event after a position can still be told."""
    missed = account.event_seq - after
    if not 0 < missed <= RESUMED_EVENTS_MAX:
        return missed == 0
    first = account_event_list(account.account_id, after, 1)
    return bool(first) and first[0].account_seq == after + 1
