// What most commands take: a plain order in a plain book, done without a question about any feature. It does to the
// book exactly what the general path would do, and reports it with the same events; nothing here is needed for a book
// to be right, only for it to be fast.
#pragma once

#include <algorithm>

#include "openbell/order_book.hpp"

namespace openbell {

static_assert(byte_of(Place::DISPLAYED) == 0, "a plain order's place is written as the absence of a kind");

// The fields that all events of an order have, and zeros for those that only some have.
[[gnu::always_inline]] inline Event& OrderBook::plain_event(const Command& command, std::uint32_t n) {
    Event& event = stores_->events.event_next();
    event.seq = command.seq;
    event.symbol_id = command.symbol_id;
    event.n = n;
    return event;
}

[[gnu::always_inline]] inline void OrderBook::plain_leave(Slot slot, const Order& leaving) {
    Level& level = *leaving.level;
    stores_->orders.queue_remove(level.displayed, slot);
    level.quantity -= leaving.leaves;
    if (--level.count == 0) [[unlikely]] ladder(leaving.side).level_close(leaving.price);
}

[[gnu::always_inline]] inline void OrderBook::plain_cancel(const Command& command, OrderIndex::Found found) {
    const Order& leaving = order(found.slot);
    Event& event = plain_event(command, 0);
    event.order_id = leaving.order_id;
    event.contra_order_id = 0;
    event.owner = leaving.owner;
    event.contra_owner = 0;
    event.price = leaving.price;
    event.quantity = leaving.leaves;
    event.leaves_qty = 0;
    event.cum_qty = leaving.cum;
    event.contra_leaves_qty = 0;
    event.contra_cum_qty = 0;
    event.codes_set(ExecType::CANCELED, OrdStatus::CANCELED, OrdStatus::NONE, byte_of(leaving.side), Reason::REQUESTED);
    plain_leave(found.slot, leaving);
    stores_->index.entry_erase(found, command.orig_order_id);
    stores_->orders.slot_give_back(found.slot);
}

[[gnu::always_inline]] inline void OrderBook::plain_new(const Command& command, OrderIndex::Found found,
                                                        bool rests) {
    const auto side = static_cast<Side>(command.side);
    const auto quantity = static_cast<std::uint32_t>(command.quantity);
    Event& event = plain_event(command, 0);
    event.order_id = command.order_id;
    event.contra_order_id = 0;
    event.owner = command.owner;
    event.contra_owner = 0;
    event.price = command.price;
    event.quantity = quantity;
    event.leaves_qty = quantity;
    event.cum_qty = 0;
    event.contra_leaves_qty = 0;
    event.contra_cum_qty = 0;
    event.codes_set(ExecType::NEW, OrdStatus::NEW, OrdStatus::NONE, command.side, Reason::NONE);
    if (rests && !ladder(side_opposite(side)).best_reaches(command.price)) return plain_rest(command, found, quantity);
    plain_match(command, quantity);
}

[[gnu::always_inline]] inline void OrderBook::plain_rest(const Command& command, OrderIndex::Found found,
                                                         std::uint32_t leaves) {
    const auto side = static_cast<Side>(command.side);
    const Slot slot = stores_->orders.slot_take();
    Level& level = ladder(side).level_open(command.price);
    Order& resting = order(slot);
    resting.order_id = command.order_id;
    resting.owner = command.owner;
    resting.price = command.price;
    resting.arrival = ++arrivals_;
    resting.level = &level;
    resting.leaves = leaves;
    resting.cum = 0;
    resting.next = NO_SLOT;
    resting.prev = level.displayed.tail;
    // The kind's byte becomes the place, which is 0, and the last two the book.
    resting.codes_set((command.codes() & 0x0000'FFFF'FFFF'FF00ULL) | std::uint64_t{number_} << 48U);
    (level.displayed.tail == NO_SLOT ? level.displayed.head : order(level.displayed.tail).next) = slot;
    level.displayed.tail = slot;
    level.quantity += leaves;
    ++level.count;
    stores_->index.order_put_at(found, command.order_id, slot);
}

}  // namespace openbell
