"""The active-order view in Redis: a copy for quick reads, never the truth."""

from collections.abc import Sequence
from typing import Any

from django_redis import get_redis_connection

from apps.events.facts import Topic
from apps.events.relay import EventRecord
from apps.primitives.fix import LIVE_STATUSES, OrdStatus
from apps.primitives.ids import id_time

ORDER_TTL_S = 86_400


def _facts(event: EventRecord) -> dict[str, Any] | None:
    """Return the order that an event is about, as it stood after it; None for requests and refusals."""
    if event.topic != Topic.ORDERS:
        return None
    if event.event_type == "ORDER_PLACED":
        return {"status": OrdStatus.PENDING.value, **event.data}
    return event.data.get("order")


def orders_view_write(events: Sequence[EventRecord]) -> None:
    """Bring ``order:{id}``, ``user:{id}:orders`` and ``symbol:{s}:orders`` up to these events."""
    redis = get_redis_connection("default")
    with redis.pipeline(transaction=False) as pipe:
        for event in events:
            facts = _facts(event)
            if facts is not None:
                _order_write(pipe, event, facts)
        pipe.execute()


def _order_write(pipe: Any, event: EventRecord, facts: dict[str, Any]) -> None:
    order_id = facts["order_id"]
    placed_at = id_time(int(order_id)).timestamp()
    sets = (f"user:{event.user_id}:orders", f"symbol:{facts['symbol']}:orders")
    if facts["status"] not in LIVE_STATUSES:
        pipe.delete(f"order:{order_id}")
        for name in sets:
            pipe.zrem(name, order_id)
        return
    fields = {
        "user_id": event.user_id,
        "symbol": facts["symbol"],
        "side": facts["side"],
        "price": "" if facts.get("price") is None else str(facts["price"]),
        "quantity": facts["quantity"],
        "status": facts["status"],
        "created_at": facts.get("created_at") or event.message()["timestamp"],
    }
    pipe.hset(f"order:{order_id}", mapping=fields)
    pipe.expire(f"order:{order_id}", ORDER_TTL_S)
    for name in sets:
        pipe.zadd(name, {order_id: placed_at})
