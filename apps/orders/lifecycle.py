"""The life of an order as one table: which status may follow which."""

from apps.primitives.fix import OrdStatus

NEXT: dict[OrdStatus, frozenset[OrdStatus]] = {
    OrdStatus.PENDING: frozenset(
        {
            OrdStatus.NEW,
            OrdStatus.PARTIALLY_FILLED,
            OrdStatus.FILLED,
            OrdStatus.CANCELLED,
            OrdStatus.REJECTED,
            OrdStatus.EXPIRED,
        }
    ),
    OrdStatus.HELD: frozenset(
        {OrdStatus.PENDING, OrdStatus.CANCELLED, OrdStatus.REPLACED, OrdStatus.EXPIRED}
    ),
    OrdStatus.NEW: frozenset(
        {
            OrdStatus.PARTIALLY_FILLED,
            OrdStatus.FILLED,
            OrdStatus.CANCELLED,
            OrdStatus.REPLACED,
            OrdStatus.EXPIRED,
        }
    ),
    OrdStatus.PARTIALLY_FILLED: frozenset(
        {
            OrdStatus.PARTIALLY_FILLED,
            OrdStatus.FILLED,
            OrdStatus.CANCELLED,
            OrdStatus.REPLACED,
            OrdStatus.EXPIRED,
        }
    ),
    OrdStatus.FILLED: frozenset(),
    OrdStatus.CANCELLED: frozenset(),
    OrdStatus.REPLACED: frozenset(),
    OrdStatus.REJECTED: frozenset(),
    OrdStatus.EXPIRED: frozenset(),
}


class IllegalTransition(RuntimeError):
    """The engine and the books disagree about an order: an invariant is broken and the writer must end."""


def status_change(current: OrdStatus, following: OrdStatus) -> OrdStatus:
    """Return ``following`` when the table allows it; raises ``IllegalTransition``."""
    if following not in NEXT[current]:
        raise IllegalTransition(f"an order that is {current} cannot become {following}")
    return following
