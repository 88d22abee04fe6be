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
            if bone.block_no != block_no + 1:
                findings.missing(block_no + 1, bone.block_no - 1, bone.sealed_at)
                its_hash = None
            for text in _wrong(bone, row[8:], its_hash):
                findings.block(What.BLOCK_ALTERED, text, bone.block_no, bone.sealed_at)
            yield bone
            block_no, its_hash = bone.block_no, bone.hash


def _wrong(bone: Bone, content: tuple[bytes, bytes, bytes], its_hash: bytes | None) -> Iterator[str]:
    places, leaves, previous_hash = content
    if its_hash is not None and previous_hash != its_hash:
        yield f"it does not follow from block {bone.block_no - 1}: one of the two was altered"
    made = block_hash(bone.block_no, bone.total, places, leaves, bone.heads, previous_hash, bone.sealed_at)
    if made != bone.hash:
        yield "its hash is not that of its content"
