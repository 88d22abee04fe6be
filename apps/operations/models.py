"""When it is final, which phase the market is in, and whether the books add up."""

from django.db import models
from django.db.models.functions import Now

from apps.matching.codes import Mode, Phase
from apps.operations.rules import Stage


class SettlementStep(models.Model):
    """One step of one account's settlement of one date, done once whatever is retried."""

    pk = models.CompositePrimaryKey("settl_date", "account_id", "step")
    settl_date = models.DateField()
    account_id = models.BigIntegerField()
    step = models.CharField(max_length=20)
    amount = models.DecimalField(max_digits=15, decimal_places=2)
    trade_count = models.IntegerField()
    done_at = models.DateTimeField(db_default=Now())

    class Meta:
        db_table = "settlement_steps"

    def __str__(self) -> str:
        return f"{self.step} {self.settl_date} {self.account_id}"


class BandsSource(models.TextChoices):
    """Who set a book's bands: the dated rules, or staff, whose bands the rules leave alone."""

    NONE = ""
    RULE = "RULE"
    STAFF = "STAFF"


class BookSession(models.Model):
    """What a symbol's book was last told, by the calendar, the rules or staff; written with the commands.

    ``stage`` is the calendar's alone; ``phase`` is the book's, which a halt or a pause may keep elsewhere.
    ``limit_side`` and ``limit_since`` are the limit state as the bands' upkeep last saw it.
    """

    symbol = models.CharField(max_length=10, primary_key=True)
    stage = models.CharField(max_length=15, default=Stage.CONTINUOUS.value)
    phase = models.CharField(max_length=15, default=Phase.CONTINUOUS.name)
    mode = models.CharField(max_length=12, default=Mode.OPEN.name)
    trade_date = models.DateField()
    changed_at = models.DateTimeField(db_default=Now())
    lower_band = models.DecimalField(max_digits=10, decimal_places=4, null=True)
    upper_band = models.DecimalField(max_digits=10, decimal_places=4, null=True)
    bands_source = models.CharField(max_length=5, choices=BandsSource.choices, default=BandsSource.NONE)
    band_reference = models.DecimalField(max_digits=10, decimal_places=4, null=True)
    banded_at = models.DateTimeField(null=True)
    limit_side = models.CharField(max_length=4, default="")
    limit_since = models.DateTimeField(null=True)
    paused_until = models.DateTimeField(null=True)

    class Meta:
        db_table = "book_sessions"
        constraints = [
            models.CheckConstraint(
                name="book_sessions_known",
                condition=models.Q(
                    stage__in=[stage.value for stage in Stage],
                    phase__in=[phase.name for phase in Phase],
                    mode__in=[mode.name for mode in Mode],
                    bands_source__in=BandsSource.values,
                    limit_side__in=["", "BUY", "SELL"],
                ),
            ),
            models.CheckConstraint(
                name="book_sessions_bands",
                condition=models.Q(lower_band__isnull=True, upper_band__isnull=True, bands_source="")
                | (
                    models.Q(lower_band__isnull=False, upper_band__isnull=False)
                    & models.Q(lower_band__gt=0, upper_band__lt=1_000_000)
                    & models.Q(lower_band__lte=models.F("upper_band"))
                    & ~models.Q(bands_source="")
                ),
            ),
            models.CheckConstraint(
                name="book_sessions_reference",
                condition=models.Q(band_reference__isnull=True)
                | models.Q(band_reference__gt=0, band_reference__lt=1_000_000),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.symbol} {self.phase}"


class CheckScope(models.TextChoices):
    """Whether a check looked at what came since it last ran, or at everything."""

    RECENT = "RECENT"
    FULL = "FULL"


class CheckStatus(models.TextChoices):
    """A check that FAILED could not look: it says nothing about what it checks."""

    OK = "OK"
    BROKEN = "BROKEN"
    FAILED = "FAILED"


class ReconcileResult(models.Model):
    """What one check last found, and since when it has found the same; ``low`` is the id it looked from.

    Each change of status is an event of its own, which is the history.
    """

    check_name = models.CharField(max_length=20)
    scope = models.CharField(max_length=6, choices=CheckScope.choices)
    title = models.CharField(max_length=200)
    status = models.CharField(max_length=6, choices=CheckStatus.choices)
    since = models.DateTimeField()
    checked_at = models.DateTimeField()
    duration_ms = models.IntegerField()
    low = models.BigIntegerField(default=0)
    broken = models.JSONField(default=list)
    failure = models.CharField(max_length=500, blank=True)

    class Meta:
        db_table = "reconcile_results"
        constraints = [
            models.UniqueConstraint(fields=["check_name", "scope"], name="reconcile_results_once"),
            models.CheckConstraint(
                name="reconcile_results_known",
                condition=models.Q(scope__in=CheckScope.values, status__in=CheckStatus.values),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.check_name} {self.status}"
