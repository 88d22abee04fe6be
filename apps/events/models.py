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


class EventBlock(models.Model):
    """Events sealed together, in the form ``apps/events/chain.py`` fixes; blocks are only ever added.

    ``total`` counts the events of the chain up to and with this block. What its places say is repeated in
    columns, so that the blocks of some events are found.
    """

    block_no = models.BigIntegerField(primary_key=True)
    events = models.IntegerField()
    total = models.BigIntegerField()
    first_xact_id = models.BigIntegerField()
    first_event_id = models.BigIntegerField()
    last_xact_id = models.BigIntegerField()
    last_event_id = models.BigIntegerField()
    lowest_event_id = models.BigIntegerField()
    highest_event_id = models.BigIntegerField()
    places = models.BinaryField()
    leaves = models.BinaryField()
    heads = models.BinaryField()
    previous_hash = models.BinaryField()
    hash = models.BinaryField()
    sealed_at = models.DateTimeField()

    class Meta:
        db_table = "event_blocks"
        ordering = ["-block_no"]

    def __str__(self) -> str:
        return f"block {self.block_no}"


class EventArchive(models.Model):
    """One day or month of events that left its table for a file; ``low`` and ``high`` bound its ids.

    ``high`` is included. The row is written in the transaction that takes the records out of the table.
    """

    name = models.CharField(max_length=40, primary_key=True)
    low = models.BigIntegerField()
    high = models.BigIntegerField()
    events = models.BigIntegerField()
    first_block = models.BigIntegerField()
    last_block = models.BigIntegerField()
    sha256 = models.CharField(max_length=64)
    dropped_at = models.DateTimeField(db_default=Now())

    class Meta:
        db_table = "event_archives"
        ordering = ["-low"]

    def __str__(self) -> str:
        return self.name


class RelayState(models.Model):
    """What a sink tells of itself: how long its other end has been away, and how much it has sent.

    The outage is over when the cursor has moved since ``told_at``, or when nothing was told for a while.
    """

    sink = models.CharField(max_length=40, primary_key=True)
    problem = models.TextField(blank=True)
    away_at = models.DateTimeField(null=True)
    told_at = models.DateTimeField(null=True)
    sent_bytes = models.BigIntegerField(default=0)

    class Meta:
        db_table = "relay_states"

    def __str__(self) -> str:
        return f"{self.sink}: {self.problem or 'no problem'}"


class SubscriptionPosition(models.Model):
    """How far a subscription has handled one Kafka topic partition; moved with the effect it stands for.

    ``next_offset`` is empty before it has begun; where it ``may_jump`` a person has allowed it to go on with
    what Kafka has; ``newest_id`` is the highest event id handled; ``tries``
    counts the failures of the event at ``next_offset``; ``end_offset`` is the end as of ``looked_at``.
    """

    subscription = models.CharField(max_length=40)
    topic = models.CharField(max_length=60)
    topic_partition = models.IntegerField()
    next_offset = models.BigIntegerField(null=True)
    may_jump = models.BooleanField(db_default=False)
    newest_id = models.BigIntegerField(default=0)
    tries = models.IntegerField(default=0)
    problem = models.CharField(max_length=300, blank=True, default="")
    end_offset = models.BigIntegerField(default=0)
    looked_at = models.DateTimeField(db_default=Now())
    updated_at = models.DateTimeField(db_default=Now())

    class Meta:
        db_table = "subscription_positions"
        constraints = [
            models.UniqueConstraint(
                fields=["subscription", "topic", "topic_partition"], name="subscription_positions_once"
            )
        ]

    def __str__(self) -> str:
        return f"{self.subscription}: {self.topic} partition {self.topic_partition}"


class SubscriptionEvent(models.Model):
    """An event that a subscription has handled of late, so that its repetition is known as one."""

    pk = models.CompositePrimaryKey("position_id", "event_id")
    position_id = models.BigIntegerField()
    event_id = models.BigIntegerField()

    class Meta:
        db_table = "subscription_events"

    def __str__(self) -> str:
        return f"{self.position_id}: {self.event_id}"


class QuarantinedMessage(models.Model):
    """A message that a subscription could not handle, kept whole, with what was tried and why it failed."""

    subscription = models.CharField(max_length=40)
    topic = models.CharField(max_length=60)
    topic_partition = models.IntegerField()
    topic_offset = models.BigIntegerField()
    event_id = models.BigIntegerField(null=True)
    value = models.BinaryField()
    problem = models.TextField()
    tries = models.IntegerField()
    quarantined_at = models.DateTimeField(db_default=Now())

    class Meta:
        db_table = "subscription_quarantine"
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["subscription", "topic", "topic_partition", "topic_offset"],
                name="subscription_quarantine_once",
            )
        ]

    def __str__(self) -> str:
        return (
            f"{self.subscription}: {self.topic} partition {self.topic_partition} offset {self.topic_offset}"
        )
