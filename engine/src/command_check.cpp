// The checks of a command's own fields.
#include "openbell/command_check.hpp"

#include <algorithm>

#include "openbell/trail.hpp"

namespace openbell {

namespace {

constexpr std::int64_t TICK_MAX = 10'000;

bool is_kind(const Command& command, CommandKind kind) { return command.kind == byte_of(kind); }

bool is_flagged(const Command& command, OrderFlag flag) { return (command.flags & byte_of(flag)) != 0; }

bool is_order_id(std::uint64_t id) { return id >= 1 && id <= ORDER_ID_MAX; }

bool is_price(std::int64_t price) { return price >= 1 && price <= PRICE_UNITS_MAX; }

bool is_quantity(std::int64_t quantity) { return quantity >= 1 && quantity <= QUANTITY_MAX; }

bool is_market_or_limit(const Command& command) {
    return command.ord_type == byte_of(OrdType::MARKET) || command.ord_type == byte_of(OrdType::LIMIT);
}

bool is_ord_type(const Command& command) {
    if (command.ord_type == byte_of(OrdType::MARKET))
        return is_kind(command, CommandKind::NEW) || is_auction(command.tif);
    return command.ord_type == byte_of(OrdType::LIMIT) || is_stop(command.ord_type);
}

bool is_time_in_force(const Command& command) {
    switch (static_cast<TimeInForce>(command.tif)) {
        case TimeInForce::DAY:
        case TimeInForce::GTC: return true;
        case TimeInForce::GTD: return command.ord_type != byte_of(OrdType::MARKET);
        case TimeInForce::OPG:
        case TimeInForce::CLS: return is_market_or_limit(command);
        case TimeInForce::IOC:
        case TimeInForce::FOK: return is_kind(command, CommandKind::NEW) && is_market_or_limit(command);
    }
    return false;
}

std::int64_t stop_of(const Command& command) {
    if (command.ord_type != byte_of(OrdType::TRAIL)) return command.stop_price;
    return trail_stop(static_cast<Side>(command.side), command.stop_price, command.trail, command.flags);
}

Reason trail_check(const Command& command) {
    const bool is_percent = is_flagged(command, OrderFlag::TRAIL_PERCENT);
    if (command.ord_type != byte_of(OrdType::TRAIL))
        return command.trail == 0 && !is_percent ? Reason::NONE : Reason::BAD_TRAIL;
    if (command.trail == 0 || (is_percent && command.trail >= TRAIL_PARTS)) return Reason::BAD_TRAIL;
    return is_price(stop_of(command)) ? Reason::NONE : Reason::BAD_TRAIL;
}

// The collar of what becomes a market order must leave it something to trade.
bool is_collar(const Command& command) {
    if (command.ord_type != byte_of(OrdType::STOP) && command.ord_type != byte_of(OrdType::TRAIL)) return true;
    const std::int64_t stop = stop_of(command);
    return command.side == byte_of(Side::BUY) ? command.price >= stop : command.price <= stop;
}

Reason prices_check(const Command& command) {
    if (!is_price(command.price)) return Reason::BAD_PRICE;
    if (is_stop(command.ord_type) ? !is_price(command.stop_price) : command.stop_price != 0)
        return Reason::BAD_STOP_PRICE;
    if (const Reason reason = trail_check(command); reason != Reason::NONE) return reason;
    return is_collar(command) ? Reason::NONE : Reason::BAD_PRICE;
}

bool is_cum_quantity(const Command& command) {
    if (!is_kind(command, CommandKind::RESTORE) || !is_resting_limit(command)) return command.cum_quantity == 0;
    return command.cum_quantity >= 0 && command.cum_quantity < command.quantity;
}

bool is_display_quantity(const Command& command) {
    if (command.display_quantity == 0) return true;
    if (!is_resting_limit(command) || command.display_quantity * DISPLAYS_MAX < command.quantity) return false;
    return command.display_quantity <= command.quantity || is_kind(command, CommandKind::RESTORE);
}

bool is_min_quantity(const Command& command) {
    if (command.min_quantity == 0) return true;
    if (is_kind(command, CommandKind::RESTORE))
        return command.min_quantity <=
               std::min<std::int64_t>(command.display_quantity, command.quantity - command.cum_quantity);
    return is_kind(command, CommandKind::NEW) && is_market_or_limit(command) && !is_auction(command.tif) &&
           command.min_quantity <= command.quantity;
}

Reason quantities_check(const Command& command) {
    if (!is_quantity(command.quantity) || !is_cum_quantity(command)) return Reason::BAD_QUANTITY;
    if (!is_display_quantity(command)) return Reason::BAD_DISPLAY_QUANTITY;
    return is_min_quantity(command) ? Reason::NONE : Reason::BAD_MIN_QUANTITY;
}

bool are_flags_fitting(const Command& command) {
    const bool is_post_only = is_flagged(command, OrderFlag::POST_ONLY);
    const bool is_hidden = is_flagged(command, OrderFlag::HIDDEN);
    if ((is_post_only || is_hidden) && !is_resting_limit(command)) return false;
    if (is_hidden && command.display_quantity != 0) return false;
    return !(is_post_only && is_kind(command, CommandKind::NEW) && command.min_quantity != 0);
}

Reason order_check(const Command& command) {
    if (!is_order_id(command.order_id)) return Reason::BAD_ORDER_ID;
    if (is_kind(command, CommandKind::REPLACE) && !is_order_id(command.orig_order_id)) return Reason::BAD_ORDER_ID;
    if (command.side != byte_of(Side::BUY) && command.side != byte_of(Side::SELL)) return Reason::BAD_SIDE;
    if (!is_ord_type(command)) return Reason::BAD_ORD_TYPE;
    if (!is_time_in_force(command)) return Reason::BAD_TIME_IN_FORCE;
    if (command.stp > byte_of(SelfTradePrevention::DECREMENT)) return Reason::BAD_SELF_TRADE_PREVENTION;
    if (const Reason reason = prices_check(command); reason != Reason::NONE) return reason;
    if (const Reason reason = quantities_check(command); reason != Reason::NONE) return reason;
    return are_flags_fitting(command) ? Reason::NONE : Reason::BAD_FLAGS;
}

Reason last_check(const Command& command) {
    if (!is_price(command.price)) return Reason::BAD_PRICE;
    return is_quantity(command.quantity) && command.cum_quantity >= 0 ? Reason::NONE : Reason::BAD_QUANTITY;
}

Reason phase_check(const Command& command) {
    if (command.argument < byte_of(Phase::CONTINUOUS) || command.argument > byte_of(Phase::CLOSED))
        return Reason::BAD_ARGUMENT;
    return command.price == 0 || is_price(command.price) ? Reason::NONE : Reason::BAD_PRICE;
}

Reason bands_check(const Command& command) {
    if (command.price == 0 && command.stop_price == 0) return Reason::NONE;
    const bool are_prices = is_price(command.price) && is_price(command.stop_price);
    return are_prices && command.price <= command.stop_price ? Reason::NONE : Reason::BAD_BANDS;
}

Reason options_check(const Command& command) {
    if (command.argument > 1) return Reason::BAD_ARGUMENT;
    if (command.price == 0) return Reason::NONE;
    const bool is_tick = command.price >= 1 && command.price <= TICK_MAX && TICK_MAX % command.price == 0;
    return is_tick ? Reason::NONE : Reason::BAD_TICK;
}

bool is_mode(std::uint8_t mode) { return mode >= byte_of(Mode::OPEN) && mode <= byte_of(Mode::CANCEL_ONLY); }

// Everything but the kind, which is known.
Reason fields_check(const Command& command) {
    if (command.symbol_id == 0) return Reason::BAD_SYMBOL;
    if ((command.flags & ~FLAGS_ALL) != 0 || command.reserved != 0) return Reason::BAD_FLAGS;
    switch (static_cast<CommandKind>(command.kind)) {
        case CommandKind::NEW:
        case CommandKind::REPLACE:
        case CommandKind::RESTORE: return order_check(command);
        case CommandKind::CANCEL:
        case CommandKind::EXPIRE: return is_order_id(command.orig_order_id) ? Reason::NONE : Reason::BAD_ORDER_ID;
        case CommandKind::RESTORE_LAST: return last_check(command);
        case CommandKind::PHASE: return phase_check(command);
        case CommandKind::BANDS: return bands_check(command);
        case CommandKind::MODE: return is_mode(command.argument) ? Reason::NONE : Reason::BAD_ARGUMENT;
        case CommandKind::OPTIONS: return options_check(command);
    }
    return Reason::BAD_KIND;
}

bool is_command_kind(std::uint8_t kind) {
    return std::ranges::any_of(COMMAND_KIND_CODES, [kind](const NamedCode& code) { return code.code == kind; });
}

}  // namespace

Reason command_check(const Command& command) {
    return is_command_kind(command.kind) ? fields_check(command) : Reason::BAD_KIND;
}

}  // namespace openbell
