"""The back office's view of the ledger: by day, to read; a mistake is corrected by another entry."""

from django.contrib import admin

from apps.events.backoffice import DayAdmin
from apps.ledger.models import Transaction


@admin.register(Transaction)
class TransactionAdmin(DayAdmin):
    list_display = (
        "transaction_id",
        "created_at",
        "account_id",
        "transaction_type",
        "amount",
        "currency",
        "balance_after",
        "reference_id",
    )
    list_filter = ("transaction_type",)
    search_numbers = ("entry_id", "account_id", "reference_id")
    search_help_text = "Transaction id, entry id, account id or reference, whole"
