"""The acts of surveillance: watch a batch of order events, and dismiss what was found."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from django.db import connection, transaction

from apps.events.facts import EventRow, Origin
from apps.events.messages import EventMessage
from apps.events.services import event_append
from apps.events.types import EventType
from apps.primitives.clock import utc_now
from apps.primitives.errors import Conflict, NotFound
from apps.surveillance import memory
from apps.surveillance.findings import Whom, account_ids, finding_tell, heard_until
from apps.surveillance.intake import Intake, intake_make
from apps.surveillance.limits import Kind
from apps.surveillance.models import FindingStatus, SurveillanceFinding
from apps.surveillance.rules import (
    MessageCount,
    WatchedTrade,
    layering_find,
    order_ratio_find,
    self_trades_find,
    wash_trades_find,
)
from apps.surveillance.selectors import limits_now, owners_of

LOCK = 0x5355525645494C4C
"""The advisory lock under which one batch at a time is judged: two would each miss what the other adds."""

FORGET_EVERY = timedelta(minutes=5)
_LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


class Watch:
    """What handles the events of a subscription: remembers them, measures, and tells what it finds.

    Everything that counts is in the tables; the object only knows when it last forgot.
    """

    def __init__(self) -> None:
        self._forgot_at = _LONG_AGO

    def __call__(self, cursor: Any, events: Sequence[EventMessage]) -> None:
        """Handle events in the transaction that ``cursor`` is in."""
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", (LOCK,))
        limits = limits_now(cursor)
        intake = intake_make(events, int(limits[Kind.ORDER_RATIO]["window_s"]))
        counts = memory.intake_write(cursor, intake, int(limits[Kind.ORDER_RATIO]["window_s"]))
        trades = memory.trades_whole(cursor, [side.trade_id for side in intake.sides])
        look = _Look(cursor, limits)
        look.at_pairs(trades)
        look.at_counts(counts)
        look.at_withdrawals(intake)
        self._forget(cursor, events)

    def _forget(self, cursor: Any, events: Sequence[EventMessage]) -> None:
        newest = max(event.timestamp for event in events)
        if newest - self._forgot_at > FORGET_EVERY:
            memory.memory_forget(cursor, newest)
            self._forgot_at = newest


class _Look:
    """One look at whoever was touched by a batch, with the limits as they are now."""

    def __init__(self, cursor: Any, limits: dict[Kind, dict[str, Decimal]]) -> None:
        self.cursor = cursor
        self.limits = limits

    def at_pairs(self, trades: Sequence[WatchedTrade]) -> None:
        """Look at each two accounts that traded with each other: for one owner's trades, or for washing."""
        newest: dict[tuple[int, int, str], datetime] = {}
        for trade in trades:
            one, other = sorted((trade.buy_account_id, trade.sell_account_id))
            key = (one, other, trade.symbol)
            newest[key] = max(newest.get(key, trade.executed_at), trade.executed_at)
        owners = owners_of(self.cursor, {account for one, other, _ in newest for account in (one, other)})
        kinds = {
            pair: Kind.SELF_TRADE if owners[pair[0]] == owners[pair[1]] else Kind.WASH_TRADES
            for pair in newest
        }
        heard = self._heard((kinds[pair], *pair) for pair in newest)
        for (one, other, symbol), at in newest.items():
            kind = kinds[one, other, symbol]
            if self._is_on(kind):
                whom = (kind.value, one, other if other != one else 0, symbol)
                self._at_pair(kind, (one, other), symbol, at, heard.get(whom))

    def at_counts(self, counts: Sequence[MessageCount]) -> None:
        """Look at how much was sent for what was traded."""
        if not self._is_on(Kind.ORDER_RATIO):
            return
        limits = self.limits[Kind.ORDER_RATIO]
        patterns = [found for count in counts if (found := order_ratio_find(count, limits)) is not None]
        heard = self._heard((Kind.ORDER_RATIO, p.account_id, p.account_id, p.symbol) for p in patterns)
        for pattern in patterns:
            judged = heard.get((pattern.kind.value, pattern.account_id, 0, pattern.symbol), _LONG_AGO)
            # A window that was judged once is not told again: the next one is.
            if pattern.first_at > judged:
                finding_tell(self.cursor, pattern, limits)

    def at_withdrawals(self, intake: Intake) -> None:
        """Look at the large orders that were taken back."""
        kind, newest = Kind.LAYERING, dict[tuple[int, str], datetime]()
        if not self._is_on(kind):
            return
        limits = self.limits[kind]
        for one in intake.withdrawals:
            if one.price * one.quantity >= limits["value_min"]:
                key = (one.account_id, one.symbol)
                newest[key] = max(newest.get(key, one.withdrawn_at), one.withdrawn_at)
        heard = self._heard((kind, account_id, account_id, symbol) for account_id, symbol in newest)
        for (account_id, symbol), until in newest.items():
            after = self._after(kind, until, heard.get((kind.value, account_id, 0, symbol)))
            window = (self.cursor, account_id, symbol, after, until)
            pattern = layering_find(memory.withdrawal_list(*window), memory.fill_list(*window), limits)
            if pattern is not None:
                finding_tell(self.cursor, pattern, limits)

    def _at_pair(
        self, kind: Kind, pair: tuple[int, int], symbol: str, at: datetime, judged: datetime | None
    ) -> None:
        """Look at the window that ends with the newest trade; one that is heard of late is not the newest."""
        limits = self.limits[kind]
        until = at + timedelta(seconds=int(limits["window_s"]))
        trades = memory.trades_between(self.cursor, *pair, symbol, self._after(kind, at, judged), until)
        if len(trades) < limits["trades_min"]:
            return
        until = trades[-1].executed_at
        after = self._after(kind, until, judged)
        trades = [trade for trade in trades if trade.executed_at > after]
        if kind is Kind.SELF_TRADE:
            pattern = self_trades_find(trades, limits)
        else:
            window = (symbol, after, until)
            volumes = {one: memory.volume_traded(self.cursor, one, *window) for one in pair}
            pattern = wash_trades_find(trades, volumes, limits)
        if pattern is not None:
            finding_tell(self.cursor, pattern, limits)

    def _is_on(self, kind: Kind) -> bool:
        return self.limits[kind]["is_on"] == 1

    def _after(self, kind: Kind, until: datetime, judged: datetime | None) -> datetime:
        begins_at = until - timedelta(seconds=int(self.limits[kind]["window_s"]))
        return max(begins_at, judged) if judged is not None else begins_at

    def _heard(self, whom: Iterable[tuple[Kind, int, int, str]]) -> dict[Whom, datetime]:
        """Return until when these were judged; an account by itself is kept with no other."""
        return heard_until(
            self.cursor,
            [(kind.value, one, other if other != one else 0, symbol) for kind, one, other, symbol in whom],
        )


def finding_dismiss(*, finding_id: int, reason: str, origin: Origin) -> None:
    """Close a finding for a reason; what comes after it can be found anew.

    Raises ``NotFound`` and, for one that is closed already, ``Conflict``.
    """
    with transaction.atomic(durable=True):
        finding = SurveillanceFinding.objects.select_for_update().filter(pk=finding_id).first()
        if finding is None:
            raise NotFound("unknown_id", f"There is no finding {finding_id}.")
        if finding.status != FindingStatus.OPEN:
            raise Conflict("finding_dismissed", f"{finding} has been dismissed already.")
        finding.status, finding.reason = FindingStatus.DISMISSED, reason
        finding.dismissed_at, finding.dismissed_by_id = utc_now(), origin.actor_id
        finding.save(update_fields=["status", "reason", "dismissed_at", "dismissed_by_id"])
        with connection.cursor() as cursor:
            event_append(cursor, [_dismissed_event(finding, origin)])


def _dismissed_event(finding: SurveillanceFinding, origin: Origin) -> EventRow:
    data = {
        "finding_id": str(finding.pk),
        "kind": finding.kind,
        "account_ids": account_ids(finding.account_id, finding.other_account_id),
        "symbol": finding.symbol,
        "reason": finding.reason,
    }
    user_id = origin.actor_id or 0
    return EventRow(EventType.SURVEILLANCE_DISMISSED, user_id, data, metadata=origin.metadata())
