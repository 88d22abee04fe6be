"""What surveillance follows: the events of orders, which also tell each party of its trades."""

from apps.events.subscription import Subscription
from apps.events.types import Topic
from apps.surveillance.intake import TYPES
from apps.surveillance.services import Watch

NAME = "surveillance"


def surveillance_subscription() -> Subscription:
    """Return the subscription; it begins with what Kafka has."""
    return Subscription(name=NAME, topics=(Topic.ORDERS,), handle=Watch(), types=TYPES)
