"""The published schemas and the code say the same: types, topics, versions, the specification's form."""

import json

import jsonschema_rs
import pytest
from django.core.management import call_command
from django.db import connection

from apps.events.types import EventType, Topic
from apps.primitives.fix import Leg, OrderClass, OrderType, OrdStatus, Side, TimeInForce
from brokerage.management.commands.events_catalogue import PAGE, catalogue_page
from tests.support.builders import trader_open
from tests.support.event_schemas import (
    FOLDER,
    event_problems,
    events_problems,
    events_read,
    schema_of,
    validator_of,
)
from tests.support.matching import Exchange

SHARED = {"common", "envelope"}


def test_every_type_has_a_schema_and_every_schema_a_type() -> None:
    named = {path.name.split(".")[0] for path in FOLDER.glob("*.v1.json")} - SHARED
    assert named == set(EventType)
    assert {path.name.split(".")[1] for path in FOLDER.glob("*.json")} == {"v1"}


@pytest.mark.parametrize("kind", EventType)
def test_a_schema_says_what_the_code_does(kind: EventType) -> None:
    schema = schema_of(f"{kind}.v1")
    jsonschema_rs.meta.validate(schema)
    assert kind.name == kind.value
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema["$id"].endswith(f"/{kind}.v1.json")
    assert schema["title"] and schema["description"].endswith(".")
    assert schema["properties"]["topic"] == {"const": kind.topic}
    assert schema["properties"]["event_type"] == {"const": kind}
    data = schema["properties"]["data"]
    assert data["additionalProperties"] is False
    assert {*data["required"], *data.get("x-added", [])} <= set(data["properties"])
    validator_of(kind)


def test_the_words_of_orders_are_those_of_the_code() -> None:
    shared = schema_of("common.v1")["$defs"]
    for name, words in {
        "side": Side,
        "order_type": OrderType,
        "time_in_force": TimeInForce,
        "order_class": OrderClass,
        "leg": Leg,
        "order_status": OrdStatus,
    }.items():
        assert shared[name]["enum"] == [word.value for word in words]
    assert schema_of("envelope.v1")["properties"]["topic"]["enum"] == [topic.value for topic in Topic]


def test_the_catalogue_is_up_to_date() -> None:
    assert PAGE.read_text() == catalogue_page(FOLDER), "run manage.py events_catalogue"
    with pytest.raises(SystemExit) as ended:
        call_command("events_catalogue", "--check")
    assert ended.value.code == 0


def test_the_published_example_and_the_specifications_are_valid() -> None:
    schema = schema_of("ORDER_PLACED.v1")
    for example in schema["examples"]:
        assert event_problems(json.dumps(example).encode()) == []
    specified = {"order_id", "symbol", "side", "order_type", "price", "quantity"}
    assert specified <= set(schema["properties"]["data"]["required"])


def test_an_order_is_placed_as_the_specification_shows_it(exchange: Exchange) -> None:
    ada = trader_open(cash="20000.00")
    ada.buy(100, "100.25")
    [value] = [one.value() for one in events_read() if one.event_type == EventType.ORDER_PLACED]
    event = json.loads(value)
    assert set(event) >= {"event_id", "timestamp", "event_type", "user_id", "data", "metadata"}
    assert set(event["metadata"]) >= {"ip_address", "user_agent", "session_id"}
    data = event["data"]
    assert (data["symbol"], data["side"], data["order_type"], data["quantity"]) == (
        "AAPL",
        "BUY",
        "LIMIT",
        100,
    )
    assert data["price"] == 100.25
    assert (data["hold_price"], data["held_cash"]) == (100.25, 10025)
    exchange.run()


def test_events_of_before_a_field_was_added_stay_valid() -> None:
    [example] = schema_of("ORDER_PLACED.v1")["examples"]
    for name in schema_of("ORDER_PLACED.v1")["properties"]["data"]["x-added"]:
        del example["data"][name]
    assert validator_of("ORDER_PLACED", today=False).is_valid(example)
    assert not validator_of("ORDER_PLACED").is_valid(example), "today's code has to write it"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("price", "150.25"),
        ("quantity", 1.5),
        ("order_id", 67890),
        ("side", "BOUGHT"),
        ("created_at", "2026-01-08"),
        ("surprise", 1),
        ("price", None),
    ],
)
def test_a_drift_is_seen(field: str, value: object) -> None:
    [example] = schema_of("ORDER_PLACED.v1")["examples"]
    example["data"][field] = value
    assert bool(event_problems(json.dumps(example).encode())) == (field != "price" or value is not None)


def test_a_figure_with_an_exponent_is_seen() -> None:
    [example] = schema_of("ORDER_PLACED.v1")["examples"]
    text = json.dumps(example).replace("150.25", "1.5025e2", 1)
    assert event_problems(text.encode()) == ["ORDER_PLACED: a figure with an exponent"]


@pytest.mark.made_up_events
def test_an_event_of_no_type_is_seen(database: None) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO events (topic, event_type, user_id, data, metadata) "
            "VALUES ('audit-log', 'SOMETHING_ELSE', 1, '{}', '{}')"
        )
    assert events_problems() == ["SOMETHING_ELSE: there is no such type"]
