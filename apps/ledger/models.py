"""Who owes what: the append-only double-entry ledger, in the specification's ``transactions`` table."""

from django.db import models
from django.db.models.functions import Now

from apps.accounts.models import Account
from apps.events.models import NextId
from apps.primitives.partitions import PartitionedTable

PARTITIONED = [PartitionedTable("transactions", "transaction_id", append_only=True)]


class TransactionType(models.TextChoices):
    DEPOSIT = "DEPOSIT"
    WITHDRAWAL = "WITHDRAWAL"
    TRADE_BUY = "TRADE_BUY"
    TRADE_SELL = "TRADE_SELL"
    TRADE_BUST = "TRADE_BUST"
    DIVIDEND = "DIVIDEND"
    FEE = "FEE"


class Transaction(models.Model):
    """One line of a journal entry; the lines of one ``entry_id`` sum to zero per currency."""

    transaction_id = models.BigIntegerField(primary_key=True, editable=False, db_default=NextId())
    entry_id = models.BigIntegerField()
    account = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="+", db_index=False)
    user_id = models.BigIntegerField()
    transaction_type = models.CharField(max_length=20, choices=TransactionType.choices)
    currency = models.CharField(max_length=3, db_default="USD")
    amount = models.DecimalField(max_digits=15, decimal_places=2)
    balance_after = models.DecimalField(max_digits=15, decimal_places=2, null=True)
    reference_id = models.BigIntegerField(null=True)
    description = models.TextField(null=True)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        db_table = "transactions"
        indexes = [
            models.Index("account_id", models.F("created_at").desc(), name="idx_account_time"),
            models.Index("transaction_type", models.F("created_at").desc(), name="idx_type"),
        ]

    def __str__(self) -> str:
        return f"{self.transaction_type} {self.amount}"
