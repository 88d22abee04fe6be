"""The append-only fact table: audit log, outbox and account streams in one, and the relay's cursors."""

from django.db import models
from django.db.models.functions import Now

from apps.primitives.partitions import PartitionedTable

PARTITIONED = [PartitionedTable("events", "id", append_only=True)]


class NextId(models.Func):
    """The database's time-ordered id function as a column default."""

    function = "next_id"
    arity = 0
    output_field = models.BigIntegerField()


class Event(models.Model):
    """One fact, in the specification's event schema, with its place in commit order."""

    id = models.BigIntegerField(primary_key=True, editable=False, db_default=NextId())
    timestamp = models.DateTimeField(db_default=Now())
    topic = models.CharField(max_length=20)
    event_type = models.CharField(max_length=40)
    user_id = models.BigIntegerField()
    account_id = models.BigIntegerField(null=True)
    account_seq = models.BigIntegerField(null=True)
    data = models.JSONField()
    metadata = models.JSONField()

    class Meta:
        db_table = "events"
        ordering = ["-id"]
        indexes = [models.Index("account_id", "account_seq", name="events_account_stream")]

    def __str__(self) -> str:
        return f"{self.event_type} {self.id}"


class RelayCursor(models.Model):
    """How far one relay sink has read the events in commit order; stored with the sink's outcome."""

    sink = models.CharField(max_length=40, primary_key=True)
    stream_epoch = models.IntegerField(default=1)
    xact_id = models.BigIntegerField(default=0)
    event_id = models.BigIntegerField(default=0)
    system_identifier = models.CharField(max_length=24, blank=True)
    updated_at = models.DateTimeField(db_default=Now())

    class Meta:
        db_table = "relay_cursors"

    def __str__(self) -> str:
        return f"{self.sink} at {self.xact_id}/{self.event_id}"


class RelayDay(models.Model):
    """How many events of one day a sink was delivered in one epoch, counted with each move of its cursor."""

    pk = models.CompositePrimaryKey("sink", "stream_epoch", "day")
    sink = models.CharField(max_length=40)
    stream_epoch = models.IntegerField()
    day = models.DateField()
    delivered = models.BigIntegerField()

    class Meta:
        db_table = "relay_days"

    def __str__(self) -> str:
        return f"{self.sink} {self.day}: {self.delivered}"
