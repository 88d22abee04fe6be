"""What the tests of exports share: asking for one, reading it, and forging it."""

import gzip
import hashlib
import json
from pathlib import Path
from typing import Any
from uuid import UUID

from apps.audit.exports import MANIFEST, lines_read, value_id
from apps.audit.services.export import Wanted, events_begin
from apps.events.anchors import Anchor, anchor_newest
from apps.primitives.ids import Kind, public_id_decode
from tests.support.history import db_now


def wanted(form: str = "events", **more: Any) -> Wanted:
    """Return what asks for everything up to now, unless told otherwise."""
    period = {"first": events_begin(), "until": db_now()}
    return Wanted(**{"form": form, "reporter": "OPEN1" if form == "cat" else "", **period, **more})


def values(folder: Path, kind: str = "events") -> list[bytes]:
    return [line for path in sorted(folder.glob(f"{kind}-*.gz")) for line in lines_read(path)]


def anchors() -> dict[int, Anchor]:
    """Return the anchor of the chain's tip by its block."""
    newest = anchor_newest()
    assert newest is not None
    return {newest.block_no: newest}


def rewritten(path: Path, lines: list[bytes]) -> None:
    path.write_bytes(gzip.compress(b"".join(line + b"\n" for line in lines), mtime=0))


def manifest_follow(folder: Path, **facts: Any) -> None:
    """Do what a forger would: make the manifest fit the files, and say what is told besides."""
    manifest = {**json.loads((folder / MANIFEST).read_text()), **facts}
    for file in manifest["files"]:
        data = (folder / file["name"]).read_bytes()
        file["sha256"], file["lines"] = hashlib.sha256(data).hexdigest(), gzip.decompress(data).count(b"\n")
    (folder / MANIFEST).write_text(json.dumps(manifest))


def value_number(value: bytes) -> int:
    return public_id_decode(Kind.EVENT, UUID(value_id(value)))
