"""An event as subscribers get it from Kafka: the specification's form, read back exactly."""

import json
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from apps.events.types import EventType
from apps.primitives.errors import NotFound
from apps.primitives.ids import Kind, public_id_decode


class MessageInvalid(ValueError):
    """The bytes are no event of ours; the message says what is wrong."""


@dataclass(frozen=True, slots=True)
class EventMessage:
    """One event. ``id`` is the number behind ``event_id``; numbers in ``data`` are exact.

    An anchor of the hash chain lies in no table: its id is 0.
    """

    id: int
    event_id: str
    topic: str
    event_type: str
    user_id: int
    account_id: int | None
    account_seq: int | None
    timestamp: datetime
    data: dict[str, Any]
    metadata: dict[str, Any]


def message_read(value: bytes) -> EventMessage:
    """Return the event that a message's value is; raises ``MessageInvalid``."""
    try:
        found = json.loads(value, parse_float=Decimal)
        event_id = str(found["event_id"])
        is_anchor = found["event_type"] == EventType.CHAIN_ANCHORED
        return EventMessage(
            id=0 if is_anchor else public_id_decode(Kind.EVENT, UUID(event_id)),
            event_id=event_id,
            topic=found["topic"],
            event_type=found["event_type"],
            user_id=found["user_id"],
            account_id=found["account_id"],
            account_seq=found["account_seq"],
            timestamp=datetime.fromisoformat(found["timestamp"]),
            data=found["data"],
            metadata=found["metadata"],
        )
    except (ValueError, KeyError, TypeError, NotFound) as error:
        raise MessageInvalid(f"no event: {type(error).__name__}: {error}") from error
