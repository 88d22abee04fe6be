"""Who trades: the person who signs in, and the account that holds the money."""

from collections.abc import Collection
from typing import Any

from django.contrib.auth.hashers import is_password_usable
from django.contrib.auth.models import AbstractUser
from django.db import connection, models, transaction
from django.db.models.functions import Now

from apps.events.facts import EventRow
from apps.events.origins import origin_current
from apps.events.services import event_append
from apps.events.types import EventType
from apps.primitives.clock import iso, utc_now


class User(AbstractUser):
    """A person or a machine that can sign in; ``user_id`` everywhere is this row's id."""

    id = models.BigAutoField(primary_key=True)
    password_reason = ""
    """Why a new password is given, for the record; no column."""

    class Meta:
        db_table = "users"

    def __str__(self) -> str:
        return self.username

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Store the person together with the event of a new password or of a new superuser.

        Every form and command that gives a password ends here; a password that is only hashed anew, as
        Django does when somebody signs in, is none.
        """
        was_new = self._state.adding
        with transaction.atomic():
            is_given = not was_new and self._password_is_given(kwargs.get("update_fields"))
            super().save(*args, **kwargs)
            if was_new and self.is_superuser:
                self._tell(EventType.SUPERUSER_CREATED, {})
            elif is_given:
                self._tell(EventType.PASSWORD_CHANGED, {"reason": self.password_reason})

    def _password_is_given(self, update_fields: Collection[str] | None) -> bool:
        """Return whether this save stores another password, or takes the only one away."""
        if "password" not in (update_fields or ("password",)):
            return False
        given = getattr(self, "_password", None) is not None
        if given or self.has_usable_password():
            return given
        stored = User.objects.filter(pk=self.pk).values_list("password", flat=True).first()
        return stored is not None and is_password_usable(stored)

    def _tell(self, event_type: EventType, more: dict[str, str]) -> None:
        data = {"username": self.username, "usable": self.has_usable_password(), **more}
        row = EventRow(
            event_type, self.pk, {**data, "at": iso(utc_now())}, metadata=origin_current().metadata()
        )
        with connection.cursor() as cursor:
            event_append(cursor, [row])


class AccountType(models.TextChoices):
    CASH = "CASH"
    MARGIN = "MARGIN"
    HOUSE = "HOUSE"


class AccountStatus(models.TextChoices):
    ACTIVE = "ACTIVE"
    SUSPENDED = "SUSPENDED"
    CLOSED = "CLOSED"


class Account(models.Model):
    """One customer's (or the house's) cash account; every balance change adds one to ``version``."""

    account_id = models.BigAutoField(primary_key=True)
    user = models.OneToOneField(User, on_delete=models.PROTECT, related_name="account")
    account_type = models.CharField(max_length=20, choices=AccountType.choices)
    currency = models.CharField(max_length=3, db_default="USD")
    cash_balance = models.DecimalField(max_digits=15, decimal_places=2, db_default=0)
    unsettled_cash = models.DecimalField(max_digits=15, decimal_places=2, db_default=0)
    buying_power = models.DecimalField(max_digits=15, decimal_places=2, db_default=0)
    margin_used = models.DecimalField(max_digits=15, decimal_places=2, db_default=0)
    account_status = models.CharField(
        max_length=20, choices=AccountStatus.choices, db_default=AccountStatus.ACTIVE
    )
    simulated = models.BooleanField(db_default=False)
    event_seq = models.BigIntegerField(db_default=0)
    created_at = models.DateTimeField(db_default=Now())
    updated_at = models.DateTimeField(db_default=Now())
    version = models.IntegerField(db_default=0)

    class Meta:
        db_table = "accounts"
        indexes = [
            models.Index("user_id", name="idx_user"),
            models.Index("account_status", name="idx_status"),
        ]
        constraints = [
            models.CheckConstraint(
                name="accounts_cash_not_negative",
                condition=~models.Q(account_type="CASH") | models.Q(cash_balance__gte=0),
            ),
            models.CheckConstraint(
                name="accounts_type_known",
                condition=models.Q(account_type__in=["CASH", "MARGIN", "HOUSE"]),
            ),
            models.CheckConstraint(
                name="accounts_status_known",
                condition=models.Q(account_status__in=["ACTIVE", "SUSPENDED", "CLOSED"]),
            ),
        ]

    def __str__(self) -> str:
        return self.account_number

    @property
    def account_number(self) -> str:
        return account_number(self.account_id)


def account_number(account_id: int) -> str:
    """Return the number a customer reads out on the telephone."""
    return f"OB{account_id:08d}"
