"""Random commands in which every feature is frequent: few prices, and aimed at what is live."""

from collections.abc import Sequence

import numpy as np

from apps.matching.codes import (
    COMMAND_DTYPE,
    PRICE_UNITS_MAX,
    QUANTITY_MAX,
    CommandKind,
    Mode,
    OrderFlag,
    OrdType,
    Phase,
    Side,
    TimeInForce,
)
from apps.matching.reference_book import Order

Column = np.ndarray

# One symbol far from all edges, one about where ticks begin, one at the lowest prices, one at the highest.
CENTRES = np.array([1_000_000, 1_000_000, 10_000, 25, PRICE_UNITS_MAX - 2_000])
STEPS = np.array([100, 100, 100, 3, 100])
SYMBOLS = len(CENTRES) - 1
SYMBOL_WEIGHTS = [0.4, 0.25, 0.2, 0.15]

KINDS = {
    CommandKind.NEW: 0.56, CommandKind.REPLACE: 0.15, CommandKind.CANCEL: 0.12, CommandKind.EXPIRE: 0.02,
    CommandKind.RESTORE: 0.03, CommandKind.RESTORE_LAST: 0.01, CommandKind.PHASE: 0.05,
    CommandKind.BANDS: 0.02, CommandKind.MODE: 0.02, CommandKind.OPTIONS: 0.02,
}  # fmt: skip
ORD_TYPES = {
    OrdType.LIMIT: 0.66, OrdType.MARKET: 0.1, OrdType.STOP: 0.07, OrdType.STOP_LIMIT: 0.07,
    OrdType.TRAIL: 0.1,
}  # fmt: skip
LIMIT_TIFS = {
    TimeInForce.DAY: 0.5, TimeInForce.GTC: 0.17, TimeInForce.GTD: 0.1, TimeInForce.IOC: 0.06,
    TimeInForce.FOK: 0.05, TimeInForce.OPG: 0.06, TimeInForce.CLS: 0.06,
}  # fmt: skip
MARKET_TIFS = {
    TimeInForce.DAY: 0.4, TimeInForce.IOC: 0.15, TimeInForce.FOK: 0.15, TimeInForce.OPG: 0.15,
    TimeInForce.CLS: 0.15,
}  # fmt: skip
STOP_TIFS = {TimeInForce.DAY: 0.5, TimeInForce.GTC: 0.3, TimeInForce.GTD: 0.2}
PHASES = {phase: 0.64 if phase == Phase.CONTINUOUS else 0.06 for phase in Phase}
MODES = {Mode.OPEN: 0.9, Mode.REDUCE_ONLY: 0.07, Mode.CANCEL_ONLY: 0.03}
ODD_NUMBERS = [0, 1, -1, 2**31, 2**32 - 1, 2**32, PRICE_UNITS_MAX, PRICE_UNITS_MAX + 1, 2**63 - 1, -(2**63)]
STOP_TYPES = (OrdType.STOP, OrdType.STOP_LIMIT, OrdType.TRAIL)
RESTING_TIFS = (TimeInForce.DAY, TimeInForce.GTC, TimeInForce.GTD)
AUCTION_TIFS = (TimeInForce.OPG, TimeInForce.CLS)


class Flow:
    """An endless stream of commands from one seed."""

    def __init__(self, seed: Sequence[int]) -> None:
        self.random = np.random.default_rng(seed)
        self._next_id = 1
        self._next_seq = 1
        # Mostly a few ticks about the centre; now and then more than any window of ticks holds.
        self._spread = self.random.choice([3, 3, 3, 12, 8_000])

    def batch(self, count: int, live: list[Order]) -> np.ndarray:
        """Return the next commands, most of those about an order aimed at one that is live now."""
        batch = np.zeros(count, dtype=COMMAND_DTYPE)
        batch["seq"] = np.arange(self._next_seq, self._next_seq + count)
        batch["transact_time_ns"] = batch["seq"] * 1_000
        self._next_seq += count
        batch["kind"] = self._choose(KINDS, count)
        batch["symbol_id"] = 1 + self.random.choice(SYMBOLS, size=count, p=SYMBOL_WEIGHTS)
        self._orders_fill(batch)
        self._books_fill(batch)
        if live:
            self._orders_aim(batch, live)
        self._mistakes_make(batch)
        return batch

    def _choose(self, weights: dict, count: int) -> Column:
        shares = np.array(list(weights.values()))
        return self.random.choice([int(code) for code in weights], size=count, p=shares / shares.sum())

    def _happens(self, count: int, share: float) -> Column:
        return self.random.random(count) < share

    def _price_near(self, batch: np.ndarray, shift: Column | int = 0) -> Column:
        """Return prices some steps about the symbol's centre, mostly on the tick."""
        count, symbols = len(batch), np.minimum(batch["symbol_id"], SYMBOLS)
        steps = np.round(self.random.normal(0, self._spread, count)).astype(np.int64) + shift
        price = CENTRES[symbols] + steps * STEPS[symbols]
        price += self._happens(count, 0.02) * self.random.integers(-60, 60, count)
        far = 10 ** self.random.integers(0, 16, count)
        return np.clip(np.where(self._happens(count, 0.005), far, price), 1, PRICE_UNITS_MAX)

    def _orders_fill(self, batch: np.ndarray) -> None:
        random, count = self.random, len(batch)
        is_about_order = np.isin(batch["kind"], (CommandKind.NEW, CommandKind.REPLACE, CommandKind.RESTORE))
        ids = self._next_id + random.permutation(count)
        self._next_id += count
        batch["order_id"] = np.where(self._happens(count, 0.03), random.integers(1, 2**63 - 1, count), ids)
        batch["orig_order_id"] = random.integers(1, self._next_id, count)
        batch["owner"] = random.integers(0, 6, count)
        batch["side"] = random.integers(1, 3, count)
        batch["ord_type"] = self._choose(ORD_TYPES, count)
        batch["stp"] = random.integers(0, 5, count)
        is_wide = self._happens(count, 0.1)
        batch["quantity"] = np.where(is_wide, random.integers(1, 300, count), random.integers(1, 21, count))
        batch["quantity"][self._happens(count, 0.003)] = QUANTITY_MAX
        self._tifs_fill(batch)
        self._prices_fill(batch)
        self._features_fill(batch)
        for name in (
            "order_id",
            "owner",
            "side",
            "ord_type",
            "stp",
            "quantity",
            "tif",
            "price",
            "stop_price",
        ):
            batch[name][~is_about_order] = 0
        for name in ("trail", "flags", "display_quantity", "min_quantity"):
            batch[name][~is_about_order] = 0

    def _tifs_fill(self, batch: np.ndarray) -> None:
        count, ord_type = len(batch), batch["ord_type"]
        tifs = np.where(
            ord_type == OrdType.LIMIT, self._choose(LIMIT_TIFS, count), self._choose(STOP_TIFS, count)
        )
        tifs = np.where(ord_type == OrdType.MARKET, self._choose(MARKET_TIFS, count), tifs)
        is_new = batch["kind"] == CommandKind.NEW
        is_immediate = np.isin(tifs, (TimeInForce.IOC, TimeInForce.FOK))
        batch["tif"] = np.where(is_new | ~is_immediate, tifs, TimeInForce.DAY)
        is_market_now = ~is_new & (ord_type == OrdType.MARKET) & ~np.isin(batch["tif"], AUCTION_TIFS)
        ord_type[is_market_now] = OrdType.LIMIT

    def _prices_fill(self, batch: np.ndarray) -> None:
        count, ord_type = len(batch), batch["ord_type"]
        sign = np.where(batch["side"] == Side.BUY, 1, -1)
        step = STEPS[batch["symbol_id"]]
        price = self._price_near(batch, np.where(ord_type == OrdType.MARKET, 4, -1) * sign)
        stop = self._price_near(batch, 2 * sign)
        behind = self.random.integers(0, 8, count) * step
        is_trail = ord_type == OrdType.TRAIL
        mark = self._price_near(batch)
        is_percent = is_trail & self._happens(count, 0.4)
        amount = self.random.integers(1, 8, count) * step // self.random.choice([1, 1, 3], count)
        percent = self.random.choice([1, 100, 700, 5_000, 120_000, 999_999], count)
        offset = np.where(
            is_percent, np.maximum(1, mark.astype(object) * percent // 1_000_000), np.maximum(1, amount)
        )
        stop = np.where(is_trail, mark + sign * offset.astype(np.int64), stop)
        is_stop = np.isin(ord_type, STOP_TYPES)
        price = np.where(is_stop & (ord_type != OrdType.STOP_LIMIT), stop + sign * behind, price)
        batch["price"] = np.clip(price, 1, PRICE_UNITS_MAX)
        batch["stop_price"] = np.where(is_stop, np.where(is_trail, mark, stop), 0)
        batch["trail"] = np.where(is_trail, np.where(is_percent, percent, np.maximum(1, amount)), 0)
        batch["flags"] = np.where(is_percent, OrderFlag.TRAIL_PERCENT, 0)

    def _features_fill(self, batch: np.ndarray) -> None:
        count, quantity = len(batch), batch["quantity"]
        is_new = batch["kind"] == CommandKind.NEW
        is_limit = batch["ord_type"] == OrdType.LIMIT
        rests = is_limit & np.isin(batch["tif"], RESTING_TIFS)
        is_hidden = rests & self._happens(count, 0.12)
        is_iceberg = rests & ~is_hidden & self._happens(count, 0.18)
        part = np.maximum(1, quantity * self.random.random(count) // self.random.choice([1, 3, 10], count))
        batch["display_quantity"] = np.where(is_iceberg, part.astype(np.int64), 0)
        is_met = (
            is_new & ~np.isin(batch["tif"], AUCTION_TIFS) & (is_limit | (batch["ord_type"] == OrdType.MARKET))
        )
        is_min = is_met & self._happens(count, 0.1)
        batch["min_quantity"] = np.where(
            is_min, np.maximum(1, quantity * self.random.random(count)).astype(np.int64), 0
        )
        is_post_only = rests & ~is_min & self._happens(count, 0.12)
        is_reducing = self._happens(count, 0.25)
        batch["flags"] |= (is_hidden * OrderFlag.HIDDEN + is_post_only * OrderFlag.POST_ONLY).astype(np.uint8)
        batch["flags"] |= (is_reducing * OrderFlag.REDUCE_ONLY).astype(np.uint8)
        is_restore = batch["kind"] == CommandKind.RESTORE
        cum = (quantity * self.random.random(count) * 0.9).astype(np.int64)
        batch["cum_quantity"] = np.where(is_restore & rests & self._happens(count, 0.4), cum, 0)
        shown_max = np.minimum(batch["display_quantity"], quantity - batch["cum_quantity"])
        shown = (shown_max * self.random.random(count)).astype(np.int64)
        batch["min_quantity"] = np.where(is_restore, shown, batch["min_quantity"])

    def _books_fill(self, batch: np.ndarray) -> None:
        random = self.random

        def part(kind: CommandKind) -> np.ndarray:
            return np.flatnonzero(batch["kind"] == kind)

        phases = part(CommandKind.PHASE)
        batch["argument"][phases] = self._choose(PHASES, len(phases))
        told = self._price_near(batch[phases]) * self._happens(len(phases), 0.3)
        batch["price"][phases] = told
        bands = part(CommandKind.BANDS)
        has_bands = self._happens(len(bands), 0.6)
        low, high = self._price_near(batch[bands], -4), self._price_near(batch[bands], 4)
        batch["price"][bands] = np.minimum(low, high) * has_bands
        batch["stop_price"][bands] = np.maximum(low, high) * has_bands
        modes = part(CommandKind.MODE)
        batch["argument"][modes] = self._choose(MODES, len(modes))
        options = part(CommandKind.OPTIONS)
        batch["argument"][options] = self._happens(len(options), 0.35)
        batch["price"][options] = random.choice([0, 0, 0, 1, 50, 100, 200], len(options))
        lasts = part(CommandKind.RESTORE_LAST)
        batch["price"][lasts] = self._price_near(batch[lasts])
        batch["quantity"][lasts] = random.integers(1, 100, len(lasts))
        batch["cum_quantity"][lasts] = random.integers(0, 10_000, len(lasts))

    def _orders_aim(self, batch: np.ndarray, live: list[Order]) -> None:
        """Point cancels and replaces at live orders, and half of the replaces at terms like the old ones."""
        about = (CommandKind.CANCEL, CommandKind.EXPIRE, CommandKind.REPLACE)
        for at in np.flatnonzero(np.isin(batch["kind"], about) & self._happens(len(batch), 0.93)):
            order = live[self.random.integers(len(live))]
            batch["orig_order_id"][at], batch["symbol_id"][at] = order.order_id, order.symbol_id
            if batch["kind"][at] == CommandKind.REPLACE:
                self._replace_aim(batch[at : at + 1], order)
        for at in np.flatnonzero((batch["kind"] == CommandKind.NEW) & self._happens(len(batch), 0.01)):
            batch["order_id"][at] = live[self.random.integers(len(live))].order_id

    def _replace_aim(self, one: np.ndarray, order: Order) -> None:
        one["side"], one["ord_type"], one["tif"] = order.side, order.ord_type, order.tif
        one["min_quantity"], one["flags"], one["display_quantity"] = 0, order.flags, order.display
        one["trail"], one["stop_price"] = order.trail, order.mark or order.stop_price
        one["quantity"] = order.cum + self.random.integers(1, order.leaves + 3)
        chance = self.random.random()
        one["price"] = order.price if chance < 0.6 else self._price_near(one)[0]
        if chance > 0.8 and order.is_stop:
            one["stop_price"] = self._price_near(one)[0]
        if chance > 0.9 and order.display:
            one["display_quantity"] = self.random.integers(1, one["quantity"][0] + 1)

    def _mistakes_make(self, batch: np.ndarray) -> None:
        """Spoil a field here and there."""
        random = self.random
        names = [name for name in COMMAND_DTYPE.names or () if name not in ("seq", "transact_time_ns")]
        for at in np.flatnonzero(self._happens(len(batch), 0.03)):
            name = names[random.integers(len(names))]
            kind = COMMAND_DTYPE[name]
            if kind.itemsize == 1:
                batch[name][at] = random.integers(0, 256) if random.random() < 0.3 else random.integers(0, 10)
            else:
                odd = ODD_NUMBERS[random.integers(len(ODD_NUMBERS))] % 256**kind.itemsize
                batch[at : at + 1][name] = np.array([odd], dtype=f"u{kind.itemsize}").view(kind)
