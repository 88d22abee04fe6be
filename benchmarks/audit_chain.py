"""The hash chain measured: what sealing costs, how fast verifying is, and whether tamperings are located.

On a PostgreSQL of its own, durable settings on. EVENTS events are sealed through the relay as the platform
has it, then verified SAMPLES times with a process for each core. After that TAMPERINGS random acts of
somebody with the whole server (changes of every column, deletions, insertions, swaps, altered and deleted
blocks, tails cut with and without their blocks, a chain made anew) are done in rounds of as many as can be
told apart; each must be named by what verifying finds. Anchors lie in a folder, as in production.
"""

import contextlib
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

import psycopg

from benchmarks.report import report_write
from brokerage.env import ROOT
from brokerage.supervisor.postgres import EmbeddedPostgres

SEED = 20261125
EVENTS = int(os.environ.get("EVENTS", "1000000"))
SAMPLES = int(os.environ.get("SAMPLES", "5"))
TAMPERINGS = int(os.environ.get("TAMPERINGS", "10000"))
PROCESSES = min(os.cpu_count() or 1, 4)
LARGE, SMALL = 20_000, 240
"""Records in the table of many acts a round, and of one act a round."""

SINGLES_SHARE = 0.02
ROUND_ACTS = 500

# Real events are some six hundred bytes: a placed order with its origin, and fills with the system's.
FILL_SQL = """
INSERT INTO events (topic, event_type, user_id, account_id, account_seq, data, metadata)
SELECT 'orders-events', 'ORDER_PLACED', n %% 3000, 100000 + n %% 3000, CASE WHEN n %% 3 > 0 THEN n END,
    jsonb_build_object('order_id', (456313865198632961 + n)::text, 'client_order_id', 'client-' || n,
        'symbol', 'AAPL', 'side', CASE n %% 2 WHEN 0 THEN 'BUY' ELSE 'SELL' END, 'order_type', 'LIMIT',
        'time_in_force', 'DAY', 'price', 150.25 + (n %% 100) * 0.01, 'quantity', 100, 'status', 'NEW'),
    '{"ip_address": "192.168.1.1", "user_agent": "TradingApp/1.0", "session_id": "session123"}'
FROM generate_series(%(first)s::bigint, %(last)s::bigint) AS n
"""


def figures_measure(
    events: int = EVENTS, samples: int = SAMPLES, tamperings: int = TAMPERINGS
) -> dict[str, float]:
    """Return the figures, measured on a server that is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="openbell-audit-") as folder_name:
        folder = Path(folder_name)
        folder.chmod(0o755)
        with EmbeddedPostgres(folder / "postgres") as server:
            environment = {
                **os.environ,
                "DATABASE_URL": server.url("super"),
                "MARKETDATA_URL": server.url("super", "openbell_marketdata"),
                "REDIS_URL": "redis://127.0.0.1:1/0",
                "OPENBELL_VAR": str(folder / "var"),
                "DJANGO_SETTINGS_MODULE": "brokerage.settings.testing",
            }
            for command in (["migrate"], ["migrate", "--database=marketdata"], ["partitions_ensure"]):
                whole = [sys.executable, "manage.py", *command, "--verbosity=0"]
                subprocess.run(whole, cwd=ROOT, env=environment, check=True, stdout=subprocess.DEVNULL)
            command = [sys.executable, "-m", "benchmarks.audit_chain"]
            command += ["measure", str(events), str(samples), str(tamperings)]
            done = subprocess.run(
                command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True, check=True
            )
    figures: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return figures


def _measure(events: int, samples: int, tamperings: int) -> dict[str, float]:
    from django.conf import settings

    url = settings.DATABASES["default"]
    dsn = psycopg.conninfo.make_conninfo(
        host=url["HOST"], port=url["PORT"], user=url["USER"], password=url["PASSWORD"], dbname=url["NAME"]
    )
    with psycopg.connect(dsn, autocommit=True) as session:
        figures = {**_sealing(session, events), **_verifying(session, events, samples)}
        return {**figures, **_tampering(session, tamperings, Path(settings.AUDIT_ANCHOR_DIR))}


def _fill(session: "psycopg.Connection[Any]", count: int, transaction_events: int = 1_000) -> None:
    for first in range(0, count, transaction_events):
        last = min(first + transaction_events, count) - 1
        session.execute(FILL_SQL, {"first": first, "last": last})


def _seal(batch_events: int) -> tuple[int, float]:
    """Seal all there is; returns the events and the seconds of our own processor time."""
    from apps.events.relay import Relay
    from apps.events.sealing import SINK, ChainSink

    relay = Relay(SINK, ChainSink(), batch_events_max=batch_events)
    count, started = 0, time.process_time()
    while done := relay.step():
        count += done
    return count, time.process_time() - started


def _sealing(session: "psycopg.Connection[Any]", events: int) -> dict[str, float]:
    from apps.events.sealing import BATCH_EVENTS

    _fill(session, events)
    session.execute("VACUUM ANALYZE events")
    count, seconds = _seal(BATCH_EVENTS)
    assert count == events, f"{count} of {events} events were sealed"
    return {"events": events, "sealing_cpu_us_per_event": seconds / count * 1e6}


def _verifying(session: "psycopg.Connection[Any]", events: int, samples: int) -> dict[str, float]:
    from apps.audit.services.verification import audit_verify

    speeds, ours, servers = [], [], []
    for _ in range(samples):
        our, server, started = _our_cpu_s(), _server_cpu_s(session), time.perf_counter()
        verdict = audit_verify(processes=PROCESSES)
        speeds.append(events / (time.perf_counter() - started))
        ours.append((_our_cpu_s() - our) / events * 1e6)
        servers.append((_server_cpu_s(session) - server) / events * 1e6)
        assert verdict.is_whole and verdict.outcome.events == events, verdict.in_order[:3]
    print("  verify_events_per_s:", ", ".join(f"{speed:,.0f}" for speed in speeds), file=sys.stderr)
    return {
        "verify_events_per_s": median(speeds),
        "verify_processes": PROCESSES,
        "verify_cpu_us_per_event": median(ours),
        "verify_server_cpu_us_per_event": median(servers),
    }


def _our_cpu_s() -> float:
    """Return the processor time of this process and of those it has waited for."""
    own, others = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return own.ru_utime + own.ru_stime + others.ru_utime + others.ru_stime


def _server_cpu_s(session: "psycopg.Connection[Any]") -> float:
    """Return the processor time of the server: of its sessions that live, and of those that have ended."""
    postmaster = int(_stat(session.info.backend_pid)[1])
    ticks = sum(int(number) for number in _stat(postmaster)[11:15])
    for path in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            fields = _stat(int(path.name))
            if int(fields[1]) == postmaster:
                ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def _stat(process_id: int) -> list[str]:
    """Return what the kernel tells of a process, from its state on; the second is its parent."""
    return Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()


def _tampering(session: "psycopg.Connection[Any]", tamperings: int, folder: Path) -> dict[str, float]:
    rng = random.Random(SEED)
    singles = int(tamperings * SINGLES_SHARE)
    tried, located, rounds = 0, 0, 0
    for count, act in ((LARGE, _round_many), (SMALL, _round_single)):
        undo = _log_make(session, count, folder)
        wanted = tamperings - singles if act is _round_many else singles
        while wanted > 0:
            here, found = act(session, rng, min(wanted, ROUND_ACTS), folder)
            tried, located, wanted, rounds = tried + here, located + found, wanted - here, rounds + 1
            undo.put_back()
        undo.drop()
    return {"tamperings_tried": tried, "tamperings_located": located, "tampering_rounds": rounds}


def _log_make(session: "psycopg.Connection[Any]", count: int, folder: Path) -> Any:
    """Make a log of so many events in eighty blocks, anchored at two thirds and at its end."""
    from apps.events.anchors import AnchorFiles, anchor_newest
    from tests.support.tampering import Undo, unguarded

    with unguarded(session):
        session.execute("TRUNCATE events, event_blocks, relay_cursors")
    for path in folder.glob("*"):
        path.unlink()
    for part in (2 * count // 3, count - 2 * count // 3):
        _fill(session, part, 40)
        _seal(count // 80)
        anchor = anchor_newest()
        assert anchor is not None
        AnchorFiles(folder)(anchor)
    return Undo(session)


def _findings(folder: Path) -> Any:
    from apps.audit.services.verification import audit_verify

    verdict = audit_verify(anchor_folder=folder, kept_max=100_000)
    return verdict.findings.kept


def _located(acts: list[Any], folder: Path) -> tuple[int, int]:
    from tests.support.tampering import Located

    located = Located(_findings(folder))
    missed = [act for act in acts if not located.names(act)]
    for act in missed[:5]:
        print(f"  NOT LOCATED: {act}", file=sys.stderr)
    return len(acts), len(acts) - len(missed)


def _round_many(
    session: "psycopg.Connection[Any]", rng: random.Random, count: int, folder: Path
) -> tuple[int, int]:
    from tests.support.tampering import Tamperer

    return _located(Tamperer(session, rng).acts(count, block_share=0.01), folder)


def _round_single(
    session: "psycopg.Connection[Any]", rng: random.Random, count: int, folder: Path
) -> tuple[int, int]:
    from tests.support.tampering import Tamperer, chain_remake, tail_cut

    kind = rng.randrange(4)
    block_no = rng.randrange(1, 79)
    if kind == 0:
        act = tail_cut(session, block_no, with_blocks=True)
    elif kind == 1:
        act = tail_cut(session, block_no, with_blocks=False)
    elif kind == 2:
        act = chain_remake(session, block_no)
    else:
        session.execute("ALTER TABLE events DISABLE TRIGGER ALL")
        act = Tamperer(session, rng).acts(1, block_share=0)[0]
        session.execute("ALTER TABLE events ENABLE TRIGGER ALL")
    return _located([act], folder)


def main() -> None:
    """Measure and report; as ``measure`` inside the environment of the server made for it."""
    if sys.argv[1:2] == ["measure"]:
        import django

        django.setup()
        print(json.dumps(_measure(*(int(number) for number in sys.argv[2:5]))))
        return
    figures = figures_measure()
    report_write("audit_chain", seed=SEED, samples=SAMPLES, figures=figures, ratios={})


if __name__ == "__main__":
    main()
