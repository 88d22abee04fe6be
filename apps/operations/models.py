"""When it is final, and which phase the market is in: steps done once, and each book's session."""

from django.db import models
from django.db.models.functions import Now


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


class BookSession(models.Model):
    """Whether a symbol's book was last told that the market is open; a staff halt is another matter."""

    symbol = models.CharField(max_length=10, primary_key=True)
    is_open = models.BooleanField()
    trade_date = models.DateField()
    changed_at = models.DateTimeField(db_default=Now())

    class Meta:
        db_table = "book_sessions"

    def __str__(self) -> str:
        return f"{self.symbol} {'open' if self.is_open else 'closed'}"
