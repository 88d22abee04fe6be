"""One committed event as it is read from its table, and the bytes as which it leaves the database."""

import json
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import cached_property
from typing import Any

from apps.primitives.clock import iso
from apps.primitives.ids import Kind, public_id_text


@dataclass(frozen=True)
class EventRecord:
    """One committed event as sinks get it; what it says is read only when a sink asks."""

    id: int
    topic: str
    event_type: str
    user_id: int
    account_id: int | None
    account_seq: int | None
    timestamp: datetime
    data_text: str
    metadata_text: str
    xact_id: int

    @cached_property
    def data(self) -> dict[str, Any]:
        return _exactly(self.data_text)

    @cached_property
    def metadata(self) -> dict[str, Any]:
        return _exactly(self.metadata_text)

    def value(self) -> bytes:
        """Return the event as it leaves the database: to Kafka, to exports, into the hash chain; exact bytes.

        The specification's event, with its topic and the account's stream position beside it. ``data`` and
        ``metadata`` are the database's own text, so that the same row gives the same bytes for ever.
        """
        account_id = "null" if self.account_id is None else self.account_id
        account_seq = "null" if self.account_seq is None else self.account_seq
        return (
            f'{{"event_id":"{public_id_text(Kind.EVENT, self.id)}","timestamp":"{iso(self.timestamp)}",'
            f'"topic":"{self.topic}","event_type":"{self.event_type}","user_id":{self.user_id},'
            f'"account_id":{account_id},"account_seq":{account_seq},'
            f'"data":{self.data_text},"metadata":{self.metadata_text}}}'
        ).encode()

    def message(self) -> dict[str, Any]:
        """Return the specification's event, with the account's stream position beside it."""
        return {
            "event_id": public_id_text(Kind.EVENT, self.id),
            "timestamp": iso(self.timestamp),
            "event_type": self.event_type,
            "user_id": self.user_id,
            "account_id": self.account_id,
            "account_seq": self.account_seq,
            "data": self.data,
            "metadata": self.metadata,
        }


def event_record(row: tuple[Any, ...]) -> EventRecord:
    """Return the record of a row as the reading statements select it."""
    return EventRecord(*row)


def _exactly(text: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(text, parse_float=Decimal)
    return found
