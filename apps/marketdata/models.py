"""What it is worth: ticks and candles, in a database of their own."""

from django.db import models

from apps.primitives.partitions import PartitionedTable

PARTITIONED = [PartitionedTable("market_data_ticks", "time", by="time")]


class MarketDataTick(models.Model):
    """One trade on the tape; the key is (symbol, time, trade_id), since a batch shares its time."""

    trade_id = models.BigIntegerField(primary_key=True)
    time = models.DateTimeField()
    symbol = models.CharField(max_length=10)
    price = models.DecimalField(max_digits=10, decimal_places=4)
    quantity = models.IntegerField()
    side = models.CharField(max_length=4, null=True)
    exchange = models.CharField(max_length=10, null=True)

    class Meta:
        db_table = "market_data_ticks"

    def __str__(self) -> str:
        return f"{self.symbol} {self.quantity}@{self.price}"


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

    class Meta:
        db_table = "ohlcv"
        verbose_name = "candle"

    def __str__(self) -> str:
        return f"{self.symbol} {self.interval} {self.time}"
