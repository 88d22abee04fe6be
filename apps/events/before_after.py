"""What changed in a record, told as events: before and after, column by column, secrets never."""

from datetime import date, datetime
from decimal import Decimal
from typing import Any

from django.db.models import Model

from apps.events.facts import EventRow, Origin
from apps.events.types import EventType
from apps.primitives.clock import iso, utc_now

SECRETS = frozenset({"password", "secret_hash", "session_data"})
"""Columns that no event tells, not even as a digest."""


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return iso(value)
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, date):
        return value.isoformat()
    return value if value is None or isinstance(value, bool | int | str) else str(value)


def _label(row: Model) -> str:
    key = getattr(row, "natural_key", None)
    return ".".join(str(part) for part in key()) if key else str(row.pk)


def record_facts(record: Model) -> dict[str, Any]:
    """Return a stored record as events tell it: every column but secrets, links by name."""
    meta = record._meta
    facts = {f.attname: _plain(getattr(record, f.attname)) for f in meta.fields if f.name not in SECRETS}
    for field in meta.many_to_many:
        facts[field.name] = sorted(_label(row) for row in getattr(record, field.name).all())
    return facts


def record_locked(model: type[Model], pk: Any) -> Model:
    """Return a record as it is stored, locked in this transaction, so that "before" is what is replaced."""
    return model._base_manager.select_for_update().get(pk=pk)


def record_event(
    event_type: EventType,
    record: Model,
    *,
    before: dict[str, Any],
    after: dict[str, Any],
    reason: str,
    origin: Origin,
) -> EventRow:
    """Return the event of a record that staff added, changed or deleted; of a change, what differs."""
    names = [name for name in before | after if before.get(name) != after.get(name)]
    data = {
        "record": record._meta.db_table,
        "key": str(record.pk),
        "label": str(record),
        "reason": reason,
        "before": {name: before[name] for name in names if name in before},
        "after": {name: after[name] for name in names if name in after},
        "at": iso(utc_now()),
    }
    return EventRow(event_type, origin.actor_id or 0, data, metadata=origin.metadata())


def rule_event(rule: Model, origin: Origin, reason: str) -> EventRow:
    """Return the event of a dated rule that was added; its figures are text."""
    values = {name: "" if value is None else str(value) for name, value in record_facts(rule).items()}
    del values[rule._meta.pk.attname]
    data = {"rule": rule._meta.db_table, **values, "reason": reason, "at": iso(utc_now())}
    return EventRow(EventType.RULE_ADDED, origin.actor_id or 0, data, metadata=origin.metadata())
