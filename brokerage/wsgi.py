"""The WSGI application: all HTTP goes here, at a quarter of what ASGI costs."""

import gc
import os

from django.core.wsgi import get_wsgi_application
from django.urls import get_resolver

from brokerage.admission import Admission

PLACES = 36
"""Requests served at once; the supervisor gives the server a few threads more, which only refuse."""

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "brokerage.settings.development")
application = Admission(get_wsgi_application(), PLACES)

# What every request needs is loaded before the first, and never looked through for garbage again.
_ = get_resolver().url_patterns
gc.collect()
gc.freeze()
