"""What is wrong with a command by itself, before any book is looked at."""

from collections.abc import Iterator

from apps.matching.codes import (
    ORDER_ID_MAX,
    PRICE_UNITS_MAX,
    QUANTITY_MAX,
    CommandKind,
    Mode,
    OrdType,
    Phase,
    Reason,
    SelfTradePrevention,
    Side,
    TimeInForce,
)
from apps.matching.reference_book import (
    AUCTION_TIFS,
    HIDDEN,
    PER_MILLION,
    POST_ONLY,
    REDUCE_ONLY,
    RESTING_TIFS,
    STOP_TYPES,
    TRAIL_PERCENT,
    Command,
    price_reaches,
    trail_stop,
)

KINDS = frozenset(CommandKind)
SIDES = frozenset(Side)
ORD_TYPES = frozenset(OrdType)
TIFS = frozenset(TimeInForce)
SELF_TRADE_PREVENTIONS = frozenset(SelfTradePrevention)
PHASES = frozenset(Phase)
MODES = frozenset(Mode)
FLAGS_ALL = POST_ONLY | HIDDEN | REDUCE_ONLY | TRAIL_PERCENT
IMMEDIATE_TIFS = frozenset({TimeInForce.IOC, TimeInForce.FOK})
TICK_MAX = 10_000
REFRESHES_MAX = 1_000

Check = tuple[bool, Reason]


def first_wrong(checks: Iterator[Check]) -> Reason:
    for holds, reason in checks:
        if not holds:
            return reason
    return Reason.NONE


def is_order_id(order_id: int) -> bool:
    return 1 <= order_id <= ORDER_ID_MAX


def is_price(price: int) -> bool:
    return 1 <= price <= PRICE_UNITS_MAX


def is_quantity(quantity: int) -> bool:
    return 1 <= quantity <= QUANTITY_MAX


def command_check(command: Command) -> Reason:
    """Return the first thing wrong with the command by itself."""
    if command.kind not in KINDS:
        return Reason.BAD_KIND
    if command.symbol_id == 0:
        return Reason.BAD_SYMBOL
    if command.flags & ~FLAGS_ALL or command.reserved:
        return Reason.BAD_FLAGS
    match command.kind:
        case CommandKind.NEW | CommandKind.REPLACE | CommandKind.RESTORE:
            return first_wrong(_order_checks(command))
        case CommandKind.CANCEL | CommandKind.EXPIRE:
            return Reason.NONE if is_order_id(command.orig_order_id) else Reason.BAD_ORDER_ID
        case _:
            return first_wrong(_setting_checks(command))


def _setting_checks(command: Command) -> Iterator[Check]:
    match command.kind:
        case CommandKind.RESTORE_LAST:
            yield is_price(command.price), Reason.BAD_PRICE
            yield is_quantity(command.quantity) and command.cum_quantity >= 0, Reason.BAD_QUANTITY
        case CommandKind.PHASE:
            yield command.argument in PHASES, Reason.BAD_ARGUMENT
            yield 0 <= command.price <= PRICE_UNITS_MAX, Reason.BAD_PRICE
        case CommandKind.MODE:
            yield command.argument in MODES, Reason.BAD_ARGUMENT
        case CommandKind.OPTIONS:
            yield command.argument in (0, 1), Reason.BAD_ARGUMENT
            yield command.price == 0 or _is_tick(command.price), Reason.BAD_TICK
        case CommandKind.BANDS:
            lower, upper = command.price, command.stop_price
            is_band = 1 <= lower <= upper <= PRICE_UNITS_MAX
            yield (lower, upper) == (0, 0) or is_band, Reason.BAD_BANDS


def _is_tick(tick: int) -> bool:
    return 1 <= tick <= TICK_MAX and TICK_MAX % tick == 0


def _order_checks(command: Command) -> Iterator[Check]:
    is_replace = command.kind == CommandKind.REPLACE
    is_resting_limit = command.ord_type == OrdType.LIMIT and command.tif in RESTING_TIFS
    yield is_order_id(command.order_id), Reason.BAD_ORDER_ID
    yield not is_replace or is_order_id(command.orig_order_id), Reason.BAD_ORDER_ID
    yield command.side in SIDES, Reason.BAD_SIDE
    yield _is_ord_type_allowed(command), Reason.BAD_ORD_TYPE
    yield _is_tif_allowed(command), Reason.BAD_TIME_IN_FORCE
    yield command.stp in SELF_TRADE_PREVENTIONS, Reason.BAD_SELF_TRADE_PREVENTION
    yield is_price(command.price), Reason.BAD_PRICE
    yield _is_stop_price_allowed(command), Reason.BAD_STOP_PRICE
    yield _is_trail_allowed(command), Reason.BAD_TRAIL
    yield _is_collar_behind_stop(command), Reason.BAD_PRICE
    yield is_quantity(command.quantity), Reason.BAD_QUANTITY
    has_cum = command.kind == CommandKind.RESTORE and is_resting_limit
    yield 0 <= command.cum_quantity <= (command.quantity - 1 if has_cum else 0), Reason.BAD_QUANTITY
    yield _is_display_allowed(command, is_resting_limit), Reason.BAD_DISPLAY_QUANTITY
    yield command.min_quantity <= _min_quantity_max(command), Reason.BAD_MIN_QUANTITY
    yield _are_flags_allowed(command, is_resting_limit), Reason.BAD_FLAGS


def _is_ord_type_allowed(command: Command) -> bool:
    if command.ord_type == OrdType.MARKET and command.kind != CommandKind.NEW:
        return command.tif in AUCTION_TIFS
    return command.ord_type in ORD_TYPES


def _is_tif_allowed(command: Command) -> bool:
    is_stop = command.ord_type in STOP_TYPES
    if command.tif in IMMEDIATE_TIFS:
        return command.kind == CommandKind.NEW and not is_stop
    if command.tif == TimeInForce.GTD:
        return command.ord_type != OrdType.MARKET
    if command.tif in AUCTION_TIFS:
        return not is_stop
    return command.tif in TIFS


def _is_stop_price_allowed(command: Command) -> bool:
    return is_price(command.stop_price) if command.ord_type in STOP_TYPES else command.stop_price == 0


def _is_trail_allowed(command: Command) -> bool:
    is_percent = command.flags & TRAIL_PERCENT
    if command.ord_type != OrdType.TRAIL:
        return command.trail == 0 and not is_percent
    if command.trail == 0 or is_percent and command.trail >= PER_MILLION:
        return False
    return is_price(trail_stop(command.side, command.stop_price, command.trail, command.flags))


def _is_collar_behind_stop(command: Command) -> bool:
    match command.ord_type:
        case OrdType.STOP:
            stop = command.stop_price
        case OrdType.TRAIL:
            stop = trail_stop(command.side, command.stop_price, command.trail, command.flags)
        case _:
            return True
    return price_reaches(command.side, command.price, stop)


def _is_display_allowed(command: Command, is_resting_limit: bool) -> bool:
    if not command.display_quantity:
        return True
    is_small = command.display_quantity * REFRESHES_MAX < command.quantity
    is_large = command.display_quantity > command.quantity and command.kind != CommandKind.RESTORE
    return is_resting_limit and not is_small and not is_large


def _min_quantity_max(command: Command) -> int:
    if command.kind == CommandKind.RESTORE:
        return min(command.display_quantity, command.quantity - command.cum_quantity)
    is_immediate = command.ord_type in (OrdType.MARKET, OrdType.LIMIT) and command.tif not in AUCTION_TIFS
    return command.quantity if command.kind == CommandKind.NEW and is_immediate else 0


def _are_flags_allowed(command: Command, is_resting_limit: bool) -> bool:
    is_post_only = bool(command.flags & POST_ONLY)
    is_hidden = bool(command.flags & HIDDEN)
    if (is_post_only or is_hidden) and not is_resting_limit:
        return False
    if is_hidden and command.display_quantity:
        return False
    return not (is_post_only and command.min_quantity and command.kind == CommandKind.NEW)
