"""What the active-order view in Redis does with committed events: it follows every order until it ends."""

from collections.abc import Sequence

from redis.exceptions import RedisError

from apps.events.records import EventRecord
from apps.events.relay import Place, SinkUnavailable
from apps.events.types import EventType, Topic
from apps.orders.services.view import (
    Listed,
    ViewMissing,
    view_is_rebuilding,
    view_marker,
    view_rebuild,
    view_update,
)
from apps.primitives.errors import Conflict


def orders_view_write(events: Sequence[EventRecord]) -> None:
    """Bring the view up to these events; raises ``SinkUnavailable`` when it cannot, and changes nothing."""
    touched = {order.order_id: order for order in map(_listed, events) if order is not None}
    try:
        view_update(list(touched.values()), (events[-1].xact_id, events[-1].id))
    except (RedisError, ViewMissing) as error:
        raise SinkUnavailable(str(error)) from error


def orders_view_standing() -> Place:
    """Return up to where the view is whole; one that was lost is rebuilt first."""
    try:
        marker = view_marker()
        if marker is None:
            if view_is_rebuilding():
                raise SinkUnavailable("the active-order view is being rebuilt")
            view_rebuild()
            marker = view_marker()
        if marker is None:
            raise SinkUnavailable("the active-order view went away again")
        return Place(*marker)
    except (RedisError, Conflict) as error:
        raise SinkUnavailable(str(error)) from error


def _listed(event: EventRecord) -> Listed | None:
    """Return the order that an event is about; None for requests and refusals, which change none."""
    if event.topic != Topic.ORDERS:
        return None
    facts = event.data if event.event_type == EventType.ORDER_PLACED else event.data.get("order")
    return Listed(int(facts["order_id"]), event.user_id, facts["symbol"]) if facts else None
