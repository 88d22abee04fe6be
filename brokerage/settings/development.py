"""Settings of a developer's machine and of the demo that ``make run`` starts."""

from apps.primitives.failpoints import failpoints_arm
from brokerage.env import environment_read
from brokerage.settings.base import settings_for

_environment = environment_read("development")
failpoints_arm(_environment.failpoints, _environment.failpoint_hits)
globals().update(settings_for(_environment))
DEBUG = False
