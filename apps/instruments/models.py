"""What is traded: listed instruments, their prices of the day, and the dated rules they trade by."""

from uuid import UUID

from django.db import models
from django.db.models.functions import Now

from apps.primitives.ids import Kind, public_id


class InstrumentStatus(models.TextChoices):
    ACTIVE = "ACTIVE"
    INACTIVE = "INACTIVE"


class Instrument(models.Model):
    """One listed share; ``instrument_id`` is the number the engine's book is known by."""

    instrument_id = models.AutoField(primary_key=True)
    symbol = models.CharField(max_length=10, unique=True)
    name = models.CharField(max_length=120)
    exchange = models.CharField(max_length=10, default="NASDAQ")
    status = models.CharField(
        max_length=10, choices=InstrumentStatus.choices, db_default=InstrumentStatus.ACTIVE
    )
    tradable = models.BooleanField(db_default=True)
    halted = models.BooleanField(db_default=False)
    halt_reason = models.CharField(max_length=200, blank=True, db_default="")
    halted_at = models.DateTimeField(null=True, blank=True)
    matching_partition = models.SmallIntegerField(db_default=0)
    band_tier = models.SmallIntegerField(null=True, blank=True, db_default=2)
    simulated = models.BooleanField(db_default=False)
    listed_at = models.DateTimeField(db_default=Now())

    class Meta:
        db_table = "instruments"
        ordering = ["symbol"]
        constraints = [
            models.CheckConstraint(
                name="instruments_band_tier",
                condition=models.Q(band_tier__isnull=True) | models.Q(band_tier__in=[1, 2]),
            ),
        ]

    def __str__(self) -> str:
        return self.symbol

    @property
    def public_id(self) -> UUID:
        return public_id(Kind.INSTRUMENT, self.instrument_id)


class InstrumentPrice(models.Model):
    """The last price and the day's figures of one symbol, written by booking in the trade's transaction."""

    symbol = models.CharField(max_length=10, primary_key=True)
    last_price = models.DecimalField(max_digits=10, decimal_places=4)
    prev_close = models.DecimalField(max_digits=10, decimal_places=4)
    trade_date = models.DateField()
    day_open = models.DecimalField(max_digits=10, decimal_places=4, null=True)
    day_high = models.DecimalField(max_digits=10, decimal_places=4, null=True)
    day_low = models.DecimalField(max_digits=10, decimal_places=4, null=True)
    day_volume = models.BigIntegerField(db_default=0)
    updated_at = models.DateTimeField(db_default=Now())

    class Meta:
        db_table = "instrument_prices"
        constraints = [
            models.CheckConstraint(
                name="instrument_prices_positive",
                condition=models.Q(last_price__gt=0, last_price__lt=1_000_000, prev_close__gt=0),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.symbol} {self.last_price}"


class TickSize(models.Model):
    """The smallest price step from ``price_from`` upwards, in force from a date (SEC Rule 612)."""

    effective_from = models.DateField()
    price_from = models.DecimalField(max_digits=10, decimal_places=4)
    increment = models.DecimalField(max_digits=10, decimal_places=4)

    class Meta:
        db_table = "tick_sizes"
        ordering = ["-effective_from", "-price_from"]
        constraints = [
            models.UniqueConstraint(fields=["effective_from", "price_from"], name="tick_sizes_once"),
            models.CheckConstraint(name="tick_sizes_positive", condition=models.Q(increment__gt=0)),
        ]

    def __str__(self) -> str:
        return f"{self.increment} from {self.price_from}"


class PriceBand(models.Model):
    """How far from the last price an aggressive order may reach, in basis points, from a date.

    A row without a symbol is the market's default; a row with one overrides it.
    """

    effective_from = models.DateField()
    symbol = models.CharField(max_length=10, blank=True, db_default="")
    limit_bps = models.IntegerField()

    class Meta:
        db_table = "price_bands"
        verbose_name = "order collar"
        ordering = ["-effective_from"]
        constraints = [
            models.UniqueConstraint(fields=["effective_from", "symbol"], name="price_bands_once"),
            models.CheckConstraint(
                name="price_bands_sane",
                condition=models.Q(limit_bps__gt=0, limit_bps__lt=10_000),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.symbol or 'market'} {self.limit_bps} bps"


class BandRule(models.Model):
    """How wide the price bands of a tier are from ``price_from`` upwards, in force from a date.

    Of a percentage and an amount the smaller one counts.
    """

    effective_from = models.DateField()
    tier = models.SmallIntegerField()
    price_from = models.DecimalField(max_digits=10, decimal_places=4)
    limit_bps = models.IntegerField()
    limit_amount = models.DecimalField(max_digits=10, decimal_places=4, null=True, blank=True)
    doubled_at_close = models.BooleanField(default=False)

    class Meta:
        db_table = "band_rules"
        verbose_name = "price band rule"
        ordering = ["-effective_from", "tier", "-price_from"]
        constraints = [
            models.UniqueConstraint(fields=["effective_from", "tier", "price_from"], name="band_rules_once"),
            models.CheckConstraint(
                name="band_rules_sane",
                condition=models.Q(
                    tier__in=[1, 2],
                    price_from__gt=0,
                    price_from__lt=1_000_000,
                    limit_bps__gt=0,
                    limit_bps__lt=10_000,
                )
                & (
                    models.Q(limit_amount__isnull=True)
                    | models.Q(limit_amount__gt=0, limit_amount__lt=1_000_000)
                ),
            ),
        ]

    def __str__(self) -> str:
        return f"tier {self.tier} from {self.price_from}: {self.limit_bps} bps"
