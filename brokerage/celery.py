"""The Celery application: matching workers host the runners, default workers do the day's work."""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "brokerage.settings.development")

app = Celery("openbell")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@app.on_after_configure.connect
def _runner_step_add(sender: Celery, **_: object) -> None:
    from brokerage.wiring import runner_step

    sender.steps["worker"].add(runner_step())
