"""Whatever is changed in an export is found, however well its manifest was made to fit."""

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from django.core.management import call_command

from apps.audit import checking
from apps.audit.checking import export_check
from apps.audit.exports import MANIFEST, Sealed, lines_read, sealed_line, sealed_read
from apps.events.anchors import AnchorFiles, anchor_newest
from apps.events.chain import places_read
from apps.primitives.errors import Invalid
from apps.primitives.ids import Kind, public_id, public_id_decode
from tests.audit.exported import anchors, manifest_follow, rewritten, value_number, values

pytestmark = [pytest.mark.usefixtures("database", "exactly"), pytest.mark.made_up_events]


@pytest.fixture
def exactly(monkeypatch: pytest.MonkeyPatch) -> None:
    """The events are younger than what is allowed for between a clock and the next, and a seal."""
    monkeypatch.setattr(checking, "CLOCK", timedelta(0))
    monkeypatch.setattr(checking, "SEALING", timedelta(0))


def file_of(folder: Path, kind: str) -> Path:
    (path,) = folder.glob(f"{kind}-*")
    return path


def blocks_of(folder: Path) -> list[Sealed]:
    return [sealed_read(line) for line in lines_read(file_of(folder, "blocks"))]


def cut_out(folder: Path, numbers: set[int]) -> None:
    """Take blocks and all their events out, and make the manifest fit."""
    blocks = blocks_of(folder)
    gone = {n for block in blocks if block.block_no in numbers for n in places_read(block.places)[1]}
    kept = [block for block in blocks if block.block_no not in numbers]
    rewritten(file_of(folder, "blocks"), [sealed_line(block) for block in kept])
    rewritten(file_of(folder, "events"), [v for v in values(folder) if value_number(v) not in gone])
    manifest_follow(folder)


def next_id(public: str) -> bytes:
    number = public_id_decode(Kind.EVENT, UUID(public))
    return str(public_id(Kind.EVENT, number + 1)).encode()


@pytest.mark.parametrize("with_manifest", [False, True])
@pytest.mark.parametrize("how", ["change", "delete", "insert", "block"])
def test_whatever_is_altered_in_an_export_is_found(made: Path, how: str, with_manifest: bool) -> None:
    (path,) = made.glob("blocks-*" if how == "block" else "events-*")
    lines = list(lines_read(path))
    if how == "change":
        lines[30] = lines[30].replace(b'"n": ', b'"n": 9')
    elif how == "delete":
        del lines[30]
    elif how == "insert":
        forged = json.loads(lines[30])
        lines.insert(31, lines[30].replace(forged["event_id"].encode(), next_id(forged["event_id"])))
    else:
        block = json.loads(lines[3])
        lines[3] = lines[3].replace(block["leaves"][:8].encode(), b"00000000")
    rewritten(path, lines)
    if with_manifest:
        manifest_follow(made)
    assert export_check(made, anchors()).problem_count > 0
    with pytest.raises(SystemExit) as ended:
        call_command("audit_export", check=made)
    assert ended.value.code == 1


def test_a_chain_that_was_made_anew_for_an_export_is_not_the_one_that_was_anchored(
    made: Path, tmp_path: Path
) -> None:
    files = AnchorFiles(tmp_path / "anchors")
    newest = anchor_newest()
    assert newest is not None
    files(newest)
    call_command("audit_export", check=made, anchors=tmp_path / "anchors")
    assert export_check(made, {newest.block_no: replace(newest, hash=bytes(32))}).problems == [
        f"block {newest.block_no} is not the one that was anchored"
    ]


def test_a_file_too_many_and_a_file_too_few_are_found(made: Path) -> None:
    (made / "strange.txt").write_text("hello")
    next(made.glob("events-*")).unlink()
    problems = export_check(made, {}).problems
    assert problems[0] == "strange.txt is not in the manifest"
    assert "cannot be read" in problems[1]


@pytest.mark.parametrize("numbers", [{4}, {1}, {9}, {1, 9}, {3, 4, 5}])
def test_blocks_that_are_gone_with_their_events_are_missed(made: Path, numbers: set[int]) -> None:
    cut_out(made, numbers)
    assert export_check(made, {}).problem_count > 0


@pytest.mark.parametrize("number", [1, 4, 9])
def test_a_block_that_was_anchored_is_missed_whatever_the_manifest_says(made: Path, number: int) -> None:
    """The forger names the first and the last block that are left."""
    anchor = anchors().popitem()[1]
    block = next(block for block in blocks_of(made) if block.block_no == number)
    ids = places_read(block.places)[1]
    its = replace(anchor, block_no=number, hash=block.hash, event_id=ids[-1], sealed_at=block.sealed_at)
    assert export_check(made, {number: its}).problems == []
    cut_out(made, {number})
    left = [checking.block_facts(block) for block in blocks_of(made)]
    manifest_follow(made, first_block=left[0], last_block=left[-1])
    assert (
        f"block {number} was anchored and is not in the export" in export_check(made, {number: its}).problems
    )


def test_an_event_told_twice_does_not_stand_for_one_that_is_gone(made: Path) -> None:
    told = values(made)
    rewritten(file_of(made, "events"), told[:30] + told[31:])
    more = made / "events-2099-01-01.jsonl.gz"
    rewritten(more, [told[40]])
    files = json.loads((made / MANIFEST).read_text())["files"]
    manifest_follow(made, files=[*files, {**files[0], "name": more.name}])
    problems = export_check(made, anchors()).problems
    assert f"{more.name}: event {value_number(told[40])} is out of order" in problems
    assert "1 events of the period were sealed and are not in the export" in problems


def test_an_export_of_everybody_cannot_pass_as_one_of_a_single_person(made: Path) -> None:
    cut_out(made, {4})
    manifest_follow(made, user_id=3)
    assert any("is somebody else's" in text for text in export_check(made, {}).problems)


def test_an_export_does_not_end_after_it_was_made(made: Path) -> None:
    manifest_follow(made, made_at="2026-01-08T00:00:00.000000Z")
    assert export_check(made, {}).problems == ["the period ends after the export was made"]


def test_a_block_that_does_not_count_on_from_the_last_is_named(made: Path) -> None:
    lines = list(lines_read(file_of(made, "blocks")))
    lines[5] = sealed_line(sealed_read(lines[5])._replace(total=1))
    rewritten(file_of(made, "blocks"), lines)
    manifest_follow(made)
    assert any(text.startswith("block 6 counts 1 events") for text in export_check(made, {}).problems)


@pytest.mark.parametrize(
    "line",
    [b"", b"{}", b"[]", b"no JSON", b'{"block_no": 1}', "changed", "short", "naive", "huge", "text"],
)
def test_a_line_that_is_no_block_is_told_in_words(made: Path, line: bytes | str) -> None:
    lines = list(lines_read(file_of(made, "blocks")))
    changes: dict[str, dict[str, Any]] = {
        "changed": {"more": 1},
        "short": {"leaves": ""},
        "naive": {"sealed_at": "2026-01-08T10:00:00"},
        "huge": {"total": 2**64 - 1},
        "text": {"block_no": "1"},
    }
    if isinstance(line, str):
        line = json.dumps({**json.loads(lines[0]), **changes[line]}).encode()
    rewritten(file_of(made, "blocks"), [line, *lines])
    manifest_follow(made)
    (problem,) = export_check(made, anchors()).problems
    assert "line 1 is no block" in problem


@pytest.mark.parametrize(
    "facts",
    [
        {"files": [{"name": "../made/manifest.json", "lines": 1, "sha256": ""}]},
        {"files": [{}]},
        {"period": ["now", "then"]},
        {"form": "other"},
        {"user_id": "3"},
    ],
)
def test_a_manifest_that_cannot_be_gone_by_is_refused(made: Path, facts: dict[str, Any]) -> None:
    told = json.loads((made / MANIFEST).read_text())
    (made / MANIFEST).write_text(json.dumps({**told, **facts}))
    with pytest.raises(Invalid, match="is no export"):
        export_check(made, {})
