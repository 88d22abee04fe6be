"""What monitoring reads: the state of the whole platform, gathered from its stores when it is asked for.

Nothing is counted in a process, so it does not matter which one answers, nor how many there are.
"""

import logging
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import DatabaseError, connection, connections
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from redis.exceptions import RedisError

from apps.events.selectors import relay_lag_list, subscription_lag_list
from apps.marketdata.quotes_recorder import LOCK_CLASS as RECORDER_LOCK_CLASS
from apps.matching.leader import LOCK_CLASS
from apps.matching.snapshots import snapshots_list
from apps.operations.models import CheckStatus, ReconcileResult
from apps.orders.services.view import view_marker
from apps.primitives.clock import utc_now
from apps.primitives.ids import id_time

logger = logging.getLogger(__name__)

CONTENT_TYPE = CONTENT_TYPE_LATEST
QUEUE_COUNT_MAX = 100_000

_QUEUE_SQL = f"""
SELECT matching_partition, count(*), min(command_id)
FROM (SELECT matching_partition, command_id FROM order_commands LIMIT {QUEUE_COUNT_MAX}) AS waiting
GROUP BY matching_partition
"""

_LEADERS_SQL = f"""
SELECT l.matching_partition, l.epoch, l.seq, EXISTS (
    SELECT 1 FROM pg_locks k WHERE k.locktype = 'advisory' AND k.granted AND k.pid = l.backend_pid
      AND k.classid = {LOCK_CLASS} AND k.objid = l.matching_partition)
FROM matching_leader l ORDER BY l.matching_partition
"""

_RECORDER_SQL = f"""
SELECT EXISTS (SELECT 1 FROM pg_locks k JOIN pg_database d ON d.oid = k.database
    WHERE k.locktype = 'advisory' AND k.granted AND k.classid = {RECORDER_LOCK_CLASS}
      AND d.datname = current_database())::int
"""

_STANDBYS_SQL = """
SELECT s.matching_partition, s.host || ':' || s.port, greatest(l.seq - s.seq, 0), s.seen_at
FROM matching_standbys s JOIN matching_leader l USING (matching_partition)
ORDER BY s.matching_partition, s.host, s.port
"""


Gather = Callable[[datetime], Iterable[Metric]]
"""One part of what is told; the instant is now."""


def metrics_text(more: Iterable[Gather] = ()) -> bytes:
    """Return everything in Prometheus' text format; ``more`` is what higher storeys tell of themselves."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Platform(more))  # type: ignore[arg-type]
    return generate_latest(registry)


class _Platform:
    """Gathers each part by itself: one that cannot be read is reported, and the others are still told."""

    def __init__(self, more: Iterable[Gather]) -> None:
        self.more = tuple(more)

    def collect(self) -> Iterable[Metric]:
        failed = _gauge("openbell_scrape_failed", "Whether a part could not be read.", "part")
        for gather in (*_PARTS, *self.more):
            part = gather.__name__.lstrip("_")
            try:
                yield from list(gather(utc_now()))
                failed.add_metric([part], 0)
            except (DatabaseError, RedisError, OSError) as error:
                logger.warning("the metrics of %s cannot be read: %s", part, error)
                failed.add_metric([part], 1)
        yield failed


def _gauge(name: str, text: str, *labels: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, text, labels=labels)


def _seconds(since: datetime | None, now: datetime) -> float:
    return max((now - since) / timedelta(seconds=1), 0.0) if since else 0.0


def _rows(sql: str) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return cursor.fetchall()


def _reconcile(now: datetime) -> Iterator[Metric]:
    labels = ("check", "scope")
    broken = _gauge("openbell_reconcile_broken", "Whether a check found rows that break it.", *labels)
    failed = _gauge("openbell_reconcile_failed", "Whether a check could not look.", *labels)
    age = _gauge("openbell_reconcile_age_seconds", "How long ago a check last ran.", *labels)
    cost = _gauge("openbell_reconcile_duration_seconds", "How long a check last took.", *labels)
    for row in ReconcileResult.objects.order_by("check_name", "scope"):
        names = [row.check_name, row.scope]
        broken.add_metric(names, row.status == CheckStatus.BROKEN)
        failed.add_metric(names, row.status == CheckStatus.FAILED)
        age.add_metric(names, _seconds(row.checked_at, now))
        cost.add_metric(names, row.duration_ms / 1000)
    yield from (broken, failed, age, cost)


def _relay(now: datetime) -> Iterator[Metric]:
    waiting = _gauge("openbell_relay_waiting_events", "Committed events a sink has not been told.", "sink")
    oldest = _gauge("openbell_relay_oldest_seconds", "Age of the oldest of them.", "sink")
    for lag in relay_lag_list():
        waiting.add_metric([lag.sink], lag.waiting)
        oldest.add_metric([lag.sink], _seconds(lag.oldest_at, now))
    yield from (waiting, oldest)


def _quotes(now: datetime) -> Iterator[Metric]:
    """Tell whether somebody records quotes: without a recorder only they are lost."""
    present = _gauge("openbell_quotes_recorder_present", "Whether somebody records the tape's quotes.")
    with connections["marketdata"].cursor() as cursor:
        cursor.execute(_RECORDER_SQL)
        present.add_metric([], cursor.fetchone()[0])
    yield present


def _queue(now: datetime) -> Iterator[Metric]:
    length = _gauge("openbell_queue_commands", "Commands that wait to be matched.", "partition")
    oldest = _gauge("openbell_queue_oldest_seconds", "Age of the oldest of them.", "partition")
    found = {partition: (count, first) for partition, count, first in _rows(_QUEUE_SQL)}
    for partition in {*settings.MATCHING_PARTITIONS, *found}:
        count, first = found.get(partition, (0, None))
        length.add_metric([str(partition)], count)
        oldest.add_metric([str(partition)], _seconds(id_time(first) if first else None, now))
    yield from (length, oldest)


def _leaders(now: datetime) -> Iterator[Metric]:
    epoch = _gauge("openbell_leader_epoch", "The epoch of the partition's last leader.", "partition")
    seq = _gauge("openbell_leader_seq", "The last sequence that was committed.", "partition")
    leads = _gauge("openbell_leader_present", "Whether somebody holds the partition's lock.", "partition")
    for partition, its_epoch, its_seq, is_present in _rows(_LEADERS_SQL):
        epoch.add_metric([str(partition)], its_epoch)
        seq.add_metric([str(partition)], its_seq)
        leads.add_metric([str(partition)], is_present)
    yield from (epoch, seq, leads)


def _standbys(now: datetime) -> Iterator[Metric]:
    labels = ("partition", "standby")
    lag = _gauge("openbell_standby_lag_commands", "Commands a standby has yet to follow.", *labels)
    seen = _gauge("openbell_standby_seen_seconds", "How long ago a standby was heard of.", *labels)
    for partition, name, behind, seen_at in _rows(_STANDBYS_SQL):
        lag.add_metric([str(partition), name], behind)
        seen.add_metric([str(partition), name], _seconds(seen_at, now))
    yield from (lag, seen)


def _snapshots(now: datetime) -> Iterator[Metric]:
    """Tell of the snapshots on this machine; nothing where the runners are on another."""
    age = _gauge("openbell_snapshot_age_seconds", "Age of the newest snapshot on this machine.", "partition")
    for partition in settings.MATCHING_PARTITIONS:
        newest = next(iter(snapshots_list(settings.MATCHING_SNAPSHOT_DIR, partition)), None)
        if newest is not None:
            age.add_metric([str(partition)], max(now.timestamp() - newest.stat().st_mtime, 0.0))
    yield age


def _view(now: datetime) -> Iterator[Metric]:
    whole = _gauge("openbell_orders_view_present", "Whether Redis holds a whole view of the live orders.")
    whole.add_metric([], view_marker() is not None)
    yield whole


def _subscriptions(now: datetime) -> Iterator[Metric]:
    waiting = _gauge("openbell_subscription_waiting_messages", "Messages not handled yet.", "subscription")
    looked = _gauge("openbell_subscription_looked_seconds", "How long ago that was known.", "subscription")
    failing = _gauge("openbell_subscription_failing", "Topic partitions that do not go on.", "subscription")
    aside = _gauge("openbell_subscription_quarantined", "Messages that could not be handled.", "subscription")
    for lag in subscription_lag_list():
        names = [lag.subscription]
        waiting.add_metric(names, lag.waiting)
        looked.add_metric(names, _seconds(lag.looked_at, now))
        failing.add_metric(names, lag.failing)
        aside.add_metric(names, lag.quarantined)
    yield from (waiting, looked, failing, aside)


_PARTS: tuple[Gather, ...] = (
    _reconcile, _relay, _quotes, _queue, _leaders, _standbys, _snapshots, _view, _subscriptions,
)  # fmt: skip
