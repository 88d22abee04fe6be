"""The audit trail measured: the relay into Kafka, the hash chain, and a broker that dies under load.

Puts ``benchmarks.audit_relay``, ``benchmarks.audit_chain`` and a short run of the broker's deaths together in
one file; ``make test-kafka-long`` is the long one.
"""

import os

from benchmarks import audit_chain, audit_relay
from benchmarks.report import report_write
from tests.kafka.long_run import long_run

SEED = audit_relay.SEED
BOUNCES = int(os.environ.get("BOUNCES", "5"))
OUTAGE_S = float(os.environ.get("BENCH_OUTAGE_S", "60"))


def main() -> None:
    """Run the three and report."""
    figures, ratios = audit_relay.figures_measure()
    figures |= audit_chain.figures_measure()
    told = long_run(BOUNCES, OUTAGE_S)
    names = ("broker_bounces", "gaps", "reorders", "strangers", "duplicates", "records")
    figures |= {name: told[name] for name in names}
    figures |= {name: value for name, value in told.items() if name.startswith(("outage_", "booking_"))}
    report_write("audit", seed=SEED, samples=audit_relay.ROUNDS, figures=figures, ratios=ratios)


if __name__ == "__main__":
    main()
