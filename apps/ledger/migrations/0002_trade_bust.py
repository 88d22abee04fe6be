"""Name the ledger lines that take a trade back."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("ledger", "0001_initial")]

    operations = [
        migrations.AlterField(
            model_name="transaction",
            name="transaction_type",
            field=models.CharField(
                choices=[
                    ("DEPOSIT", "Deposit"),
                    ("WITHDRAWAL", "Withdrawal"),
                    ("TRADE_BUY", "Trade Buy"),
                    ("TRADE_SELL", "Trade Sell"),
                    ("TRADE_BUST", "Trade Bust"),
                    ("DIVIDEND", "Dividend"),
                    ("FEE", "Fee"),
                ],
                max_length=20,
            ),
        ),
    ]
