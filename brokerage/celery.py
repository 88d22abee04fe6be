"""The Celery application: matching workers host the runners, default workers do the day's work."""

import os

from celery import Celery

from brokerage.wiring import runner_step

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "brokerage.settings.development")

app = Celery("openbell")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
app.steps["worker"].add(runner_step())
