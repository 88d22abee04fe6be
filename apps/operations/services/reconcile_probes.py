"""Whether it runs: somebody leads, the queue moves, events are delivered, standbys agree; each a query."""

from apps.matching.leader import LOCK_CLASS
from apps.operations.services.reconcile_checks import Check, Reads

QUEUE_S_MAX = 10
RELAY_S_MAX = 60
STANDBY_SEQS_MAX = 10_000

PROBES: tuple[Check, ...] = (
    Check(
        "I12.books",
        "no standby has found books other than its leader's in the last day",
        """
        SELECT id AS event_id, "timestamp", data
        FROM events
        WHERE id >= ((extract(epoch FROM clock_timestamp()) * 1000 - 1577836800000)::bigint - 86400000) << 21
          AND topic = 'risk-events' AND event_type = 'BOOKS_DIFFER'
        """,
        Reads.LIVE,
    ),
    Check(
        "I12.standby",
        "every standby that was seen in the last seconds follows its leader's journal",
        f"""
        SELECT s.matching_partition, s.host, s.port, s.seq, l.seq AS leader_seq, s.seen_at
        FROM matching_standbys s JOIN matching_leader l USING (matching_partition)
        WHERE s.seen_at > clock_timestamp() - interval '10 seconds' AND s.seq < l.seq - {STANDBY_SEQS_MAX}
        """,
        Reads.LIVE,
    ),
    Check(
        "I15.leader",
        "every matching partition has a leader that holds its lock",
        f"""
        SELECT l.matching_partition, l.epoch, l.host, l.pid, l.backend_pid, l.acquired_at
        FROM matching_leader l
        WHERE NOT EXISTS (
            SELECT 1 FROM pg_locks k
            WHERE k.locktype = 'advisory' AND k.granted AND k.pid = l.backend_pid
              AND k.classid = {LOCK_CLASS} AND k.objid = l.matching_partition)
        """,
        Reads.LIVE,
    ),
    Check(
        "I15.queue",
        f"no command has waited for more than {QUEUE_S_MAX} seconds",
        f"""
        SELECT matching_partition, count(*) AS waiting, min(created_at) AS oldest
        FROM order_commands
        WHERE command_id < ((extract(epoch FROM clock_timestamp()) * 1000 - 1577836800000)::bigint
                            - {QUEUE_S_MAX * 1000}) << 21
        GROUP BY matching_partition
        """,
        Reads.LIVE,
    ),
    Check(
        "I15.relay",
        f"no sink of the relay is more than {RELAY_S_MAX} seconds behind",
        f"""
        SELECT c.sink, c.updated_at AS moved_at, e.id AS event_id, e."timestamp" AS waiting_since
        FROM relay_cursors c CROSS JOIN LATERAL (
            SELECT id, "timestamp" FROM events
            WHERE id >= c.event_id - (600000::bigint << 21)
              AND (xact_id, id) > (c.xact_id::text::xid8, c.event_id)
            ORDER BY xact_id, id LIMIT 1) AS e
        WHERE e."timestamp" < clock_timestamp() - interval '{RELAY_S_MAX} seconds'
        """,
        Reads.LIVE,
    ),
)
