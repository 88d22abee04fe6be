"""The edges of a stretch: the blocks after it, up to one that an anchor vouches for, follow from its last."""

from collections.abc import Iterator
from typing import Any

from apps.audit.findings import Findings, What
from apps.audit.skeleton import Bone
from apps.events.chain import block_hash

PAGE_BLOCKS = 16
"""Blocks read together with their leaves, of half a megabyte at most each."""

CONTENT_SQL = f"""
SELECT block_no, events, total, lowest_event_id, highest_event_id, heads, hash, sealed_at,
       places, leaves, previous_hash
FROM event_blocks WHERE block_no > %s AND block_no <= %s ORDER BY block_no LIMIT {PAGE_BLOCKS}
"""

NEXT_SQL = "SELECT min(block_no) FROM event_blocks WHERE block_no > %s"


def blocks_after(
    session: Any, block_no: int, its_hash: bytes | None, until_no: int, findings: Findings
) -> Iterator[Bone]:
    """Yield the blocks after one, the next at least and those up to ``until_no``, each held against the one
    before it; their records are not read.

    Without them nobody would see that the last blocks of a stretch were taken away or made anew.
    """
    next_no = session.execute(NEXT_SQL, (block_no,)).fetchone()[0]
    if next_no is None:
        return
    until_no = max(until_no, next_no)
    while rows := session.execute(CONTENT_SQL, (block_no, until_no), binary=True).fetchall():
        for row in rows:
            bone = Bone(*row[:8])
            for what, text, number in _wrong(bone, row[8:], block_no, its_hash):
                findings.block(what, text, number, bone.sealed_at)
            yield bone
            block_no, its_hash = bone.block_no, bone.hash


def _wrong(
    bone: Bone, content: tuple[bytes, bytes, bytes], before_no: int, its_hash: bytes | None
) -> Iterator[tuple[What, str, int]]:
    places, leaves, previous_hash = content
    if bone.block_no != before_no + 1:
        text = f"blocks {before_no + 1} to {bone.block_no - 1} are not there"
        yield What.BLOCK_MISSING, text, before_no + 1
    elif its_hash is not None and previous_hash != its_hash:
        text = f"it does not follow from block {before_no}: one of the two was altered"
        yield What.BLOCK_ALTERED, text, bone.block_no
    made = block_hash(bone.block_no, bone.total, places, leaves, bone.heads, previous_hash, bone.sealed_at)
    if made != bone.hash:
        yield What.BLOCK_ALTERED, "its hash is not that of its content", bone.block_no
