"""The production runner in the test's own thread, one step at a time."""

import threading
import time
from types import TracebackType
from typing import Any

from django.conf import settings
from django.db import connection

from apps.marketdata.tape import AUCTION_INTERVAL_S
from apps.matching.leader import lock_try
from apps.matching.recovery import one_reading
from apps.matching.standby import Promotion, Standby
from apps.trades.worker import runner_make


def matching_url() -> str:
    """Return the address of this test process's own database."""
    host, port = connection.settings_dict["HOST"], connection.settings_dict["PORT"]
    user, password = connection.settings_dict["USER"], connection.settings_dict["PASSWORD"]
    return f"postgresql://{user}:{password}@{host}:{port}/{connection.settings_dict['NAME']}"


class Exchange:
    """A runner that leads partition 0 and takes what is queued when it is told to."""

    def __init__(self) -> None:
        settings.MATCHING_DATABASE_URL = matching_url()
        self.runner = runner_make(0, threading.Event())
        self.connection = self.runner.ports.connect()

    def __enter__(self) -> "Exchange":
        standby = Standby(0, self.runner.ports, self.connection)
        try:
            self.runner.begin(_promoted(standby))
        except BaseException:
            # The partition's lock must not outlive the failure, or the next test waits for it.
            self.connection.close()
            raise
        return self

    def rebuilt(self) -> Any:
        """Return an engine whose books are rebuilt from the database, as the next leader's would be."""
        with one_reading(self.connection) as cursor:
            return self.runner.ports.recover(cursor, 0).engine

    def restart(self) -> None:
        """Throw the engine away and go on with one that is rebuilt."""
        self.runner.engine = self.rebuilt()

    def run(self) -> int:
        """Take batches until the queue is empty; return how many."""
        batches = 0
        while self.runner.step(self.connection):
            batches += 1
            assert batches < 10_000, "commands stay queued for ever"
        return batches

    def quiet_down(self) -> None:
        """Wait as an idle runner does until the tape has told all that its intervals held back."""
        deadline = time.monotonic() + AUCTION_INTERVAL_S + 0.1
        while time.monotonic() < deadline:
            self.runner.ports.wait(0.02)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.runner.heart.stop()
        self.connection.close()


def _promoted(standby: Standby) -> Promotion:
    """Wait until the session of the test before has ended, and lead."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        if lock_try(standby.connection, standby.matching_partition):
            return standby.promote()
        time.sleep(0.005)
    raise TimeoutError("another session leads the partition")
