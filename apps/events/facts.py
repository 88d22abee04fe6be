"""What an event is made of: its origin, and the row that every storey hands to ``event_append``."""

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import orjson

from apps.events.types import EventType


@dataclass(frozen=True, slots=True)
class Origin:
    """Who asked, from where: the specification's event metadata."""

    ip_address: str | None = None
    user_agent: str | None = None
    session_id: str | None = None
    actor_id: int | None = None

    def metadata(self) -> dict[str, Any]:
        return {
            "ip_address": self.ip_address,
            "user_agent": self.user_agent,
            "session_id": self.session_id,
            **({"actor_id": self.actor_id} if self.actor_id is not None else {}),
        }


SYSTEM = Origin(user_agent="openbell")
"""The origin of what the system does by itself (matching, settlement, expiry)."""


SYSTEM_METADATA = SYSTEM.metadata()


@dataclass(slots=True)
class EventRow:
    """One fact to append. ``account_seq`` is set by the writers that hold the account's row only.

    Where very many are written, ``data`` is finished JSON, since no dictionary is read on the way.
    """

    event_type: EventType
    user_id: int
    data: dict[str, Any] | str
    account_id: int | None = None
    account_seq: int | None = None
    metadata: dict[str, Any] = field(default_factory=lambda: SYSTEM_METADATA)


def _json_default(value: Any) -> Any:
    if isinstance(value, Decimal):
        return orjson.Fragment(format(value, "f"))
    raise TypeError(f"{type(value).__name__} cannot be written to an event")


def json_text(value: Any) -> str:
    """Write JSON in which a Decimal is an exact JSON number; binary floats never arise."""
    return orjson.dumps(value, default=_json_default).decode()
