"""Keys by which algorithms and apps sign in to the API."""

from django.db import models
from django.db.models.functions import Now

from apps.accounts.models import Account


class ApiKey(models.Model):
    """One key pair of an account; the secret is shown once and stored only as a hash."""

    key_id = models.CharField(max_length=32, primary_key=True)
    secret_hash = models.CharField(max_length=64)
    account = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="api_keys")
    label = models.CharField(max_length=80, blank=True, default="")
    created_at = models.DateTimeField(db_default=Now())
    revoked_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        db_table = "api_keys"
        verbose_name = "API key"

    def __str__(self) -> str:
        return self.key_id
