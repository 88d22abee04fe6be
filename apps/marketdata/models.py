"""What it is worth: ticks and candles, in a database of their own."""

from django.conf import settings
from django.db import models

from apps.primitives.partitions import PartitionedTable

TICKS_KEPT_DAYS = 5 * 366
"""Ticks are kept for five years; the candles made of them stay."""

QUOTES = PartitionedTable("market_data_quotes", "time", by="time", keep_days=settings.MARKETDATA_QUOTES_DAYS)
PARTITIONED = [
    PartitionedTable("market_data_ticks", "time", by="time", keep_days=TICKS_KEPT_DAYS),
    QUOTES,
]


class MarketDataTick(models.Model):
    """One trade on the tape; the key is (symbol, time, trade_id), since a batch shares its time."""

    trade_id = models.BigIntegerField(primary_key=True)
    time = models.DateTimeField()
    symbol = models.CharField(max_length=10)
    price = models.DecimalField(max_digits=10, decimal_places=4)
    quantity = models.IntegerField()
    side = models.CharField(max_length=4, null=True)
    exchange = models.CharField(max_length=10, null=True)
    in_session = models.BooleanField(default=True)

    class Meta:
        db_table = "market_data_ticks"

    def __str__(self) -> str:
        return f"{self.symbol} {self.quantity}@{self.price}"


class MarketDataQuote(models.Model):
    """The best prices of one book at a time; a side without orders has no price and size 0."""

    pk = models.CompositePrimaryKey("symbol", "time")
    time = models.DateTimeField()
    symbol = models.CharField(max_length=10)
    bid_price = models.DecimalField(max_digits=10, decimal_places=4, null=True)
    bid_size = models.BigIntegerField()
    ask_price = models.DecimalField(max_digits=10, decimal_places=4, null=True)
    ask_size = models.BigIntegerField()

    class Meta:
        db_table = "market_data_quotes"

    def __str__(self) -> str:
        return f"{self.symbol} {self.bid_price}/{self.ask_price}"


class Ohlcv(models.Model):
    """One imported candle; ``time`` is the start of its bucket."""

    pk = models.CompositePrimaryKey("time", "symbol", "interval")
    time = models.DateTimeField()
    symbol = models.CharField(max_length=10)
    interval = models.CharField(max_length=10)
    open = models.DecimalField(max_digits=10, decimal_places=4)
    high = models.DecimalField(max_digits=10, decimal_places=4)
    low = models.DecimalField(max_digits=10, decimal_places=4)
    close = models.DecimalField(max_digits=10, decimal_places=4)
    volume = models.BigIntegerField()
    trade_count = models.BigIntegerField(null=True)
    vwap = models.DecimalField(max_digits=16, decimal_places=6, null=True)

    class Meta:
        db_table = "ohlcv"
        verbose_name = "candle"

    def __str__(self) -> str:
        return f"{self.symbol} {self.interval} {self.time}"
