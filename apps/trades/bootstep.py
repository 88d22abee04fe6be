"""The runner's place in Celery: a bootstep of the matching worker, imported before Django is set up."""

import logging
import os
import threading
from typing import Any

import psycopg
from celery import bootsteps
from django.conf import settings

logger = logging.getLogger(__name__)

QUEUE = "matching"
EXIT_CRASHED = 70
SESSION_GONE = (None, "57P01", "57P05")
"""SQL states: the connection was lost, or ended by a standby or for being idle."""


class RunnerStep(bootsteps.StartStopStep):
    """Starts one runner thread a matching partition in workers that consume the ``matching`` queue.

    The loop is no broker message, so visibility time-outs and redelivery cannot touch it. Crash-only: an
    error on a runner ends the whole process at once, and the supervisor starts another.
    """

    def __init__(self, worker: Any, **options: Any) -> None:
        super().__init__(worker, **options)
        self.stopping = threading.Event()
        self.threads: list[threading.Thread] = []

    def include_if(self, worker: Any) -> bool:
        return QUEUE in worker.app.amqp.queues.consume_from

    def start(self, worker: Any) -> None:
        for matching_partition in settings.MATCHING_PARTITIONS:
            thread = threading.Thread(
                target=self._run, args=(matching_partition,), name=f"runner-{matching_partition}", daemon=True
            )
            thread.start()
            self.threads.append(thread)

    def stop(self, worker: Any) -> None:
        self.stopping.set()
        for thread in self.threads:
            thread.join(timeout=3)

    def terminate(self, parent: Any) -> None:
        self.stop(parent)

    def _run(self, matching_partition: int) -> None:
        try:
            from apps.trades.worker import runner_make

            runner_make(matching_partition, self.stopping).run()
        except BaseException as error:
            ending = f"the runner of matching partition {matching_partition} ends its process"
            if isinstance(error, psycopg.OperationalError) and error.sqlstate in SESSION_GONE:
                # Whoever ended the session has said why; where the runner stood just then tells nothing.
                logger.error("%s, its session is gone: %s", ending, str(error).strip())  # noqa: TRY400
            else:
                logger.exception(ending)
            logging.shutdown()
            os._exit(EXIT_CRASHED)
