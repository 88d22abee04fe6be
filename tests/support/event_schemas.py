"""What the suite writes is judged by the published schemas: every event, whoever wrote it."""

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema_rs
from django.db import connection

from apps.events.records import EventRecord, event_record
from apps.events.types import EventType

FOLDER = Path(__file__).resolve().parents[2] / "docs/events"
EVENTS_MAX = 20_000
"""Events of one test that are judged: the first so many, which is some seconds at most."""

_READ_SQL = """
SELECT id, topic, event_type, user_id, account_id, account_seq, "timestamp",
       data::text, metadata::text, xact_id::text::bigint
FROM events ORDER BY id LIMIT %s
"""
_EXPONENT = re.compile(r"[0-9][eE][+-]?[0-9]")


def schema_of(name: str) -> dict[str, Any]:
    """Return a published schema, such as ``ORDER_PLACED.v1``."""
    found: dict[str, Any] = json.loads((FOLDER / f"{name}.json").read_text())
    return found


def _today(part: Any) -> Any:
    """Return a schema as today's code has to keep it: what was added later is told as well."""
    if isinstance(part, list):
        return [_today(one) for one in part]
    if not isinstance(part, dict):
        return part
    whole = {name: _today(one) for name, one in part.items()}
    if "x-added" in whole:
        whole["required"] = [*whole["required"], *whole["x-added"]]
    return whole


@cache
def validator_of(event_type: str, *, today: bool = True) -> Any:
    """Return the judge of one type's events: as today's code writes them, or of whatever age."""
    shared = [schema_of("common.v1"), schema_of("envelope.v1")]
    schema = schema_of(f"{event_type}.v1")
    registry = jsonschema_rs.Registry([(one["$id"], one) for one in shared])
    return jsonschema_rs.Draft202012Validator(
        _today(schema) if today else schema, registry=registry, validate_formats=True
    )


def event_problems(value: bytes) -> list[str]:
    """Return what is wrong with an event as it leaves the database."""
    event = json.loads(value)
    name = event["event_type"]
    if name not in EventType.__members__:
        return [f"{name}: there is no such type"]
    found = validator_of(name).iter_errors(event)
    problems = [f"{name}: {'/'.join(map(str, error.instance_path))}: {error.message}" for error in found]
    if _EXPONENT.search(re.sub(rb'"(?:[^"\\]|\\.)*"', b"", value).decode()):
        problems.append(f"{name}: a figure with an exponent")
    return problems


def events_read() -> list[EventRecord]:
    """Return the first events of the test's database."""
    with connection.cursor() as cursor:
        cursor.execute(_READ_SQL, (EVENTS_MAX,))
        return [event_record(row) for row in cursor.fetchall()]


def events_problems() -> list[str]:
    """Return what is wrong with the events of the test's database, the first twenty."""
    return [problem for event in events_read() for problem in event_problems(event.value())][:20]
