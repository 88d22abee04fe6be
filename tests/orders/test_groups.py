"""Order groups as a pure decision: whatever happens in whatever order, nothing is sold twice or left behind.

The model below is a toy exchange: it knows which member is in the engine, which commands are queued, what was
bought and sold. Hypothesis chooses what happens in each batch; ``group_next`` says what follows.
"""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.orders.groups import Act, ActKind, GroupFacts, Member, Withdrawal, group_next
from apps.primitives.fix import OrdStatus

SIZE = 6
ENTRY, PROFIT, LOSS = 1, 2, 3
WORKING = (OrdStatus.NEW, OrdStatus.PARTIALLY_FILLED)
HAPPENINGS = (
    "take",
    "fill entry",
    "fill profit",
    "fill loss",
    "fall",
    "rise",
    "cancel entry",
    "cancel profit",
    "cancel loss",
    "expire",
    "replace entry",
    "replace profit",
    "replace loss",
    "refuse",
)


class World:
    """One group in a toy exchange. An order keeps its number when it is replaced: only its figures matter."""

    def __init__(self, *, enters: bool, profit: bool = True, loss: bool = True) -> None:
        self.orders: dict[int, Member] = {}
        self.queue: list[tuple[str, int, Withdrawal | None]] = []
        self.bought = 0 if enters else SIZE
        self.sold = 0
        self.is_pair = profit and loss
        self.armed = self.low = self.withdrawn_once = False
        first = ENTRY if enters else PROFIT
        for number, wanted in ((ENTRY, enters), (PROFIT, profit), (LOSS, loss)):
            if wanted:
                status = OrdStatus.PENDING if number == first else OrdStatus.HELD
                self.orders[number] = Member(number, status, SIZE)
        self.queue.append(("NEW", first, None))
        self.ended_before: set[int] = set()
        self.batch_begin()

    # -- what happens in a batch ---------------------------------------------------------------------------

    def batch_begin(self) -> None:
        self.reached = self.by_owner = False
        self.watching = self.armed
        self.orders = {number: replace(order, is_new=False) for number, order in self.orders.items()}
        self.ended_before = {number for number, order in self.orders.items() if not order.is_live}

    def change(self, number: int, **figures: object) -> None:
        self.orders[number] = replace(self.orders[number], **figures)  # type: ignore[arg-type]

    def happen(self, what: str, amount: int) -> None:
        verb, _, name = what.partition(" ")
        number = {"entry": ENTRY, "profit": PROFIT, "loss": LOSS}.get(name)
        if number is None or number in self.orders:
            getattr(self, verb)(*([number] if number else []), amount)

    def take(self, amount: int) -> None:
        """The runner takes some of what is queued; a cancel before its order stays."""
        for _ in range(min(amount, len(self.queue))):
            kind, number, reason = self.queue.pop(0)
            order = self.orders[number]
            if kind == "NEW" and order.status is OrdStatus.PENDING:
                self.change(number, status=OrdStatus.NEW)
                if number == PROFIT and ENTRY not in self.orders:
                    self.watching, self.reached = True, self.low
            elif kind == "CANCEL" and order.status is OrdStatus.PENDING:
                self.queue.append((kind, number, reason))
                return
            elif kind == "CANCEL" and order.is_live:
                assert reason is None or not order.is_held, "the books withdraw only what is in the engine"
                self.by_owner |= reason is None and number == PROFIT
                self.change(number, status=OrdStatus.CANCELLED)

    def fill(self, number: int, amount: int) -> None:
        order = self.orders[number]
        if order.status not in WORKING:
            return
        quantity = min(amount, order.leaves)
        full = quantity == order.leaves
        status = OrdStatus.FILLED if full else OrdStatus.PARTIALLY_FILLED
        self.change(number, filled=order.filled + quantity, status=status)
        if number == ENTRY:
            self.bought += quantity
            self.low = False if full else self.low
            self.watching |= full
        else:
            self.sold += quantity
        assert self.sold <= self.bought, "more was sold than there was"

    def fall(self, amount: int) -> None:
        self.low = True
        self.reached |= self.watching

    def rise(self, amount: int) -> None:
        self.low = False

    def cancel(self, number: int, amount: int) -> None:
        if self.orders[number].is_live:
            self.queue.append(("CANCEL", number, None))

    def expire(self, amount: int) -> None:
        for number, order in self.orders.items():
            if order.status in WORKING:
                self.by_owner |= number == PROFIT
                self.change(number, status=OrdStatus.EXPIRED)

    def replace(self, number: int, amount: int) -> None:
        """The new order carries what was open, or of an entry as much as is asked for."""
        order = self.orders[number]
        if order.status in WORKING:
            quantity = amount if number == ENTRY else order.leaves
            self.change(number, quantity=quantity, filled=0, status=OrdStatus.NEW, is_new=True)
            # What was queued for the old order no longer finds it.
            self.queue = [item for item in self.queue if item[:2] != ("CANCEL", number)]
        elif order.is_held and not order.triggered:
            self.change(number, is_new=True)

    def refuse(self, amount: int) -> None:
        """The book refuses or cancels by itself what is at work in it."""
        for number, order in self.orders.items():
            if order.status in WORKING and number != ENTRY:
                self.change(number, status=OrdStatus.CANCELLED)

    # -- what follows --------------------------------------------------------------------------------------

    def batch_end(self) -> None:
        for act in group_next(self.facts()):
            self.do(act)
        self.check()
        self.batch_begin()

    def facts(self) -> GroupFacts:
        live = {n: order for n, order in self.orders.items() if n not in self.ended_before}
        return GroupFacts(
            live.get(ENTRY),
            live.get(PROFIT),
            live.get(LOSS),
            self.bought,
            self.armed,
            self.reached,
            self.by_owner,
            self.is_pair,
        )

    def do(self, act: Act) -> None:
        order = self.orders[act.order_id]
        if act.kind is ActKind.WITHDRAW:
            assert not order.is_held and order.is_live
            self.queue.append(("CANCEL", act.order_id, act.reason))
            return
        assert order.is_held, f"{act} of an order that is {order.status}"
        if act.kind is ActKind.RESIZE:
            self.change(act.order_id, quantity=act.quantity)
        elif act.kind is ActKind.RESERVE:
            self.change(act.order_id, reserved=act.quantity)
        elif act.kind is ActKind.ARM:
            self.armed = True
        elif act.kind is ActKind.TRIGGER:
            self.armed = False
            self.change(act.order_id, triggered=True)
        elif act.kind is ActKind.END:
            self.change(act.order_id, status=OrdStatus.CANCELLED)
        else:
            assert act.kind is ActKind.RELEASE or order.triggered
            self.change(act.order_id, status=OrdStatus.PENDING, reserved=0)
            self.queue.append(("NEW", act.order_id, None))

    # -- what must hold ------------------------------------------------------------------------------------

    def check(self) -> None:
        exits = [order for number, order in self.orders.items() if number != ENTRY]
        out = [order for order in exits if order.is_live and not order.is_held]
        assert len(out) <= 1, "two exits are out at once"
        held = sum(order.leaves for order in out) + sum(order.reserved for order in exits if order.is_held)
        assert held <= self.bought - self.sold, "more is held than is owned"
        waiting = [order for order in exits if order.is_held]
        entry = self.orders.get(ENTRY)
        assert not waiting or out or (entry and entry.is_live), "a leg waits for nobody"
        if waiting and entry and entry.is_live:
            assert waiting[0].reserved == self.bought, "what was bought is not kept for its exit"
        for leg in waiting:
            partner = out[0] if out else entry
            assert partner and leg.quantity == (partner.leaves if out else self.bought + partner.leaves), (
                "a waiting leg would sell another quantity than its group owns"
            )

        self.check_withdrawals()

    def check_withdrawals(self) -> None:
        """What has to go because another member ended, or was triggered, has its cancellation queued."""
        entry, profit, loss = (self.orders.get(number) for number in (ENTRY, PROFIT, LOSS))
        leaving = {number for kind, number, _ in self.queue if kind == "CANCEL"}
        if entry and entry.is_live and any(leg and not leg.is_live for leg in (profit, loss)):
            assert ENTRY in leaving, "an entry works on without its exits"
        if profit and profit.is_live and not profit.is_held and loss and (loss.triggered or not loss.is_live):
            assert PROFIT in leaving, "a take-profit works on against its stop-loss"
        if profit and profit.status in WORKING and loss and loss.is_held and not loss.triggered:
            assert self.armed, "a stop-loss does not listen"

    def finish(self) -> None:
        """Let everything queued be taken, and everything at work fill."""
        for _ in range(20):
            self.take(10)
            self.batch_end()
        for number in (ENTRY, PROFIT, LOSS):
            if number in self.orders:
                self.fill(number, SIZE * 10)
            self.batch_end()
            self.take(10)
            self.batch_end()
        for _ in range(5):
            self.take(10)
            for number in (PROFIT, LOSS):
                if number in self.orders:
                    self.fill(number, SIZE * 10)
            self.batch_end()


batches = st.lists(
    st.lists(st.tuples(st.sampled_from(HAPPENINGS), st.integers(1, SIZE + 2)), max_size=5), max_size=12
)


@settings(max_examples=1_000, deadline=None)
@given(batches=batches, shape=st.sampled_from(["bracket", "oco", "oto profit", "oto loss"]))
def test_nothing_is_sold_twice_and_nobody_is_left_behind(
    batches: list[list[tuple[str, int]]], shape: str
) -> None:
    world = World(enters=shape != "oco", profit=shape != "oto loss", loss=shape != "oto profit")
    for batch in batches:
        for what, amount in batch:
            world.happen(what, amount)
        world.batch_end()
    world.finish()
    assert not any(order.is_live for order in world.orders.values()), "an order lives on with nothing to do"


def member(number: int, status: OrdStatus, **more: object) -> Member:
    return Member(number, status, SIZE, **more)  # type: ignore[arg-type]


FILLED_ENTRY = member(ENTRY, OrdStatus.FILLED, filled=SIZE)
HELD_PROFIT, HELD_LOSS = member(PROFIT, OrdStatus.HELD), member(LOSS, OrdStatus.HELD)
STORIES = [
    (
        "an entry that has filled sends its take-profit and arms its stop-loss",
        GroupFacts(FILLED_ENTRY, HELD_PROFIT, HELD_LOSS, bought=SIZE),
        [(ActKind.RELEASE, PROFIT), (ActKind.ARM, LOSS)],
    ),
    (
        "one whose own fill was beyond the stop sends the stop-loss instead",
        GroupFacts(FILLED_ENTRY, HELD_PROFIT, HELD_LOSS, bought=SIZE, reached=True),
        [(ActKind.END, PROFIT), (ActKind.TRIGGER, LOSS), (ActKind.FIRE, LOSS)],
    ),
    (
        "a stop-loss without a take-profit goes to the engine as it is",
        GroupFacts(FILLED_ENTRY, None, HELD_LOSS, bought=SIZE),
        [(ActKind.RELEASE, LOSS)],
    ),
    (
        "a stop that is reached takes the take-profit off first",
        GroupFacts(None, member(PROFIT, OrdStatus.NEW), HELD_LOSS, armed=True, reached=True),
        [(ActKind.TRIGGER, LOSS), (ActKind.WITHDRAW, PROFIT)],
    ),
    (
        "and acts when it is off",
        GroupFacts(
            None,
            member(PROFIT, OrdStatus.CANCELLED, filled=2),
            member(LOSS, OrdStatus.HELD, triggered=True),
        ),
        [(ActKind.RESIZE, LOSS), (ActKind.FIRE, LOSS)],
    ),
    (
        "unless the owner took it off",
        GroupFacts(
            None,
            member(PROFIT, OrdStatus.CANCELLED),
            member(LOSS, OrdStatus.HELD, triggered=True),
            by_owner=True,
        ),
        [(ActKind.END, LOSS)],
    ),
    (
        "a take-profit that filled ends it",
        GroupFacts(
            None,
            member(PROFIT, OrdStatus.FILLED, filled=SIZE),
            member(LOSS, OrdStatus.HELD, triggered=True),
        ),
        [(ActKind.END, LOSS)],
    ),
    (
        "an entry that ends unfilled takes its exits along",
        GroupFacts(member(ENTRY, OrdStatus.CANCELLED, filled=3), HELD_PROFIT, HELD_LOSS, bought=3),
        [(ActKind.END, PROFIT), (ActKind.END, LOSS)],
    ),
    ("a group in which nothing happened does nothing", GroupFacts(), []),
]


@pytest.mark.parametrize(("story", "facts", "acts"), STORIES, ids=[story for story, *_ in STORIES])
def test_story(story: str, facts: GroupFacts, acts: list[tuple[ActKind, int]]) -> None:
    assert [(act.kind, act.order_id) for act in group_next(facts)] == acts
