"""Kills the matching leader a thousand times under load and counts what was lost.

``python -m tests.faults.kills``: leaders die by SIGKILL at random moments and at random failpoints. The count
is kept in ``var/faults/kills.json`` and goes on where it ended, so that a thousand kills may come in pieces.
Any finding ends the run with exit code 1.
"""

import argparse
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from brokerage.env import ROOT
from brokerage.supervisor.postgres import TEST_SETTINGS as POSTGRES_SETTINGS
from brokerage.supervisor.postgres import EmbeddedPostgres
from brokerage.supervisor.valkey import TEST_SETTINGS as VALKEY_SETTINGS
from brokerage.supervisor.valkey import EmbeddedValkey

REPORT = ROOT / "var" / "faults" / "kills.json"
PIECE = 25
"""Kills between two looks at the books."""

DYING_SHARE = 0.5
"""How many of the runners carry a failpoint that will kill them; the others are killed from outside."""

DYING_PATIENCE_S = 1.5
"""How long one that carries a point may take to reach it."""

TRADERS = 3


@dataclass
class Tally:
    """What has been counted so far."""

    kills: int = 0
    at_failpoints: int = 0
    acknowledged: int = 0
    trades: int = 0
    acknowledged_lost: int = 0
    duplicate_fills: int = 0
    stale_epoch_rows: int = 0
    reconcile_problems: int = 0
    seconds: float = 0.0

    @property
    def is_clean(self) -> bool:
        found = (self.acknowledged_lost, self.duplicate_fills, self.stale_epoch_rows, self.reconcile_problems)
        return not any(found)


def tally_read() -> Tally:
    """Return what former pieces have counted."""
    try:
        known = json.loads(REPORT.read_text())
    except FileNotFoundError:
        return Tally()
    return Tally(**{name: known[name] for name in asdict(Tally()) if name in known})


def tally_write(tally: Tally, seed: int) -> None:
    REPORT.parent.mkdir(parents=True, exist_ok=True)
    REPORT.write_text(json.dumps({**asdict(tally), "seed": seed}, indent=2) + "\n")


def platform_settle(folder: Path, postgres: EmbeddedPostgres, valkey: EmbeddedValkey) -> None:
    """Point Django at servers of our own, and make tables and a market in them."""
    os.environ.update(
        DJANGO_SETTINGS_MODULE="brokerage.settings.testing",
        DATABASE_URL=postgres.url("super"),
        MARKETDATA_URL=postgres.url("super", "openbell_marketdata"),
        REDIS_URL=valkey.url(0),
        OPENBELL_VAR=str(folder),
    )
    import django
    from django.core.management import call_command

    django.setup()
    call_command("migrate", verbosity=0)
    call_command("migrate", database="marketdata", verbosity=0)
    call_command("partitions_ensure", verbosity=0)


class Ring:
    """A leader and a standby, replaced as they die, with traders who never stop."""

    def __init__(self, chance: random.Random) -> None:
        from decimal import Decimal

        from apps.primitives.failpoints import POINTS
        from tests.support.builders import market_open, trader_open
        from tests.support.house import House

        market_open({"AAPL": Decimal("100.00")})
        self.traders = [
            trader_open(cash="900000000.00", shares={"AAPL": 5_000_000}, account_type="CASH")
            for _ in range(TRADERS)
        ]
        self.chance = chance
        self.points = [name for name in POINTS if name.startswith(("runner.", "booking.", "standby."))]
        self.house = House()
        self.runners: dict[Any, bool] = {}

    def runner_start(self) -> None:
        """Start one more, which may carry the point at which it will die."""
        dies = self.chance.random() < DYING_SHARE
        points = f"{self.chance.choice(self.points)}=kill@{self.chance.randint(1, 10)}" if dies else ""
        self.runners[self.house.runner(failpoints=points)] = dies

    def kill_one(self, tally: Tally) -> None:
        """Wait until a leader has died, by itself at its point or, after a random while, by our hand."""
        while len(self.runners) < 2:
            self.runner_start()
        patience_s = DYING_PATIENCE_S if any(self.runners.values()) else self.chance.uniform(0.05, 0.8)
        deadline = time.monotonic() + patience_s
        while time.monotonic() < deadline and all(child.is_alive for child in self.runners):
            time.sleep(0.005)
        self._leader_kill()
        for child in [child for child in self.runners if not child.is_alive]:
            code = child.exit_code()
            assert code == -signal.SIGKILL, f"it ended with {code}:\n{child.log[-4000:]}"
            tally.kills += 1
            tally.at_failpoints += self.runners.pop(child)
            child.log_path.unlink()

    def _leader_kill(self) -> None:
        if not all(child.is_alive for child in self.runners):
            return
        from tests.support.house import until

        def leader() -> Any:
            if not all(child.is_alive for child in self.runners):
                return True
            now = self.house.leader_now()
            return next((child for child in self.runners if now and child.pid == now[0]), None)

        found = until(leader, "one of them leads", 60)
        if found is not True:
            self.runners[found] = False
            found.kill()

    def piece(self, tally: Tally, kills: int, seed: int) -> None:
        """Kill so many leaders under load, then look at the books."""
        from tests.support.house import Load

        until_kills = tally.kills + kills
        with Load(self.house, self.traders, seed, pause_s=0.02):
            while tally.kills < until_kills:
                self.kill_one(tally)
        for child in list(self.runners):
            child.kill()
            del self.runners[child]
        last = self.house.leader()
        self.house.drained(120)
        self.count(tally)
        last.stop()

    def count(self, tally: Tally) -> None:
        """Count everything that must not be there; all of it since this run's beginning."""
        from tests.support.books import books_problems

        house = self.house
        tally.acknowledged_lost += len(house.lost())
        contradictions = house.contradictions()
        tally.duplicate_fills += sum(what == "trade twice" for what, *_ in contradictions)
        tally.stale_epoch_rows += sum(what != "trade twice" for what, *_ in contradictions)
        problems = books_problems()
        tally.reconcile_problems += len(problems)
        sys.stderr.writelines(f"{problem}\n" for problem in [*contradictions, *problems])


def pieces_run(tally: Tally, target: int, seed: int) -> None:
    """Kill until there have been ``target`` in all, or until something was found."""
    from apps.trades.models import Trade

    ring = Ring(random.Random(seed))
    before = (tally.acknowledged, tally.trades, tally.seconds)
    started = time.monotonic()
    number = 0
    while tally.kills < target and tally.is_clean:
        number += 1
        ring.piece(tally, min(PIECE, target - tally.kills), seed + number * TRADERS)
        tally.acknowledged = before[0] + len(ring.house.acknowledged)
        tally.trades = before[1] + Trade.objects.count()
        tally.seconds = round(before[2] + time.monotonic() - started, 1)
        tally_write(tally, seed)
        print(json.dumps(asdict(tally)), flush=True)  # noqa: T201


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=1_000, help="in all, with those of former pieces")
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--anew", action="store_true", help="forget the former pieces")
    asked = parser.parse_args()
    tally = Tally() if asked.anew else tally_read()
    print(f"seed {asked.seed}", flush=True)  # noqa: T201
    folder = Path(tempfile.mkdtemp(prefix="openbell-kills-"))
    try:
        with (
            EmbeddedPostgres(folder / "postgres", settings=POSTGRES_SETTINGS) as postgres,
            EmbeddedValkey(folder / "valkey", settings=VALKEY_SETTINGS) as valkey,
        ):
            platform_settle(folder, postgres, valkey)
            pieces_run(tally, asked.kills, asked.seed)
    finally:
        if tally.is_clean:
            shutil.rmtree(folder, ignore_errors=True)
        else:
            print(f"the database and the logs are kept in {folder}")  # noqa: T201
    return 0 if tally.is_clean else 1


if __name__ == "__main__":
    sys.exit(main())
