"""``manage.py events_catalogue``: write the page of all event types from their schemas."""

import json
import sys
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from apps.events.types import EventType, Topic
from brokerage.env import ROOT

FOLDER = ROOT / "docs/events"
PAGE = FOLDER / "README.md"

_OPENING = """\
# Events

Every act is an event: one row of the table `events`, written in the transaction of the act. The same bytes
go to Kafka, to exports and to the archive, and the hash chain is made of them. This page is made from the
schemas beside it by `manage.py events_catalogue`; the suite judges every event that a test writes by them.

- [envelope.v1.json](envelope.v1.json) says what every event has; [common.v1.json](common.v1.json) names what
  several share.
- Figures are exact decimal numbers: read them as decimals. Ids of orders and trades exceed 2^53 and are
  text.
- Events are ordered by their place in commit order, and in Kafka by user. `data.at`, where there is one, is
  the time of the act; `timestamp` is when the row was written.
- An event comes at least once. The same fact told again has the same `event_id`.
- A field that can be null is there and null. "Not always" marks the others that may be missing.
- Requests that only read are no events. Which API key asked for an act is in its metadata.

## Versions

The number in a schema's file name is the version of `data`. What is added to a type is added in place: a new
field, a new value of a list, a new type. Readers ignore fields they do not know; a field that came later is
in `x-added`, not in `required`, so that events written before it stay valid for ever. What would break a
reader (a field that goes, or means another thing) is a new version: `<TYPE>.v2.json` beside the old file, and
`"schema_version": 2` in the metadata of events written from then on. Events without `schema_version` are
version 1. Nobody rewrites an event.
"""


class Command(BaseCommand):
    help = "Write docs/events/README.md from the schemas; --check only compares and exits 1 when they differ."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--check", action="store_true", help="write nothing")

    def handle(self, *args: Any, **options: Any) -> None:
        page = catalogue_page(FOLDER)
        is_same = PAGE.is_file() and PAGE.read_text() == page
        if options["check"]:
            self.stdout.write("The catalogue is up to date." if is_same else "The catalogue is out of date.")
            sys.exit(0 if is_same else 1)
        PAGE.write_text(page)
        self.stdout.write(f"{PAGE}: {len(EventType)} types of events.")


def catalogue_page(folder: Path) -> str:
    """Return the catalogue of the schemas in ``folder`` as Markdown."""
    schemas = {kind: json.loads((folder / f"{kind}.v1.json").read_text()) for kind in EventType}
    shared = json.loads((folder / "common.v1.json").read_text())["$defs"]
    parts = [_OPENING]
    for topic in Topic:
        kinds = [kind for kind in EventType if kind.topic is topic]
        parts.append(f"\n## {topic}\n")
        parts.append("| type | what happened | in the account's stream |\n|---|---|---|")
        parts += [_line(kind, schemas[kind]) for kind in kinds]
        parts += [_section(kind, schemas[kind], shared) for kind in kinds]
    return "\n".join(parts) + "\n"


def _line(kind: EventType, schema: dict[str, Any]) -> str:
    is_numbered = schema["properties"]["account_seq"]["type"] == "integer"
    return f"| [{kind}](#{kind.lower()}) | {schema['title']} | {'yes' if is_numbered else 'no'} |"


def _section(kind: EventType, schema: dict[str, Any], shared: dict[str, Any]) -> str:
    data = schema["properties"]["data"]
    rows = [_field(name, field, data, shared) for name, field in data["properties"].items()]
    table = "\n".join(["| field | type | meaning |", "|---|---|---|", *rows])
    return f"\n### {kind}\n\n{schema['description']} [Schema]({kind}.v1.json).\n\n{table}"


def _field(name: str, field: dict[str, Any], data: dict[str, Any], shared: dict[str, Any]) -> str:
    meaning = field.get("description") or shared.get(_kind(field), {}).get("description", "")
    if name in data.get("x-added", ()):
        meaning += " Added later."
    elif name not in data["required"]:
        meaning += " Not always."
    return f"| `{name}` | {_kind(field)} | {meaning.strip()} |"


def _kind(field: dict[str, Any]) -> str:
    """Return a field's type in a few words."""
    if "$ref" in field:
        return str(field["$ref"].rpartition("/")[2])
    if "anyOf" in field:
        return " or ".join(_kind(one) for one in field["anyOf"])
    if "enum" in field:
        return ", ".join(str(value) for value in field["enum"])
    if "const" in field:
        return json.dumps(field["const"])
    if field.get("type") == "array":
        return f"list of {_kind(field['items'])}" if isinstance(field.get("items"), dict) else "list"
    kinds = field.get("type", "anything")
    return kinds if isinstance(kinds, str) else " or ".join(kinds)
