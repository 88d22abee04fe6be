"""What the fork server has imported before it forks: Django, the engine and everything a process needs."""

import importlib
import os

import django

MODULES = (
    "apps.trades.bootstep",
    "apps.trades.worker",
    "brokerage.celery",
    "brokerage.urls",
    "brokerage.wsgi",
    "tests.support.processes",
)

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "brokerage.settings.testing")
try:
    django.setup()
    for name in MODULES:
        importlib.import_module(name)
    selectors = importlib.import_module("apps.instruments.selectors")
except ImportError as error:
    # The fork server would go on in silence without the module, and every child would import it anew.
    raise RuntimeError("what the processes need cannot be imported") from error

# The exchange's calendar takes a third of a second to build.
selectors.settlement_date(selectors.market_session().trade_date)
