"""What surveillance found, what it measures against, who belongs together, and what it remembers."""

from decimal import Decimal

from django.core.exceptions import ValidationError
from django.db import models
from django.db.models.functions import Now

from apps.accounts.models import Account, account_number
from apps.events.models import NextId
from apps.surveillance.limits import Kind, limit_problem


class FindingStatus(models.TextChoices):
    OPEN = "OPEN"
    DISMISSED = "DISMISSED"


KINDS = [(kind.value, kind.value.replace("_", " ").capitalize()) for kind in Kind]


class SurveillanceFinding(models.Model):
    """A pattern that a rule found, for people to judge; while it is open, more of the same adds to it.

    ``measured`` and ``limits`` are figures as text by name, as of its latest addition; ``event_ids`` are the
    newest events that show it; ``times`` counts the additions; ``other_account_id`` is 0 for one account.
    """

    finding_id = models.BigIntegerField(primary_key=True, editable=False, db_default=NextId())
    kind = models.CharField(max_length=20, choices=KINDS)
    account_id = models.BigIntegerField()
    other_account_id = models.BigIntegerField(default=0)
    symbol = models.CharField(max_length=10)
    status = models.CharField(max_length=10, choices=FindingStatus.choices, default=FindingStatus.OPEN)
    times = models.IntegerField(default=1)
    first_seen_at = models.DateTimeField()
    last_seen_at = models.DateTimeField()
    measured = models.JSONField()
    limits = models.JSONField()
    event_ids = models.JSONField()
    found_at = models.DateTimeField(db_default=Now())
    dismissed_at = models.DateTimeField(null=True)
    dismissed_by_id = models.BigIntegerField(null=True)
    reason = models.CharField(max_length=200, blank=True, default="")

    class Meta:
        db_table = "surveillance_findings"
        ordering = ["-finding_id"]
        constraints = [
            models.UniqueConstraint(
                fields=["kind", "account_id", "other_account_id", "symbol"],
                condition=models.Q(status="OPEN"),
                name="surveillance_findings_open_once",
            ),
            models.CheckConstraint(
                name="surveillance_findings_known",
                condition=models.Q(kind__in=[kind.value for kind in Kind], status__in=FindingStatus.values),
            ),
            models.CheckConstraint(
                name="surveillance_findings_dismissed",
                condition=models.Q(status="OPEN", dismissed_at__isnull=True)
                | (models.Q(status="DISMISSED", dismissed_at__isnull=False) & ~models.Q(reason="")),
            ),
        ]
        indexes = [
            models.Index(
                "kind", "account_id", "other_account_id", "symbol", name="surveillance_findings_whom"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} of {self.whom} in {self.symbol}"

    @property
    def whom(self) -> str:
        others = [self.account_id, self.other_account_id] if self.other_account_id else [self.account_id]
        return " and ".join(account_number(number) for number in others)


class SurveillanceLimit(models.Model):
    """One limit of one rule, in force from an instant; without a row its default counts."""

    kind = models.CharField(max_length=20, choices=KINDS)
    name = models.CharField(max_length=20)
    value = models.DecimalField(max_digits=14, decimal_places=2)
    effective_from = models.DateTimeField(db_default=Now())

    class Meta:
        db_table = "surveillance_limits"
        ordering = ["kind", "name", "-effective_from"]
        constraints = [
            models.UniqueConstraint(
                fields=["kind", "name", "effective_from"], name="surveillance_limits_once"
            ),
            models.CheckConstraint(
                name="surveillance_limits_sane", condition=models.Q(value__gte=0, value__lte=10**9)
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.name} {self.value}"

    def clean(self) -> None:
        """Refuse what is no limit of the rule, or out of its bounds."""
        if problem := limit_problem(self.kind, self.name, self.value or Decimal(0)):
            raise ValidationError(problem)


class BeneficialOwner(models.Model):
    """Who really owns an account, where that is not only the person who signs in: one name, one owner."""

    account = models.OneToOneField(Account, primary_key=True, on_delete=models.PROTECT)
    owner = models.CharField(max_length=80)

    class Meta:
        db_table = "surveillance_owners"
        ordering = ["owner"]

    def __str__(self) -> str:
        return f"{self.account_id}: {self.owner}"


class WatchedTradeRow(models.Model):
    """A trade as surveillance heard of it, one side after the other, in whichever order they came."""

    trade_id = models.BigIntegerField(primary_key=True)
    symbol = models.CharField(max_length=10)
    price = models.DecimalField(max_digits=10, decimal_places=4)
    quantity = models.IntegerField()
    executed_at = models.DateTimeField()
    buy_account_id = models.BigIntegerField(null=True)
    buy_event_id = models.BigIntegerField(null=True)
    sell_account_id = models.BigIntegerField(null=True)
    sell_event_id = models.BigIntegerField(null=True)

    class Meta:
        db_table = "surveillance_trades"
        verbose_name = "watched trade"
        constraints = [
            models.CheckConstraint(
                name="surveillance_trades_positive",
                condition=models.Q(price__gt=0, price__lt=1_000_000, quantity__gt=0),
            ),
        ]
        indexes = [
            models.Index("buy_account_id", "symbol", "executed_at", name="surveillance_trades_buys"),
            models.Index("sell_account_id", "symbol", "executed_at", name="surveillance_trades_sells"),
            models.Index("executed_at", name="surveillance_trades_at"),
        ]

    def __str__(self) -> str:
        return f"{self.symbol} {self.quantity} at {self.price}"


class WithdrawalRow(models.Model):
    """An order that its owner took back soon after its entry."""

    order_id = models.BigIntegerField(primary_key=True)
    account_id = models.BigIntegerField()
    symbol = models.CharField(max_length=10)
    side = models.CharField(max_length=4)
    price = models.DecimalField(max_digits=10, decimal_places=4)
    quantity = models.IntegerField()
    entered_at = models.DateTimeField()
    withdrawn_at = models.DateTimeField()
    event_id = models.BigIntegerField()

    class Meta:
        db_table = "surveillance_withdrawals"
        verbose_name = "withdrawn order"
        constraints = [
            models.CheckConstraint(
                name="surveillance_withdrawals_sane",
                condition=models.Q(
                    price__gt=0, price__lt=1_000_000, quantity__gt=0, side__in=["BUY", "SELL"]
                ),
            ),
        ]
        indexes = [
            models.Index("account_id", "symbol", "withdrawn_at", name="surveillance_withdrawals_whose"),
            models.Index("withdrawn_at", name="surveillance_withdrawals_at"),
        ]

    def __str__(self) -> str:
        return f"{self.symbol} {self.side} {self.quantity} at {self.price}"


class MessageCountRow(models.Model):
    """What an account sent and traded in one symbol in one window."""

    pk = models.CompositePrimaryKey("account_id", "symbol", "window_s", "begins_at")
    account_id = models.BigIntegerField()
    symbol = models.CharField(max_length=10)
    window_s = models.IntegerField()
    begins_at = models.DateTimeField()
    messages = models.BigIntegerField(default=0)
    trades = models.BigIntegerField(default=0)
    volume_ordered = models.BigIntegerField(default=0)
    volume_traded = models.BigIntegerField(default=0)
    last_at = models.DateTimeField()
    last_event_id = models.BigIntegerField()

    class Meta:
        db_table = "surveillance_messages"

    def __str__(self) -> str:
        return f"{self.account_id} {self.symbol} {self.begins_at}"
