"""Subscriptions: whoever wants to follow the events in Kafka gives a name, topics and one function.

Kafka says which process reads which topic partition; where to go on is a row of ours, moved in the
transaction of the effect. So the effect happens exactly once whatever is killed, and what a process does
that lost its topic partition without knowing it is undone. ``docs/subscribers.md`` has an example.
"""

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from threading import Event as Signal
from typing import Any, Literal

from django.db import InterfaceError, OperationalError, connection, transaction
from kafka import TopicPartition
from kafka.errors import KafkaError

from apps.events import subscription_store as store
from apps.events.kafka.connection import KafkaAway, away_text, client_options
from apps.events.kafka.membership import Membership
from apps.events.messages import EventMessage, MessageInvalid, message_read
from apps.events.subscription_store import PositionMoved
from apps.events.types import EventType, Topic

logger = logging.getLogger(__name__)

BATCH_MESSAGES_MAX = 500
TRIES_MAX = 5
"""So often is one event tried, by itself, before it goes to the quarantine."""

QUARANTINE_MAX = 100
"""With more failures than these in quarantine it is not the events that are wrong: the subscription stops."""

UNTRIED_MAX = 100_000
"""So many events that may be repetitions are put aside untried: a hundred megabytes or so."""

AWAY_S, LOOK_EVERY_S, FORGET_EVERY_S, TELL_EVERY_S = 2.0, 5.0, 60.0, 60.0
TRY_AGAIN_S = 0.1

Handle = Callable[[Any, Sequence[EventMessage]], None]
"""Gets the cursor of the open transaction, through which all effects go, and new events in order."""


class PositionLost(RuntimeError):
    """Kafka no longer has what comes next, or has less than was handled: a person has to decide."""


class TooManyQuarantined(RuntimeError):
    """So many events failed that the subscription's own code must be wrong, or too many came again too late.

    ``where`` is the topic partition of the one that has no room.
    """

    def __init__(self, text: str, where: TopicPartition) -> None:
        super().__init__(text)
        self.where = where


class TemporaryTrouble(RuntimeError):
    """A subscription's function raises it for what will pass: the same events come again, for ever."""


_TEMPORARY = (OperationalError, InterfaceError, TemporaryTrouble)
_NO_FAULT_OF_EVENTS = (PositionMoved, TooManyQuarantined, *_TEMPORARY)


@dataclass(frozen=True, slots=True)
class Subscription:
    """What follows the events: its name for ever, its topics, its function, the types it wants (all if none).

    ``begin`` says where a new one begins: with all that Kafka has, or with what comes from now on. Raises
    ``ValueError`` for the log of everything beside a topic whose events it repeats.
    """

    name: str
    topics: tuple[Topic, ...]
    handle: Handle
    types: frozenset[EventType] = frozenset()
    begin: Literal["earliest", "latest"] = "earliest"

    def __post_init__(self) -> None:
        if Topic.AUDIT in self.topics and len(self.topics) > 1:
            raise ValueError(f"{Topic.AUDIT} has the events of all topics: subscribe to it alone.")
        if not self.topics or not 0 < len(self.name) <= 40:
            raise ValueError("A subscription needs topics, and a name of at most 40 characters.")


def subscription_run(subscription: Subscription, stopping: Signal) -> None:
    """Follow the events until told to stop; while Kafka or the database is away, wait for it.

    Raises ``PositionLost`` and ``TooManyQuarantined``: going on would leave something out unseen; and
    ``KafkaAway`` where no Kafka is set, for which no waiting helps.
    """
    client_options()
    told = _Telling(subscription.name)
    while not stopping.is_set():
        try:
            subscriber = Subscriber(subscription)
        except (KafkaAway, *_TEMPORARY) as error:
            told.trouble(error)
            stopping.wait(AWAY_S)
            continue
        try:
            while not stopping.is_set():
                _turn(subscriber, told, stopping)
        except KafkaError as error:
            told.trouble(KafkaAway(away_text(error)))
            stopping.wait(AWAY_S)
        finally:
            subscriber.close()


def _turn(subscriber: "Subscriber", told: "_Telling", stopping: Signal) -> None:
    try:
        subscriber.step(stopping)
        if subscriber.look():
            told.well()
    except _TEMPORARY as error:
        told.trouble(error)
        subscriber.rewind()
        connection.close_if_unusable_or_obsolete()
        stopping.wait(AWAY_S if not isinstance(error, TemporaryTrouble) else TRY_AGAIN_S)


class _Telling:
    """Logs the beginning and the end of a trouble, and once a minute that it lasts."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._told_at = 0.0

    def trouble(self, error: BaseException) -> None:
        if not self._told_at or time.monotonic() - self._told_at > TELL_EVERY_S:
            logger.warning("the subscription %s waits: %s", self.name, str(error).strip())
            self._told_at = time.monotonic()

    def well(self) -> None:
        if self._told_at:
            logger.warning("the subscription %s goes on", self.name)
        self._told_at = 0.0


class Subscriber:
    """One process of a subscription. ``step`` is safe to repeat after any crash."""

    def __init__(self, subscription: Subscription) -> None:
        self.subscription = subscription
        topics = [topic.value for topic in subscription.topics]
        self.membership = Membership(f"openbell-{subscription.name}", topics)
        self.consumer = self.membership.consumer
        self._offsets: dict[TopicPartition, int] = {}
        self._looked_at = self._forgot_at = time.monotonic() - LOOK_EVERY_S

    def close(self) -> None:
        """Leave the group, so that others go on at once."""
        self.membership.close()

    def step(self, stopping: Signal) -> int:
        """Handle what has come, if anything, and return how many messages that was."""
        polled = self.membership.poll(BATCH_MESSAGES_MAX)
        if self.membership.fresh:
            self._places_take()
        for tp in set(self._offsets) - self.membership.owned:
            del self._offsets[tp]
        batch = {tp: messages for tp, messages in polled.items() if tp in self._offsets and messages}
        if not batch:
            return 0
        self._gap_refuse(batch)
        try:
            self._take_all(batch, stopping)
        except TooManyQuarantined as error:
            # What was being handled is undone, and this is not: a person sees it, and can do something.
            self._problem_note(error.where, str(error))
            raise
        except PositionMoved as moved:
            logger.warning("the subscription %s: %s; it reads where it stands", self.subscription.name, moved)
            self._places_again()
            return 0
        return sum(map(len, batch.values()))

    def look(self) -> bool:
        """Write down, every few seconds, where the topic partitions end; returns whether it did."""
        if time.monotonic() - self._looked_at < LOOK_EVERY_S:
            return False
        self._looked_at = time.monotonic()
        owned = list(self._offsets)
        if owned:
            ends = self.consumer.end_offsets(owned, timeout_ms=int(LOOK_EVERY_S * 1_000))
            with connection.cursor() as cursor:
                store.ends_note(cursor, self.subscription.name, ends)
        return True

    def rewind(self) -> None:
        """Let what was read and not handled come again."""
        for tp, offset in self._offsets.items():
            if tp in self.membership.owned:
                self.consumer.seek(tp, offset)

    def _places_again(self) -> None:
        self.membership.fresh |= set(self._offsets)
        self._offsets.clear()
        self._places_take()

    def _places_take(self) -> None:
        """Go to where the rows say that the topic partitions given to us stand."""
        fresh = sorted(self.membership.fresh & self.membership.owned)
        firsts, ends = self.consumer.beginning_offsets(fresh), self.consumer.end_offsets(fresh)
        name, begins = self.subscription.name, firsts if self.subscription.begin == "earliest" else ends
        with transaction.atomic(), connection.cursor() as cursor:
            store.positions_open(cursor, name, fresh)
            for tp, position in store.positions_read(cursor, name, fresh).items():
                if position.next_offset is None:
                    store.position_begin(cursor, position, begins[tp])
                elif position.may_jump:
                    nearest = min(max(position.next_offset, firsts[tp]), ends[tp])
                    store.position_begin(cursor, position, nearest)
                assert position.next_offset is not None
                self._offsets[tp] = position.next_offset
        for tp in fresh:
            if not firsts[tp] <= self._offsets[tp] <= ends[tp]:
                self._lost(tp, f"Kafka has {firsts[tp]} to {ends[tp]}")
            self.consumer.seek(tp, self._offsets[tp])
        self.consumer.resume(*fresh)
        self.membership.fresh -= set(fresh)

    def _gap_refuse(self, batch: dict[TopicPartition, list[Any]]) -> None:
        """Refuse to read on where the client was set back, or over what Kafka has thrown away."""
        for tp, messages in batch.items():
            if messages[0].offset != self._offsets[tp]:
                self._lost(tp, f"Kafka goes on at {messages[0].offset}")

    def _lost(self, tp: TopicPartition, found: str) -> None:
        problem = f"{tp.topic} partition {tp.partition} stands at {self._offsets[tp]}, {found}"
        self._problem_note(tp, problem)
        raise PositionLost(
            f"The subscription {self.subscription.name} cannot go on without leaving something out: "
            f"{problem}. See `manage.py subscription_reset --help`."
        )

    def _problem_note(self, tp: TopicPartition, problem: str) -> None:
        with transaction.atomic(durable=True), connection.cursor() as cursor:
            for position in store.positions_read(cursor, self.subscription.name, [tp]).values():
                store.problem_note(cursor, position, problem)

    def _take(self, batch: dict[TopicPartition, list[Any]]) -> None:
        """Handle messages in one transaction with the move of their positions."""
        name = self.subscription.name
        with transaction.atomic(durable=True), connection.cursor() as cursor:
            offsets = {tp: messages[0].offset for tp, messages in batch.items()}
            positions = store.positions_lock(cursor, name, offsets)
            wanted, source = [], dict[int, Any]()
            for tp, messages in batch.items():
                for message in messages:
                    event = message_read(message.value)
                    if event.id and (
                        event.event_type in self.subscription.types or not self.subscription.types
                    ):
                        wanted.append((positions[tp], event))
                        source.setdefault(event.id, message)
                positions[tp].next_offset = messages[-1].offset + 1
            fresh, doubtful = store.events_remember(cursor, wanted) if wanted else ([], [])
            self._untried_keep(cursor, [(event.id, source[event.id]) for _, event in doubtful])
            if fresh:
                self.subscription.handle(cursor, fresh)
            store.positions_move(cursor, positions.values())
            self._forget(cursor, positions.values())
        self._offsets.update({tp: messages[-1].offset + 1 for tp, messages in batch.items()})

    def _forget(self, cursor: Any, positions: Any) -> None:
        if time.monotonic() - self._forgot_at > FORGET_EVERY_S:
            store.events_forget(cursor, positions)
            self._forgot_at = time.monotonic()

    def _take_all(self, batch: dict[TopicPartition, list[Any]], stopping: Signal) -> None:
        try:
            self._take(batch)
        except _NO_FAULT_OF_EVENTS:
            raise
        except Exception:
            # One of them cannot be handled: which one is found by handling each by itself.
            self._take_singly(batch, stopping)
            self.rewind()

    def _take_singly(self, batch: dict[TopicPartition, list[Any]], stopping: Signal) -> None:
        for tp, messages in batch.items():
            for message in messages:
                while not self._tried(tp, message):
                    if stopping.wait(TRY_AGAIN_S):
                        return

    def _tried(self, tp: TopicPartition, message: Any) -> bool:
        """Handle one message by itself, or put it aside after its last try; returns whether it is done."""
        name = self.subscription.name
        try:
            self._take({tp: [message]})
        except _NO_FAULT_OF_EVENTS:
            raise
        except Exception as error:
            # Counted where a kill does not forget it.
            with transaction.atomic(durable=True), connection.cursor() as cursor:
                position = store.positions_lock(cursor, name, {tp: message.offset})[tp]
                tries = store.try_count(cursor, position)
                if tries < TRIES_MAX:
                    return False
                problem = f"{type(error).__name__}: {error}"
                self._quarantine(cursor, message, _event_id(message.value), problem, tries)
                position.next_offset = message.offset + 1
                store.positions_move(cursor, [position])
            logger.exception("the subscription %s put %s aside", name, _place(message))
            self._offsets[tp] = message.offset + 1
        return True

    def _quarantine(self, cursor: Any, message: Any, event_id: int | None, problem: str, tries: int) -> None:
        name = self.subscription.name
        if store.failures_count(cursor, name) >= QUARANTINE_MAX:
            raise TooManyQuarantined(
                f"{QUARANTINE_MAX} events of the subscription {name} are in quarantine; the next, "
                f"{_place(message)}, failed with: {problem}",
                TopicPartition(message.topic, message.partition),
            )
        store.message_quarantine(cursor, name, message, event_id, problem, tries)

    def _untried_keep(self, cursor: Any, doubtful: list[tuple[int, Any]]) -> None:
        """Put aside what may be a repetition: no failure of anybody, so it does not count as one."""
        name = self.subscription.name
        if doubtful and store.untried_count(cursor, name) + len(doubtful) > UNTRIED_MAX:
            message = doubtful[0][1]
            raise TooManyQuarantined(
                f"{UNTRIED_MAX} events of the subscription {name} that may be repetitions are in quarantine; "
                f"there is no room for {_place(message)}",
                TopicPartition(message.topic, message.partition),
            )
        for event_id, message in doubtful:
            store.message_quarantine(cursor, name, message, event_id, store.TOO_OLD, 0)


def _place(message: Any) -> str:
    return f"{message.topic} partition {message.partition} offset {message.offset}"


def _event_id(value: bytes) -> int | None:
    try:
        return message_read(value).id
    except MessageInvalid:
        return None
