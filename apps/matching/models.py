"""The durable side of matching: the queue of commands, the journal of what was taken, the leader's epoch."""

from django.db import models
from django.db.models.functions import Now

from apps.events.models import NextId


class OrderCommand(models.Model):
    """One act waiting for the runner of its matching partition, in id order; the runner deletes it."""

    command_id = models.BigIntegerField(primary_key=True, editable=False, db_default=NextId())
    matching_partition = models.SmallIntegerField(db_default=0)
    kind = models.CharField(max_length=10)
    symbol = models.CharField(max_length=10)
    instrument_id = models.IntegerField()
    order_id = models.BigIntegerField(db_default=0)
    orig_order_id = models.BigIntegerField(db_default=0)
    account_id = models.BigIntegerField(db_default=0)
    user_id = models.BigIntegerField(db_default=0)
    side = models.CharField(max_length=4, db_default="")
    order_type = models.CharField(max_length=10, db_default="")
    time_in_force = models.CharField(max_length=10, db_default="")
    price_units = models.BigIntegerField(db_default=0)
    stop_price_units = models.BigIntegerField(db_default=0)
    trail = models.BigIntegerField(db_default=0)
    quantity = models.IntegerField(db_default=0)
    flags = models.SmallIntegerField(db_default=0)
    argument = models.SmallIntegerField(db_default=0)
    client_order_id = models.CharField(max_length=128, db_default="")
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        db_table = "order_commands"
        indexes = [
            models.Index("order_id", name="order_commands_order"),
            models.Index("orig_order_id", name="order_commands_orig"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.order_id or self.orig_order_id}"


class MatchingJournal(models.Model):
    """Every command a leader took, in sequence, exactly as the engine was given it."""

    pk = models.CompositePrimaryKey("matching_partition", "seq")
    matching_partition = models.SmallIntegerField()
    seq = models.BigIntegerField()
    epoch = models.IntegerField()
    command_id = models.BigIntegerField()
    kind = models.CharField(max_length=10)
    symbol = models.CharField(max_length=10)
    order_id = models.BigIntegerField()
    record = models.BinaryField()
    recorded_at = models.DateTimeField(db_default=Now())

    class Meta:
        db_table = "matching_journal"
        verbose_name_plural = "matching journal"

    def __str__(self) -> str:
        return f"{self.matching_partition}/{self.seq} {self.kind}"


class MatchingLeader(models.Model):
    """Which leader writes for a matching partition: its epoch fences every batch, its seq counts them."""

    matching_partition = models.SmallIntegerField(primary_key=True)
    epoch = models.IntegerField(db_default=0)
    seq = models.BigIntegerField(db_default=0)
    host = models.CharField(max_length=120, db_default="")
    pid = models.IntegerField(db_default=0)
    backend_pid = models.IntegerField(db_default=0)
    acquired_at = models.DateTimeField(null=True)
    began_seq = models.BigIntegerField(db_default=0)
    stuck = models.SmallIntegerField(db_default=0)
    attempting = models.BigIntegerField(null=True)
    hash_seq = models.BigIntegerField(db_default=0)
    state_hash = models.CharField(max_length=16, db_default="")

    class Meta:
        db_table = "matching_leader"

    def __str__(self) -> str:
        return f"partition {self.matching_partition} epoch {self.epoch} seq {self.seq}"


class MatchingStandby(models.Model):
    """Where a standby listens for its leader's heart, and how far it has followed the journal."""

    pk = models.CompositePrimaryKey("matching_partition", "host", "port")
    matching_partition = models.SmallIntegerField()
    host = models.CharField(max_length=45)
    port = models.IntegerField()
    backend_pid = models.IntegerField()
    seq = models.BigIntegerField()
    seen_at = models.DateTimeField(db_default=Now())

    class Meta:
        db_table = "matching_standbys"

    def __str__(self) -> str:
        return f"{self.matching_partition}: {self.host}:{self.port} at seq {self.seq}"
