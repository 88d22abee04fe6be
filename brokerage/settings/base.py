"""What every deployment shares."""

from typing import Any

from brokerage.env import ROOT, Environment
from brokerage.settings.parts.celery import celery_settings
from brokerage.settings.parts.databases import database_settings
from brokerage.settings.parts.logs import log_settings
from brokerage.settings.parts.redis import redis_settings
from brokerage.settings.parts.rest import REST_SETTINGS
from brokerage.settings.parts.security import security_settings
from brokerage.settings.parts.unfold import UNFOLD_SETTINGS

APPS = [
    "unfold",
    "unfold.contrib.filters",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "rest_framework",
    "drf_spectacular",
    "channels",
    "template_partials",
    "csp",
    "brokerage",
    "apps.primitives",
    "apps.events",
    "apps.accounts",
    "apps.instruments",
    "apps.access",
    "apps.matching",
    "apps.ledger",
    "apps.positions",
    "apps.marketdata",
    "apps.risk",
    "apps.orders",
    "apps.trades",
    "apps.operations",
    "apps.audit",
    "apps.surveillance",
    "apps.api",
    "apps.streaming",
    "apps.web",
    "apps.demo",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "brokerage.middleware.StaffTimeoutsMiddleware",
    "brokerage.middleware.OutageMiddleware",
    "brokerage.middleware.ActingMiddleware",
]

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [ROOT / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]


def settings_for(env: Environment) -> dict[str, Any]:
    """Return all settings that follow from the environment; a deployment then overrides a few."""
    return {
        "SECRET_KEY": env.secret_key,
        "ALLOWED_HOSTS": list(env.allowed_hosts),
        "CSRF_TRUSTED_ORIGINS": [env.public_url],
        "INSTALLED_APPS": APPS,
        "MIDDLEWARE": MIDDLEWARE,
        "ROOT_URLCONF": "brokerage.urls",
        "WSGI_APPLICATION": "brokerage.wsgi.application",
        "ASGI_APPLICATION": "brokerage.asgi.application",
        "TEMPLATES": TEMPLATES,
        "AUTH_USER_MODEL": "accounts.User",
        "DEFAULT_AUTO_FIELD": "django.db.models.BigAutoField",
        "APPEND_SLASH": False,
        "USE_TZ": True,
        "TIME_ZONE": "UTC",
        "LANGUAGE_CODE": "en-gb",
        "FORMAT_MODULE_PATH": "brokerage.formats",
        "LOGIN_URL": "/login",
        "LOGIN_REDIRECT_URL": "/",
        "LOGOUT_REDIRECT_URL": "/login",
        "STATIC_URL": "/static/",
        "STATIC_ROOT": env.var / "static",
        "STATICFILES_DIRS": [ROOT / "static"],
        "STORAGES": {
            "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
            "staticfiles": {"BACKEND": "apps.web.storage.TerminalStaticStorage"},
        },
        "OPENBELL_VAR": env.var,
        "MATCHING_SNAPSHOT_DIR": env.snapshot_dir,
        "AUDIT_ANCHOR_DIR": env.anchor_dir,
        "AUDIT_ARCHIVE_DIR": env.archive_dir,
        "MARKET_CALENDAR": env.market_calendar,
        "MARKETDATA_QUOTES_DAYS": env.quotes_kept_days,
        "PRICE_BANDS": env.price_bands_are_on,
        "PUBLIC_URL": env.public_url,
        "METRICS_TOKEN": env.metrics_token,
        "CLIENT_ADDRESS_HEADER": env.client_address_header,
        "KAFKA_BOOTSTRAP_SERVERS": list(env.kafka_bootstrap_servers),
        "KAFKA_SECURITY": dict(env.kafka_security),
        "MATCHING_HEARTBEAT_HOST": env.heartbeat_host,
        **env.matching,
        **database_settings(env),
        **redis_settings(env),
        **celery_settings(env),
        **security_settings(env),
        **log_settings(env),
        **REST_SETTINGS,
        **UNFOLD_SETTINGS,
    }
