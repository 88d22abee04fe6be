// Entry, cancel, replace and matching of one book.
#include "openbell/order_book.hpp"

#include <algorithm>

namespace openbell {

namespace {

std::uint8_t byte_of(OrdStatus status) { return static_cast<std::uint8_t>(status); }

OrdStatus status_after_fill(std::uint32_t leaves) {
    return leaves == 0 ? OrdStatus::FILLED : OrdStatus::PARTIALLY_FILLED;
}

}  // namespace

OrderBook::OrderBook(Stores& stores, std::uint32_t symbol_id, std::uint32_t number)
    : stores_(&stores),
      symbol_id_(symbol_id),
      number_(number),
      ladders_{PriceLadder(Side::BUY, stores.pages, stores.far_levels),
               PriceLadder(Side::SELL, stores.pages, stores.far_levels)} {}

OrderBook::Taker OrderBook::taker_make(const Command& command) {
    return Taker{.order_id = command.order_id,
                 .owner = command.owner,
                 .price = command.price,
                 .transact_time_ns = command.transact_time_ns,
                 .leaves = static_cast<std::uint32_t>(command.quantity - command.cum_quantity),
                 .cum = static_cast<std::uint32_t>(command.cum_quantity),
                 .side = static_cast<Side>(command.side),
                 .ord_type = static_cast<OrdType>(command.ord_type),
                 .tif = static_cast<TimeInForce>(command.tif),
                 .stp = static_cast<SelfTradePrevention>(command.stp)};
}

void OrderBook::order_new(const Command& command) {
    Taker taker = taker_make(command);
    Event& event = stores_->events.event_push(ExecType::NEW);
    event.ord_status = byte_of(OrdStatus::NEW);
    event.side = command.side;
    event.order_id = taker.order_id;
    event.owner = taker.owner;
    event.price = taker.price;
    event.quantity = event.leaves_qty = taker.leaves;
    taker_run(taker);
}

void OrderBook::order_cancel(Slot slot, ExecType exec_type) {
    resting_cancel(slot, exec_type, exec_type == ExecType::CANCELED ? Reason::REQUESTED : Reason::NONE);
}

void OrderBook::order_replace(const Command& command, Slot slot) {
    OrderHot& hot = stores_->orders.hot(slot);
    OrderCold& cold = stores_->orders.cold(slot);
    const auto leaves = static_cast<std::uint32_t>(command.quantity - hot.cum);
    Event& event = stores_->events.event_push(ExecType::REPLACED);
    event.ord_status = byte_of(OrdStatus::NEW);
    event.contra_ord_status = byte_of(OrdStatus::REPLACED);
    event.side = command.side;
    event.order_id = command.order_id;
    event.contra_order_id = hot.order_id;
    event.owner = event.contra_owner = hot.owner;
    event.price = command.price;
    event.quantity = event.leaves_qty = leaves;
    event.contra_cum_qty = hot.cum;
    if (command.price != cold.price || leaves >= hot.leaves) {
        Taker taker = taker_make(command);
        taker.owner = hot.owner;
        taker.leaves = leaves;
        order_remove(slot);
        taker_run(taker);
        return;
    }
    cold.level->quantity -= hot.leaves - leaves;
    stores_->index.slot_erase(hot.order_id);
    stores_->index.slot_put(command.order_id, slot);
    hot.order_id = command.order_id;
    hot.leaves = leaves;
    hot.cum = 0;
    cold.tif = static_cast<TimeInForce>(command.tif);
    cold.stp = static_cast<SelfTradePrevention>(command.stp);
}

bool OrderBook::restore_would_cross(const Command& command) const {
    return !is_halted_ && ladder(side_opposite(static_cast<Side>(command.side))).best_reaches(command.price);
}

void OrderBook::order_restore(const Command& command) {
    const Taker taker = taker_make(command);
    order_rest(taker);
    Event& event = stores_->events.event_push(ExecType::RESTORED);
    event.ord_status = byte_of(taker.cum == 0 ? OrdStatus::NEW : OrdStatus::PARTIALLY_FILLED);
    event.side = command.side;
    event.order_id = taker.order_id;
    event.owner = taker.owner;
    event.price = taker.price;
    event.quantity = event.leaves_qty = taker.leaves;
    event.cum_qty = taker.cum;
}

void OrderBook::last_restore(const Command& command) {
    last_price_ = command.price;
    last_quantity_ = command.quantity;
    last_time_ns_ = command.transact_time_ns;
    volume_ = command.cum_quantity;
    Event& event = stores_->events.event_push(ExecType::RESTORED);
    event.price = command.price;
    event.quantity = command.quantity;
    event.cum_qty = command.cum_quantity;
}

// The life of an order after its acceptance: it trades, then rests, or what is left of it is cancelled.
void OrderBook::taker_run(Taker& taker) {
    const bool rests = taker.ord_type == OrdType::LIMIT &&
                       (taker.tif == TimeInForce::DAY || taker.tif == TimeInForce::GTC);
    if (is_halted_) {
        invariant(rests, "an immediate order reached a halted book");
        order_rest(taker);
        return;
    }
    if (taker.tif == TimeInForce::FOK && !taker_can_fill(taker)) {
        taker_cancel(taker, Reason::FOK_UNFILLABLE);
        return;
    }
    taker_match(taker);
    if (taker.leaves == 0) return;
    if (rests) {
        order_rest(taker);
    } else {
        taker_cancel(taker, remainder_reason(taker));
    }
}

void OrderBook::taker_match(Taker& taker) {
    PriceLadder& makers = ladder(side_opposite(taker.side));
    const bool guards_self = taker.stp != SelfTradePrevention::NONE && taker.owner != 0;
    while (taker.leaves != 0 && makers.best_reaches(taker.price)) {
        const Slot maker = makers.best().head;
        if (guards_self && stores_->orders.hot(maker).owner == taker.owner) {
            self_trade_prevent(taker, maker);
        } else {
            maker_trade(taker, maker);
        }
    }
}

// Counts only what self-trade prevention would leave to this taker.
bool OrderBook::taker_can_fill(const Taker& taker) const {
    const PriceLadder& makers = ladder(side_opposite(taker.side));
    const bool guards_self = taker.stp != SelfTradePrevention::NONE && taker.owner != 0;
    const std::int64_t sign = taker.side == Side::BUY ? 1 : -1;
    if (!makers.best_reaches(taker.price)) return false;
    std::uint64_t wanted = taker.leaves;
    std::int64_t price = makers.best_price();
    for (const Level* level = &makers.best(); level != nullptr && price * sign <= taker.price * sign;
         level = makers.level_after(price)) {
        if (!guards_self) {
            if (level->quantity >= wanted) return true;
            wanted -= level->quantity;
            continue;
        }
        for (Slot slot = level->head; slot != NO_SLOT; slot = stores_->orders.hot(slot).next) {
            const OrderHot& maker = stores_->orders.hot(slot);
            if (maker.owner == taker.owner) {
                if (taker.stp == SelfTradePrevention::CANCEL_OLDEST) continue;
                return false;
            }
            if (maker.leaves >= wanted) return true;
            wanted -= maker.leaves;
        }
    }
    return false;
}

Reason OrderBook::remainder_reason(const Taker& taker) const {
    if (taker.ord_type == OrdType::LIMIT) return Reason::IOC_REMAINDER;
    return ladder(side_opposite(taker.side)).is_empty() ? Reason::NO_LIQUIDITY : Reason::COLLAR;
}

void OrderBook::taker_cancel(Taker& taker, Reason reason) {
    Event& event = stores_->events.event_push(ExecType::CANCELED);
    event.ord_status = byte_of(OrdStatus::CANCELED);
    event.reason = static_cast<std::uint8_t>(reason);
    event.side = static_cast<std::uint8_t>(taker.side);
    event.order_id = taker.order_id;
    event.owner = taker.owner;
    event.price = taker.price;
    event.quantity = taker.leaves;
    event.cum_qty = taker.cum;
    taker.leaves = 0;
}

void OrderBook::self_trade_prevent(Taker& taker, Slot maker) {
    if (taker.stp != SelfTradePrevention::CANCEL_NEWEST) resting_cancel(maker, ExecType::CANCELED, Reason::SELF_TRADE);
    if (taker.stp != SelfTradePrevention::CANCEL_OLDEST) taker_cancel(taker, Reason::SELF_TRADE);
}

void OrderBook::maker_trade(Taker& taker, Slot maker) {
    const OrderHot& hot = stores_->orders.hot(maker);
    const std::int64_t price = ladder(side_opposite(taker.side)).best_price();
    const std::uint32_t quantity = std::min(taker.leaves, hot.leaves);
    taker.leaves -= quantity;
    taker.cum += quantity;
    Event& event = stores_->events.event_push(ExecType::TRADE);
    event.ord_status = byte_of(status_after_fill(taker.leaves));
    event.contra_ord_status = byte_of(status_after_fill(hot.leaves - quantity));
    event.side = static_cast<std::uint8_t>(taker.side);
    event.order_id = taker.order_id;
    event.contra_order_id = hot.order_id;
    event.owner = taker.owner;
    event.contra_owner = hot.owner;
    event.price = price;
    event.quantity = quantity;
    event.leaves_qty = taker.leaves;
    event.cum_qty = taker.cum;
    event.contra_leaves_qty = hot.leaves - quantity;
    event.contra_cum_qty = hot.cum + quantity;
    trade_note(price, quantity, taker.transact_time_ns);
    order_fill(maker, quantity);
}

void OrderBook::order_rest(const Taker& taker) {
    const Slot slot = stores_->orders.slot_take();
    Level& level = ladder(taker.side).level_open(taker.price);
    stores_->orders.hot(slot) = {taker.order_id, taker.owner, taker.leaves, taker.cum, NO_SLOT, level.tail};
    stores_->orders.cold(slot) = {taker.price, ++arrivals_, &level, number_, taker.side, taker.tif, taker.stp};
    if (level.tail == NO_SLOT) {
        level.head = slot;
    } else {
        stores_->orders.hot(level.tail).next = slot;
    }
    level.tail = slot;
    level.quantity += taker.leaves;
    ++level.count;
    stores_->index.slot_put(taker.order_id, slot);
}

void OrderBook::order_remove(Slot slot) {
    const OrderHot& hot = stores_->orders.hot(slot);
    const OrderCold& cold = stores_->orders.cold(slot);
    Level& level = *cold.level;
    (hot.prev == NO_SLOT ? level.head : stores_->orders.hot(hot.prev).next) = hot.next;
    (hot.next == NO_SLOT ? level.tail : stores_->orders.hot(hot.next).prev) = hot.prev;
    level.quantity -= hot.leaves;
    if (--level.count == 0) ladder(cold.side).level_close(cold.price);
    stores_->index.slot_erase(hot.order_id);
    stores_->orders.slot_give_back(slot);
}

void OrderBook::order_fill(Slot slot, std::uint32_t quantity) {
    OrderHot& hot = stores_->orders.hot(slot);
    if (hot.leaves == quantity) {
        order_remove(slot);
        return;
    }
    hot.leaves -= quantity;
    hot.cum += quantity;
    stores_->orders.cold(slot).level->quantity -= quantity;
}

void OrderBook::resting_cancel(Slot slot, ExecType exec_type, Reason reason) {
    const OrderHot& hot = stores_->orders.hot(slot);
    const OrderCold& cold = stores_->orders.cold(slot);
    Event& event = stores_->events.event_push(exec_type);
    event.ord_status = byte_of(exec_type == ExecType::EXPIRED ? OrdStatus::EXPIRED : OrdStatus::CANCELED);
    event.reason = static_cast<std::uint8_t>(reason);
    event.side = static_cast<std::uint8_t>(cold.side);
    event.order_id = hot.order_id;
    event.owner = hot.owner;
    event.price = cold.price;
    event.quantity = hot.leaves;
    event.cum_qty = hot.cum;
    order_remove(slot);
}

void OrderBook::trade_note(std::int64_t price, std::uint32_t quantity, std::int64_t transact_time_ns) {
    last_price_ = price;
    last_quantity_ = quantity;
    last_time_ns_ = transact_time_ns;
    // A figure for display that decides nothing: it stays at its greatest rather than overflow.
    if (__builtin_add_overflow(volume_, std::int64_t{quantity}, &volume_)) volume_ = INT64_MAX;
}

}  // namespace openbell
