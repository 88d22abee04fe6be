"""Settings of a real deployment: values come from the environment, and a missing one stops the start."""

from brokerage.env import environment_read
from brokerage.settings.base import settings_for

globals().update(settings_for(environment_read("production")))
DEBUG = False
SECURE_HSTS_SECONDS = 31_536_000
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
