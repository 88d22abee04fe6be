"""The storeys: import contracts, and the foreign keys that import checkers cannot see."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from django.apps import apps
from django.core.management import call_command
from django.db import models

from tests.support.databases import DATABASES

ROOT = Path(__file__).resolve().parents[2]

STOREYS = (
    ("api", "web", "streaming", "demo"),
    ("audit", "surveillance"),
    ("operations",),
    ("trades",),
    ("orders",),
    ("risk",),
    ("ledger", "positions", "marketdata"),
    ("matching",),
    ("access",),
    ("accounts", "instruments"),
    ("events",),
    ("primitives",),
)
"""From the top down; siblings may not know one another."""

HEIGHT = {name: len(STOREYS) - level for level, names in enumerate(STOREYS) for name in names}
EDGES = STOREYS[0]
OURS = [model for model in apps.get_models(include_auto_created=False) if model._meta.app_label in HEIGHT]


def test_every_import_contract_is_kept() -> None:
    # In a process of its own: the linter sets up its logging, and with it would silence ours.
    linter = Path(sys.executable).with_name("lint-imports")
    kept = subprocess.run([linter, "--no-cache"], cwd=ROOT, capture_output=True, text=True)
    assert kept.returncode == 0, kept.stdout + kept.stderr


def test_the_contract_names_every_app() -> None:
    folders = {path.parent.name for path in (ROOT / "apps").glob("*/__init__.py")}
    assert folders == set(HEIGHT)
    contract = (ROOT / ".importlinter").read_text().split("[importlinter:contract:rooms]")[0]
    for names in STOREYS:
        assert " | ".join(f"apps.{name}" for name in names) in contract


def foreign_keys() -> list[tuple[str, str, str]]:
    """Return (app, app pointed to, field) of every relation between apps of ours."""
    return [
        (model._meta.app_label, field.related_model._meta.app_label, f"{model.__name__}.{field.name}")
        for model in OURS
        for field in model._meta.get_fields()
        if isinstance(field, models.ForeignKey | models.ManyToManyField) and field.related_model in OURS
    ]


def test_foreign_keys_go_down_the_storeys() -> None:
    wrong = [name for app, other, name in foreign_keys() if app != other and HEIGHT[app] <= HEIGHT[other]]
    assert wrong == []
    assert any(app != other for app, other, _ in foreign_keys()), "the test sees relations between apps"


def test_nobody_fetches_a_model_by_its_name() -> None:
    for path in (ROOT / "apps").rglob("*.py"):
        if "migrations" not in path.parts:
            assert not re.search(r"\bapps\.get_model\(", path.read_text()), path


def test_edges_hold_no_tables() -> None:
    assert [model.__name__ for model in OURS if model._meta.app_label in EDGES] == []


@pytest.mark.django_db(transaction=True, databases=DATABASES)
def test_no_migration_is_missing() -> None:
    call_command("makemigrations", check=True, dry_run=True, verbosity=0)
