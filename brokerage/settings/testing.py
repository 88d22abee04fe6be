"""Settings of the test suite, on the PostgreSQL and Valkey that it starts itself."""

from brokerage.env import environment_read
from brokerage.settings.base import settings_for

globals().update(settings_for(environment_read("testing")))
DEBUG = False
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
