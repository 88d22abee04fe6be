"""What monitoring reads of the chain: how old its last block and, on this machine, its last anchor are."""

from collections.abc import Iterator
from datetime import datetime

from django.conf import settings
from prometheus_client.core import GaugeMetricFamily, Metric

from apps.events.models import EventBlock


def chain(now: datetime) -> Iterator[Metric]:
    """Tell of the last block; of anchors nothing where they are written on another machine."""
    blocks = GaugeMetricFamily("openbell_chain_blocks", "Blocks in which events are sealed.")
    age = GaugeMetricFamily("openbell_chain_block_age_seconds", "Age of the last block.")
    last = EventBlock.objects.order_by("-block_no").values_list("block_no", "sealed_at").first()
    blocks.add_metric([], last[0] if last else 0)
    if last:
        age.add_metric([], max((now - last[1]).total_seconds(), 0.0))
    yield from (blocks, age)
    anchored = GaugeMetricFamily("openbell_anchor_age_seconds", "Age of the last anchor on this machine.")
    newest = max(settings.AUDIT_ANCHOR_DIR.glob("anchors_*.jsonl"), default=None)
    if newest is not None:
        anchored.add_metric([], max(now.timestamp() - newest.stat().st_mtime, 0.0))
    yield anchored
