"""What was asked: orders, the holds of live ones, and the client ids that may never repeat."""

from django.db import models
from django.db.models.functions import Now

from apps.events.models import NextId
from apps.primitives.fix import Leg, OrderClass, OrderType, OrdStatus, Side, TimeInForce
from apps.primitives.partitions import PartitionedTable

PARTITIONED = [PartitionedTable("orders", "order_id", fillfactor=50)]


def _choices(kind: type) -> list[tuple[str, str]]:
    return [(member.value, member.value) for member in kind]  # type: ignore[attr-defined]


class Order(models.Model):
    """One order for life; entry inserts it, the runner alone updates it.

    ``price`` is the limit, ``collar_price`` the worst price of an order without one, ``stop_price`` the
    trigger, which in a TRAIL follows ``high_water_mark``. The orders of a group carry its first one's id.
    """

    order_id = models.BigIntegerField(primary_key=True, editable=False, db_default=NextId())
    user_id = models.BigIntegerField()
    account_id = models.BigIntegerField()
    client_order_id = models.CharField(max_length=128)
    symbol = models.CharField(max_length=10)
    side = models.CharField(max_length=4, choices=_choices(Side))
    order_type = models.CharField(max_length=10, choices=_choices(OrderType))
    price = models.DecimalField(max_digits=10, decimal_places=4, null=True)
    collar_price = models.DecimalField(max_digits=10, decimal_places=4, null=True)
    stop_price = models.DecimalField(max_digits=10, decimal_places=4, null=True)
    trail_amount = models.DecimalField(max_digits=10, decimal_places=4, null=True)
    trail_percent = models.DecimalField(max_digits=7, decimal_places=4, null=True)
    high_water_mark = models.DecimalField(max_digits=10, decimal_places=4, null=True)
    triggered_at = models.DateTimeField(null=True)
    order_class = models.CharField(max_length=8, choices=_choices(OrderClass), db_default="SIMPLE")
    group_id = models.BigIntegerField(null=True)
    leg = models.CharField(max_length=12, choices=_choices(Leg), null=True)
    quantity = models.IntegerField()
    filled_quantity = models.IntegerField(db_default=0)
    filled_value = models.DecimalField(max_digits=19, decimal_places=4, db_default=0)
    status = models.CharField(max_length=20, choices=_choices(OrdStatus))
    time_in_force = models.CharField(max_length=10, choices=_choices(TimeInForce), db_default="DAY")
    matching_partition = models.SmallIntegerField(db_default=0)
    reason = models.CharField(max_length=40, null=True)
    replaces = models.BigIntegerField(null=True)
    replaced_by = models.BigIntegerField(null=True)
    created_at = models.DateTimeField(db_default=Now())
    updated_at = models.DateTimeField(db_default=Now())
    filled_at = models.DateTimeField(null=True)
    cancelled_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)
    expires_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "orders"
        indexes = [
            models.Index("user_id", "symbol", models.F("created_at").desc(), name="idx_user_symbol"),
            models.Index(models.F("created_at").desc(), name="idx_created_at"),
            models.Index("group_id", name="orders_group", condition=models.Q(group_id__isnull=False)),
        ]

    def __str__(self) -> str:
        return f"{self.side} {self.quantity} {self.symbol}"


class LiveOrder(models.Model):
    """The hold of one order that may still trade; a terminal order has none.

    ``trigger_price`` arms a stop-loss that waits here and not in the engine.
    """

    order_id = models.BigIntegerField(primary_key=True, editable=False)
    account_id = models.BigIntegerField()
    user_id = models.BigIntegerField()
    matching_partition = models.SmallIntegerField(db_default=0)
    symbol = models.CharField(max_length=10)
    status = models.CharField(max_length=20, choices=_choices(OrdStatus))
    remaining = models.IntegerField()
    hold_price = models.DecimalField(max_digits=10, decimal_places=4, db_default=0)
    held_cash = models.DecimalField(max_digits=15, decimal_places=2, db_default=0)
    held_shares = models.IntegerField(db_default=0)
    priority = models.BigIntegerField(db_default=0)
    group_id = models.BigIntegerField(null=True)
    trigger_price = models.DecimalField(max_digits=10, decimal_places=4, null=True)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        db_table = "live_orders"
        indexes = [
            models.Index("account_id", name="live_orders_account"),
            models.Index("symbol", "status", models.F("created_at").desc(), name="idx_symbol_status"),
            models.Index("group_id", name="live_orders_group", condition=models.Q(group_id__isnull=False)),
            models.Index(
                "symbol",
                "trigger_price",
                name="live_orders_armed",
                condition=models.Q(trigger_price__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"hold of {self.order_id}"


class OrderClientKey(models.Model):
    """A client order id that an account has used; unique for all time."""

    pk = models.CompositePrimaryKey("account_id", "client_order_id")
    account_id = models.BigIntegerField()
    client_order_id = models.CharField(max_length=128)
    order_id = models.BigIntegerField()
    request_hash = models.CharField(max_length=64)

    class Meta:
        db_table = "order_client_keys"

    def __str__(self) -> str:
        return self.client_order_id
