"""Settings of the test suite, on the PostgreSQL and Valkey that it starts itself."""

from apps.primitives.failpoints import failpoints_arm
from brokerage.env import environment_read
from brokerage.settings.base import settings_for

_environment = environment_read("testing")
failpoints_arm(_environment.failpoints, _environment.failpoint_hits)
globals().update(settings_for(_environment))
DEBUG = False
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
