"""Settings of a developer's machine and of the demo that ``make run`` starts."""

from brokerage.env import environment_read
from brokerage.settings.base import settings_for

globals().update(settings_for(environment_read("development")))
DEBUG = False
