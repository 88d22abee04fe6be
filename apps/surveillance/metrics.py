"""What monitoring reads of surveillance: how many findings wait for somebody to judge them."""

from collections.abc import Iterator
from datetime import datetime

from prometheus_client.core import GaugeMetricFamily, Metric

from apps.surveillance.selectors import open_findings


def surveillance(now: datetime) -> Iterator[Metric]:
    """Tell the open findings by kind."""
    found = GaugeMetricFamily("openbell_surveillance_findings_open", "Findings to judge.", labels=("kind",))
    for kind, number in open_findings().items():
        found.add_metric([kind], number)
    yield found
