"""F51 and F52: controls in the middle of trading, and orders that meet themselves, nobody or an avalanche."""

import time
from decimal import Decimal

import pytest

from apps.events.facts import SYSTEM
from apps.operations.services.controls import symbol_bands, symbol_halt, symbol_resume
from apps.primitives.errors import Refused
from tests.faults.conftest import ROUNDS
from tests.support.builders import Trader, trader_open
from tests.support.house import House, Load
from tests.support.matching import Exchange

# Between the command that halts a book and the one that resumes it the journal may hold no trade of it.
_TRADES_IN_HALT_SQL = """
SELECT t.trade_id FROM trades t WHERE EXISTS (
    SELECT 1 FROM halts h WHERE t.match_seq > h.seq AND t.match_seq < coalesce(h.until, 9223372036854775807))
"""
_HALTS_SQL = """
WITH phases AS (
    SELECT seq, argument, lead(seq) OVER (ORDER BY seq) AS until FROM (
        SELECT seq, get_byte(record, %(at)s) AS argument FROM matching_journal
        WHERE kind = 'PHASE' AND symbol = 'AAPL') AS p),
halts AS (SELECT seq, until FROM phases WHERE argument = %(halted)s)
"""


def test_a_book_halted_and_resumed_under_load_trades_in_no_halt(house: House, traders: list[Trader]) -> None:
    """F51: and the leader dies in a halt: its successor knows that the book is halted."""
    from apps.matching.codes import COMMAND_DTYPE, Phase

    leader, standby = house.leader(), house.runner()
    with Load(house, traders, seed=51):
        for number in range(4 + 46 * (ROUNDS > 0)):
            symbol_halt(symbol="AAPL", reason="News is pending", origin=SYSTEM)
            time.sleep(0.15)
            if number == 1:
                leader.kill()
                house.wait_leads(standby)
            symbol_resume(symbol="AAPL", reason="News is out", origin=SYSTEM)
            time.sleep(0.15)
    house.books_hold()
    at = int(COMMAND_DTYPE.fields["phase"][1]) if "phase" in COMMAND_DTYPE.fields else _phase_offset()
    parameters = {"at": at, "halted": int(Phase.HALTED)}
    halts = house.rows(_HALTS_SQL + "SELECT count(*) FROM halts", parameters)
    assert halts[0][0] >= 4
    assert house.rows(_HALTS_SQL + _TRADES_IN_HALT_SQL, parameters) == []
    assert house.rows("SELECT count(*) FROM trades")[0][0] > 0


def _phase_offset() -> int:
    """Find where a PHASE command's record carries its phase, from two that differ in nothing else."""
    from apps.matching.codes import Phase
    from apps.matching.messages import Command
    from apps.matching.packing import commands_pack

    def record(phase: Phase) -> bytes:
        return commands_pack([Command("PHASE", "AAPL", 1, argument=int(phase))], 1, 0).tobytes()

    one, other = record(Phase.HALTED), record(Phase.CONTINUOUS)
    places = [at for at, pair in enumerate(zip(one, other, strict=True)) if pair[0] != pair[1]]
    assert len(places) == 1 and one[places[0]] == int(Phase.HALTED)
    return places[0]


def test_bands_that_close_in_on_resting_orders_let_nothing_trade_outside(
    house: House, traders: list[Trader]
) -> None:
    """F51: what rests beyond the new bands is cancelled; what is entered beyond them does not trade."""
    buyer, seller = traders
    house.leader()
    far = house.sent(buyer.buy(5, "106.00"))
    near = house.sent(buyer.buy(5, "99.00"))
    house.drained()
    symbol_bands(
        symbol="AAPL", lower=Decimal("95.00"), upper=Decimal("105.00"), reason="Volatility", origin=SYSTEM
    )
    house.drained()
    assert (buyer.order(far).status, buyer.order(near).status) == ("CANCELLED", "NEW")
    low, fair = house.sent(seller.sell(5, "94.00")), house.sent(seller.sell(5, "99.00"))
    house.drained()
    assert (seller.order(low).status, seller.order(fair).status) == ("REJECTED", "FILLED")
    outside = house.rows("SELECT price FROM trades WHERE price < 95 OR price > 105")
    assert outside == []
    house.books_hold()


def test_an_order_never_trades_with_its_own_account(house: House) -> None:
    """F52: of two orders of one account that would meet, one is cancelled, and others trade on."""
    house.leader()
    both = trader_open(cash="100000.00", shares={"AAPL": 100})
    other = trader_open(cash="100000.00")
    mine = house.sent(both.sell(10, "100.00"))
    house.sent(both.buy(10, "100.00"))
    house.drained()
    house.sent(other.buy(10, "100.00"))
    house.books_hold()
    assert house.rows("SELECT 1 FROM trades WHERE buyer_account_id = seller_account_id") == []
    assert both.order(mine).status in ("FILLED", "CANCELLED")


@pytest.mark.parametrize("time_in_force", ["ioc", "fok", "day"])
@pytest.mark.parametrize("side", ["buy", "sell"])
def test_an_order_that_finds_nobody_ends_or_rests_and_holds_nothing_it_should_not(
    exchange: Exchange, side: str, time_in_force: str
) -> None:
    """F52: market orders and immediate ones into an empty book."""
    trader = trader_open(cash="100000.00", shares={"AAPL": 100})
    market = trader.submit(side, 10, time_in_force=time_in_force)
    limit = trader.submit(side, 10, price="100.00", time_in_force=time_in_force)
    exchange.run()
    assert trader.order(market).status in ("CANCELLED", "REJECTED")
    assert trader.order(limit).status == ("NEW" if time_in_force == "day" else "CANCELLED")
    held = trader.summary.held_cash
    assert held == (Decimal("1000.00") if (side, time_in_force) == ("buy", "day") else Decimal(0))


def test_an_avalanche_of_stops_ends_and_is_booked_once(house: House) -> None:
    """F52: each stop's trade elects the next one, in one batch that no patience may cut short."""
    count = 300 + 9_700 * (ROUNDS > 0)
    leader, _ = house.leader(), house.runner()
    maker = trader_open(cash="90000000.00", shares={"AAPL": 1})
    holder = trader_open(shares={"AAPL": count})
    house.sent(maker.buy(count + 1, "95.00"))
    for number in range(count):
        house.sent(holder.stop("sell", 1, f"{99.99 - (number % 400) / 100:.2f}"))
    house.drained(120)
    seller = trader_open(shares={"AAPL": 1})
    house.sent(seller.sell(1, "95.00"))
    house.drained(120)
    house.books_hold()
    assert house.leader_now() == (leader.pid, 1), "nobody was fenced for working hard"
    assert holder.shares() == 0
    with pytest.raises(Refused):
        holder.sell(1, "95.00")
