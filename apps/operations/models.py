"""When it is final: which settlement steps have been done, and for whom."""

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
