"""What an account owns and what it cost, and where its shares first came from."""

from django.db import models
from django.db.models.functions import Now

from apps.accounts.models import Account
from apps.events.models import NextId


class Position(models.Model):
    """Shares of one symbol in one account; written by ``positions_apply`` only."""

    position_id = models.BigAutoField(primary_key=True)
    account = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="+", db_index=False)
    user_id = models.BigIntegerField()
    symbol = models.CharField(max_length=10)
    quantity = models.BigIntegerField()
    average_cost = models.DecimalField(max_digits=10, decimal_places=4)
    market_value = models.DecimalField(max_digits=15, decimal_places=2, null=True)
    unrealized_pnl = models.DecimalField(max_digits=15, decimal_places=2, null=True)
    realized_pnl = models.DecimalField(max_digits=15, decimal_places=2, db_default=0)
    updated_at = models.DateTimeField(db_default=Now())

    class Meta:
        db_table = "positions"
        indexes = [
            models.Index("account_id", name="idx_account"),
            models.Index("symbol", name="idx_symbol"),
        ]
        constraints = [
            models.UniqueConstraint(fields=["account", "symbol"], name="positions_account_symbol"),
            models.CheckConstraint(
                name="positions_not_short",
                condition=models.Q(quantity__gte=0) & models.Q(average_cost__gte=0),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.quantity} {self.symbol}"


class ShareIssue(models.Model):
    """Shares that entered (or left) the system by another way than a trade; append-only.

    Positions of a symbol always sum to what was issued.
    """

    issue_id = models.BigIntegerField(primary_key=True, editable=False, db_default=NextId())
    account = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="+")
    user_id = models.BigIntegerField()
    symbol = models.CharField(max_length=10)
    quantity = models.BigIntegerField()
    unit_cost = models.DecimalField(max_digits=10, decimal_places=4)
    reason = models.CharField(max_length=200)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        db_table = "share_issues"

    def __str__(self) -> str:
        return f"{self.quantity} {self.symbol}"
