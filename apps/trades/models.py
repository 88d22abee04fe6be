"""Who met whom: executed trades, whose facts never change and whose settlement moves once."""

from django.db import models
from django.db.models.functions import Now

from apps.events.models import NextId
from apps.primitives.fix import Side
from apps.primitives.partitions import PartitionedTable

PARTITIONED = [PartitionedTable("trades", "trade_id", append_only=True, fillfactor=90)]


class SettlementStatus(models.TextChoices):
    PENDING = "PENDING"
    SETTLED = "SETTLED"
    FAILED = "FAILED"
    BUSTED = "BUSTED"


class Trade(models.Model):
    """One execution, identified by (matching partition, sequence, n); both sides share one value."""

    trade_id = models.BigIntegerField(primary_key=True, editable=False, db_default=NextId())
    buy_order_id = models.BigIntegerField()
    sell_order_id = models.BigIntegerField()
    buyer_id = models.BigIntegerField()
    seller_id = models.BigIntegerField()
    buyer_account_id = models.BigIntegerField()
    seller_account_id = models.BigIntegerField()
    symbol = models.CharField(max_length=10)
    price = models.DecimalField(max_digits=10, decimal_places=4)
    quantity = models.IntegerField()
    trade_value = models.DecimalField(max_digits=15, decimal_places=2)
    aggressor_side = models.CharField(max_length=4, choices=[(s.value, s.value) for s in Side])
    executed_at = models.DateTimeField(db_default=Now())
    trade_date = models.DateField()
    settl_date = models.DateField()
    settlement_status = models.CharField(
        max_length=20, choices=SettlementStatus.choices, db_default=SettlementStatus.PENDING
    )
    settled_at = models.DateTimeField(null=True)
    matching_partition = models.SmallIntegerField()
    match_seq = models.BigIntegerField()
    match_n = models.IntegerField()

    class Meta:
        db_table = "trades"
        indexes = [
            models.Index("buyer_id", models.F("executed_at").desc(), name="idx_buyer"),
            models.Index("seller_id", models.F("executed_at").desc(), name="idx_seller"),
            models.Index("symbol", models.F("executed_at").desc(), name="trades_idx_symbol"),
            models.Index(models.F("executed_at").desc(), name="idx_executed_at"),
        ]

    def __str__(self) -> str:
        return f"{self.quantity} {self.symbol} at {self.price}"
