"""Order events in the shape of the Consolidated Audit Trail, in which US brokers report orders and trades.

SEC Rule 613 and the CAT NMS Plan ask for them. Event types and field names follow the published Reporting
Technical Specifications for Industry Members, version 4.0.0: JSON, one record a line, timestamps as whole
nanoseconds since 1970. Who may report, under which identifier, and what is told of customers beyond the
account (``firmDesignatedID``) is the reporter's matter: this is the material of a report, and no report.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import orjson

from apps.events.types import EventType
from apps.primitives.clock import unix_ns
from apps.primitives.ids import id_time

_TRADES = (EventType.TRADE_EXECUTED, EventType.TRADE_BUSTED)
NEW_YORK = ZoneInfo("America/New_York")
SIDES = {"BUY": "B", "SELL": "SL"}
Record = dict[str, Any]


@dataclass(slots=True)
class CatWriter:
    """Turns events into CAT records for one reporter.

    The two events of a trade become one record when ``pairs`` says that both sides are read; else each
    becomes a record with one side.
    """

    reporter: str
    pairs: bool
    _waiting: dict[tuple[str, str], Record] = field(default_factory=dict)
    """By type and trade id, the side that came first; its other side is written by the same transaction."""

    def lines(self, value: bytes) -> Iterator[bytes]:
        """Yield the records, as lines without their ends, that follow from an event's bytes."""
        event: Record = json.loads(value, parse_float=Decimal)
        for record in self._records(event):
            yield _line(record)

    def rest(self) -> Iterator[bytes]:
        """Yield the trades of which one side alone lay in what was read."""
        waiting, self._waiting = self._waiting, {}
        yield from (_line(_trade([event], self._head(event, "MEOT"))) for event in waiting.values())

    def _records(self, event: Record) -> Iterator[Record]:
        kind = event["event_type"]
        if kind in _TRADES:
            yield from self._trades(event)
        elif kind in _MAKE:
            cat_type, make = _MAKE[kind]
            body = make(event)
            if body is not None:
                yield {**self._head(event, cat_type), **body}

    def _trades(self, event: Record) -> Iterator[Record]:
        key = (event["event_type"], event["data"]["trade_id"])
        if not self.pairs:
            yield _trade([event], self._head(event, "MEOT"))
        elif key in self._waiting:
            yield _trade([self._waiting.pop(key), event], self._head(event, "MEOT"))
        else:
            self._waiting[key] = event

    def _head(self, event: Record, cat_type: str) -> Record:
        return {
            "actionType": "NEW",
            "firmROEID": f"{_new_york_day(event['timestamp'])}_{event['event_id'].replace('-', '')}",
            "type": cat_type,
            "CATReporterIMID": self.reporter,
        }


def _line(record: Record) -> bytes:
    return orjson.dumps({name: v for name, v in record.items() if v is not None}, default=_exactly)


def _exactly(value: Any) -> Any:
    if isinstance(value, Decimal):
        return orjson.Fragment(format(value, "f"))
    raise TypeError(f"{type(value).__name__} is no part of a record")


def _new_york_day(timestamp: str) -> str:
    return datetime.fromisoformat(timestamp).astimezone(NEW_YORK).strftime("%Y%m%d")


def _ns(timestamp: str) -> int:
    return unix_ns(datetime.fromisoformat(timestamp))


def _key(order_id: str, name: str = "order") -> Record:
    """Return an order's key: its id, and when the id was assigned, which is in it."""
    title = name if name == "order" else f"{name}Order"
    return {f"{title}KeyDate": unix_ns(id_time(int(order_id))), f"{title}ID": order_id}


def _happened(event: Record, facts: Record) -> Record:
    return {
        **_key(facts["order_id"]),
        "symbol": facts["symbol"],
        "eventTimestamp": _ns(event["timestamp"]),
        "manualFlag": False,
    }


def _terms(event: Record, facts: Record) -> Record:
    """Return an order's material terms; a collar is the house's own bound and none of them."""
    return {
        "side": SIDES[facts["side"]] if "side" in facts else None,
        "price": facts["price"],
        "quantity": facts["quantity"],
        "orderType": _order_type(facts),
        "timeInForce": _time_in_force(facts, event["timestamp"]),
        "tradingSession": "REG",
        "handlingInstructions": _handling(facts),
    }


def _order_type(facts: Record) -> str:
    return "MKT" if facts["price"] is None else "LMT"


def _time_in_force(facts: Record, timestamp: str) -> Record:
    kind = facts["time_in_force"]
    if kind in _SESSION:
        return {"DAY": int(_new_york_day(facts.get("expires_at") or timestamp))}
    return {kind: True}


_SESSION = {"DAY": None, "OPG": ("MOO", "LOO"), "CLS": ("MOC", "LOC")}
"""What ends with its session; for an auction, as a market or as a limit order."""


def _handling(facts: Record) -> Record | None:
    found: Record = {}
    if facts.get("trail_amount") is not None or facts.get("trail_percent") is not None:
        found["TS"] = True
    elif facts.get("stop_price") is not None:
        found["STP"] = facts["stop_price"]
    if auction := _SESSION.get(facts["time_in_force"]):
        found[auction[facts["price"] is not None]] = True
    if facts.get("group_id") is not None:
        found["CND"] = True
    return found or None


def _customer(account_id: int) -> Record:
    return {
        "custDspIntrFlag": False,
        "firmDesignatedID": str(account_id),
        "accountHolderType": "I",
        "affiliateFlag": False,
        "negotiatedTradeFlag": False,
        "representativeInd": "N",
    }


def _new(event: Record) -> Record:
    facts = event["data"]
    happened = {**_happened(event, facts), "electronicDupFlag": False, "deptType": "T"}
    return {**happened, **_terms(event, facts), **_customer(event["account_id"])}


def _modified(event: Record) -> Record | None:
    """Return a replacement that took effect; an order's own acceptance changes none of its terms."""
    facts = event["data"]["order"]
    if facts["replaces"] is None or "hold_price" not in event["data"]:
        return None
    prior = _key(facts["replaces"], "prior")
    left = {"initiator": "C", "leavesQty": facts["quantity"] - facts["filled_quantity"]}
    return {**_happened(event, facts), **prior, "electronicDupFlag": False, **left, **_terms(event, facts)}


def _modify_asked(event: Record) -> Record:
    facts = event["data"]
    return {**_happened(event, facts), "initiator": "C", **_terms(event, facts)}


def _cancel_asked(event: Record) -> Record:
    return {**_happened(event, event["data"]), "initiator": "C"}


def _cancelled(event: Record) -> Record:
    facts = event["data"]["order"]
    return {
        **_happened(event, facts),
        "cancelQty": facts["quantity"] - facts["filled_quantity"],
        "leavesQty": 0,
        "initiator": "C" if facts["reason"] == "REQUESTED" else "F",
    }


def _adjusted(event: Record) -> Record:
    facts = event["data"]["order"]
    left = {"leavesQty": facts["quantity"] - facts["filled_quantity"]}
    terms = {"initiator": "F", "price": facts["price"], "quantity": facts["quantity"]}
    return {**_happened(event, facts), **terms, **left}


def _effective(event: Record) -> Record:
    facts = event["data"]["order"]
    return {**_happened(event, facts), "triggerPrice": facts["stop_price"], **_terms(event, facts)}


def _trade(events: list[Record], head: Record) -> Record:
    """Return an execution or its bust, with the sides that are known; a sale from a position is long."""
    data = events[0]["data"]
    busted = events[0]["event_type"] == EventType.TRADE_BUSTED
    sides = {event["data"]["side"]: _side(event) for event in events}
    return {
        **head,
        "tradeKeyDate": unix_ns(id_time(int(data["trade_id"]))),
        "tradeID": data["trade_id"],
        "symbol": data["symbol"],
        "eventTimestamp": _ns(data["executed_at"]),
        "manualFlag": False,
        "cancelFlag": busted,
        "cancelTimestamp": _ns(data["at"]) if busted else None,
        "quantity": data["quantity"],
        "price": data["price"],
        "capacity": "A",
        "sideDetailsInd": "NA" if len(sides) == 2 else next(iter(sides)),
        "buyDetails": [sides["BUY"]] if "BUY" in sides else None,
        "sellDetails": [sides["SELL"]] if "SELL" in sides else None,
    }


def _side(event: Record) -> Record:
    return {**_key(event["data"]["order_id"]), "side": SIDES[event["data"]["side"]]}


_MAKE: dict[str, tuple[str, Callable[[Record], Record | None]]] = {
    EventType.ORDER_PLACED: ("MENO", _new),
    EventType.ORDER_ACCEPTED: ("MEOM", _modified),
    EventType.ORDER_HELD: ("MEOM", _modified),
    EventType.ORDER_REPLACE_REQUESTED: ("MEOMR", _modify_asked),
    EventType.ORDER_CANCEL_REQUESTED: ("MEOCR", _cancel_asked),
    EventType.ORDER_CANCELLED: ("MEOC", _cancelled),
    EventType.ORDER_REJECTED: ("MEOC", _cancelled),
    EventType.ORDER_RESIZED: ("MEOJ", _adjusted),
    EventType.ORDER_TRIGGERED: ("MEOE", _effective),
}
"""What each event becomes. An order that expires by its own terms is not reported as cancelled."""
