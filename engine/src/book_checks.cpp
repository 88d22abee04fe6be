// What a book has against a command in its present state. The order of the checks is the order of the rules.
#include "openbell/command_check.hpp"
#include "openbell/order_book.hpp"

namespace openbell {

namespace {

bool is_limit_in_book(const Command& command) {
    return command.ord_type == byte_of(OrdType::LIMIT) && !is_auction(command.tif);
}

// Whether the order can stay after its command: then it needs a slot.
bool may_stay(const Command& command) {
    return is_resting_limit(command) || is_auction(command.tif) || is_stop(command.ord_type);
}

bool needs_matching(const Command& command) {
    if (is_immediate(command.tif) || command.min_quantity != 0) return true;
    return command.ord_type == byte_of(OrdType::MARKET) && !is_auction(command.tif);
}

}  // namespace

Reason OrderBook::mode_check(const Command& command) const {
    if (status_.mode == Mode::CANCEL_ONLY) return Reason::CANCEL_ONLY;
    const bool is_reducing = (command.flags & byte_of(OrderFlag::REDUCE_ONLY)) != 0;
    return status_.mode == Mode::REDUCE_ONLY && !is_reducing ? Reason::REDUCE_ONLY : Reason::NONE;
}

bool OrderBook::are_prices_on_tick(const Command& command) const {
    const bool has_limit =
        command.ord_type == byte_of(OrdType::LIMIT) || command.ord_type == byte_of(OrdType::STOP_LIMIT);
    if (has_limit && !is_on_tick(command.price)) return false;
    const bool has_stop =
        command.ord_type == byte_of(OrdType::STOP) || command.ord_type == byte_of(OrdType::STOP_LIMIT);
    return !has_stop || is_on_tick(command.stop_price);
}

bool OrderBook::is_outside_band(Side side, std::int64_t price) const {
    if (!has_bands() || !is_continuous()) return false;
    return side == Side::BUY ? price > status_.upper_band : price < status_.lower_band;
}

bool OrderBook::would_cross(const Command& command) const {
    return is_continuous() && ladder(side_opposite(static_cast<Side>(command.side))).best_reaches(command.price);
}

// What NEW and REPLACE have in common. A replacement cannot be of a kind that needs matching, and has a slot.
Reason OrderBook::new_check(const Command& command) const {
    const bool is_new = command.kind == byte_of(CommandKind::NEW);
    if (const Reason reason = mode_check(command); reason != Reason::NONE) return reason;
    if (!are_prices_on_tick(command)) return Reason::OFF_TICK;
    if (!is_continuous() && is_new && needs_matching(command)) return Reason::NOT_CONTINUOUS;
    if (is_limit_in_book(command) && is_outside_band(static_cast<Side>(command.side), command.price))
        return Reason::OUTSIDE_BAND;
    // Asked before it trades: an order that could not rest afterwards must not have traded either.
    if (is_new && may_stay(command) && stores_->orders.is_full()) return Reason::BOOK_FULL;
    const bool is_post_only = (command.flags & byte_of(OrderFlag::POST_ONLY)) != 0;
    return is_post_only && would_cross(command) ? Reason::WOULD_CROSS : Reason::NONE;
}

Reason OrderBook::replace_check(const Command& command, Slot slot) const {
    const Order& old = order(slot);
    const auto tif = static_cast<TimeInForce>(command.tif);
    if (command.side != byte_of(old.side)) return Reason::BAD_SIDE;
    if (command.ord_type != byte_of(old.ord_type)) return Reason::BAD_ORD_TYPE;
    if (tif != old.tif && (is_auction(command.tif) || is_auction(byte_of(old.tif)))) return Reason::BAD_TIME_IN_FORCE;
    if (stores_->index.order_find(command.order_id).slot != NO_SLOT) return Reason::DUPLICATE_ORDER;
    if (command.quantity <= old.cum) return Reason::TOO_LATE;
    return new_check(command);
}

Reason OrderBook::restore_check(const Command& command) const {
    if (stores_->orders.is_full()) return Reason::BOOK_FULL;
    return is_limit_in_book(command) && would_cross(command) ? Reason::WOULD_CROSS : Reason::NONE;
}

}  // namespace openbell
