// How orders come to a book and leave it.
#include "openbell/order_book.hpp"

#include <algorithm>

#include "openbell/command_check.hpp"
#include "openbell/trail.hpp"

namespace openbell {

namespace {

Place place_of(const Command& command) {
    if (is_stop(command.ord_type)) return Place::STOP;
    if (command.tif == byte_of(TimeInForce::OPG)) return Place::OPENING;
    if (command.tif == byte_of(TimeInForce::CLS)) return Place::CLOSING;
    if ((command.flags & byte_of(OrderFlag::HIDDEN)) != 0) return Place::HIDDEN;
    return command.display_quantity != 0 ? Place::ICEBERG : Place::DISPLAYED;
}

}  // namespace

OrderBook::OrderBook(Stores& stores, std::uint32_t symbol_id, std::uint32_t number)
    : stores_(&stores),
      symbol_id_(symbol_id),
      number_(number),
      ladders_{PriceLadder(Side::BUY, stores.pages, stores.far_levels),
               PriceLadder(Side::SELL, stores.pages, stores.far_levels)} {}

OrderBook::Taker OrderBook::taker_make(const Command& command) const {
    Taker taker{};
    taker.order = {.order_id = command.order_id,
                   .owner = command.owner,
                   .price = command.price,
                   .arrival = 0,
                   .level = nullptr,
                   .leaves = static_cast<std::uint32_t>(command.quantity - command.cum_quantity),
                   .cum = static_cast<std::uint32_t>(command.cum_quantity),
                   .next = NO_SLOT,
                   .prev = NO_SLOT,
                   .place = place_of(command),
                   .side = static_cast<Side>(command.side),
                   .ord_type = static_cast<OrdType>(command.ord_type),
                   .tif = static_cast<TimeInForce>(command.tif),
                   .stp = static_cast<SelfTradePrevention>(command.stp),
                   .flags = command.flags,
                   .book = static_cast<std::uint16_t>(number_)};
    taker.limit = command.price;
    taker.extra.display = command.display_quantity;
    if (command.kind == byte_of(CommandKind::NEW)) taker.min_quantity = command.min_quantity;
    if (command.kind == byte_of(CommandKind::RESTORE)) taker.extra.shown = command.min_quantity;
    taker.extra.stop_price = taker.extra.mark = command.stop_price;
    taker.extra.trail = command.trail;
    if (taker.order.ord_type == OrdType::TRAIL)
        taker.extra.stop_price = trail_stop(taker.order.side, taker.extra.mark, command.trail, command.flags);
    return taker;
}

void OrderBook::order_new(const Command& command) {
    Taker taker = taker_make(command);
    order_report(ExecType::NEW, taker.order, taker.order.leaves);
    taker_enter(taker);
}

// The life of an order after its acceptance: it waits, or rests, or trades and then rests or is cancelled.
void OrderBook::taker_enter(Taker& taker) {
    if (taker.order.place == Place::STOP || taker.order.place == Place::OPENING ||
        taker.order.place == Place::CLOSING)
        return order_wait(taker);
    if (!is_continuous()) return order_rest(taker);
    taker_run(taker);
}

void OrderBook::order_cancel(Slot slot, ExecType exec_type) {
    resting_cancel(slot, exec_type, exec_type == ExecType::CANCELED ? Reason::REQUESTED : Reason::NONE);
}

void OrderBook::order_replace(const Command& command, Slot slot) {
    const Order& old = order(slot);
    Taker taker = taker_make(command);
    taker.order.owner = old.owner;
    taker.order.leaves = static_cast<std::uint32_t>(command.quantity - old.cum);
    if (old.ord_type == OrdType::TRAIL) {
        const std::int64_t old_mark = extra(slot).mark;
        taker.extra.mark = old.side == Side::BUY ? std::min(old_mark, taker.extra.mark)
                                                 : std::max(old_mark, taker.extra.mark);
        taker.extra.stop_price = trail_stop(old.side, taker.extra.mark, command.trail, command.flags);
    }
    Event& event = order_report(ExecType::REPLACED, taker.order, taker.order.leaves);
    event.contra_ord_status = byte_of(OrdStatus::REPLACED);
    event.contra_order_id = old.order_id;
    event.contra_owner = old.owner;
    event.contra_cum_qty = old.cum;
    if (keeps_place(slot, taker)) return place_keep(slot, taker);
    order_drop(slot);
    taker_enter(taker);
}

bool OrderBook::keeps_place(Slot slot, const Taker& taker) const {
    const Order& old = order(slot);
    if (taker.order.leaves >= old.leaves) return false;
    if (taker.order.price != old.price || taker.order.flags != old.flags) return false;
    if (taker.extra.display != (old.place == Place::ICEBERG ? extra(slot).display : 0)) return false;
    if (old.place != Place::STOP) return true;
    // The marks of what does not trail are their stops.
    return taker.extra.mark == extra(slot).mark && taker.extra.trail == extra(slot).trail;
}

void OrderBook::place_keep(Slot slot, const Taker& taker) {
    Order& kept = order(slot);
    order_reduce(slot, kept.leaves - taker.order.leaves);
    stores_->index.order_erase(kept.order_id, slot);
    stores_->index.order_put(taker.order.order_id, slot);
    kept.order_id = taker.order.order_id;
    kept.cum = 0;
    kept.tif = taker.order.tif;
    kept.stp = taker.order.stp;
}

void OrderBook::order_restore(const Command& command) {
    const Taker taker = taker_make(command);
    order_report(ExecType::RESTORED, taker.order, taker.order.leaves);
    const bool is_in_book = taker.order.place <= Place::HIDDEN;
    if (is_in_book) return order_rest(taker);
    order_put_waiting(order_take(taker));
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

Slot OrderBook::order_take(const Taker& taker) {
    const Slot slot = stores_->orders.slot_take();
    order(slot) = taker.order;
    if (taker.order.place == Place::ICEBERG || taker.order.place == Place::STOP) extra(slot) = taker.extra;
    stores_->index.order_put(taker.order.order_id, slot);
    return slot;
}

void OrderBook::order_rest(const Taker& taker) {
    const Slot slot = order_take(taker);
    if (taker.order.place == Place::ICEBERG && taker.extra.shown == 0)
        extra(slot).shown = std::min(taker.extra.display, taker.order.leaves);
    book_put(slot);
}

// In its stop's line or an auction's.
void OrderBook::order_put_waiting(Slot slot) {
    Order& waiting = order(slot);
    waiting.arrival = ++arrivals_;
    if (waiting.place != Place::STOP) return stores_->orders.queue_append(auction(waiting.tif), slot);
    stop_book().stop_put(slot);
    ++stop_count_;
}

void OrderBook::order_wait(const Taker& taker) {
    const Slot slot = order_take(taker);
    order_put_waiting(slot);
    if (taker.order.place == Place::STOP && is_continuous() && is_stop_reached(taker)) stop_elect(slot);
}

// Takes an order off, wherever it waits.
void OrderBook::order_drop(Slot slot) {
    const Order& leaving = order(slot);
    switch (leaving.place) {
        case Place::DISPLAYED:
        case Place::ICEBERG:
        case Place::HIDDEN: book_leave(slot); break;
        case Place::STOP:
            stops_->stop_remove(slot);
            --stop_count_;
            break;
        case Place::OPENING:
        case Place::CLOSING: stores_->orders.queue_remove(auction(leaving.tif), slot); break;
        case Place::ELECTED: break;
    }
    stores_->index.order_erase(leaving.order_id, slot);
    stores_->orders.slot_give_back(slot);
}

void OrderBook::resting_cancel(Slot slot, ExecType exec_type, Reason reason) {
    cancel_report(exec_type, order(slot), reason);
    order_drop(slot);
}

}  // namespace openbell
