// The events of a book, and what is told at the end of a command.
#include <algorithm>

#include "openbell/order_book.hpp"

namespace openbell {

namespace {

OrdStatus status_of(const Order& order) {
    return order.cum == 0 ? OrdStatus::NEW : OrdStatus::PARTIALLY_FILLED;
}

OrdStatus status_after_fill(std::uint32_t leaves) {
    return leaves == 0 ? OrdStatus::FILLED : OrdStatus::PARTIALLY_FILLED;
}

}  // namespace

Event& OrderBook::order_report(ExecType exec_type, const Order& of, std::uint32_t quantity, Reason reason) {
    Event& event = stores_->events.event_push(exec_type);
    event.ord_status = byte_of(status_of(of));
    event.reason = byte_of(reason);
    event.side = byte_of(of.side);
    event.order_id = of.order_id;
    event.owner = of.owner;
    event.price = of.price;
    event.quantity = quantity;
    event.leaves_qty = of.leaves;
    event.cum_qty = of.cum;
    return event;
}

void OrderBook::cancel_report(ExecType exec_type, const Order& of, Reason reason) {
    Event& event = order_report(exec_type, of, of.leaves, reason);
    event.ord_status = byte_of(exec_type == ExecType::EXPIRED ? OrdStatus::EXPIRED : OrdStatus::CANCELED);
    event.leaves_qty = 0;
}

// Before the quantities of the two are changed.
void OrderBook::trade_report(const Order& taker, const Order& maker, std::int64_t price, std::uint32_t quantity,
                             Reason reason) {
    Event& event = stores_->events.event_push(ExecType::TRADE);
    event.ord_status = byte_of(status_after_fill(taker.leaves - quantity));
    event.contra_ord_status = byte_of(status_after_fill(maker.leaves - quantity));
    event.side = byte_of(taker.side);
    event.reason = byte_of(reason);
    event.order_id = taker.order_id;
    event.contra_order_id = maker.order_id;
    event.owner = taker.owner;
    event.contra_owner = maker.owner;
    event.price = price;
    event.quantity = quantity;
    event.leaves_qty = taker.leaves - quantity;
    event.cum_qty = taker.cum + quantity;
    event.contra_leaves_qty = maker.leaves - quantity;
    event.contra_cum_qty = maker.cum + quantity;
}

void OrderBook::setting_report(ExecType exec_type, const Command& command) {
    Event& event = stores_->events.event_push(exec_type);
    event.price = command.price;
    event.quantity = command.argument;
}

void OrderBook::settings_note() { settings_ = status_ == BookStatus{} ? 0 : 1; }

void OrderBook::command_end() {
    if (!stores_->scratch.elected.empty()) elected_run();
    if (!stores_->scratch.trailed.empty()) trailed_report();
    if (settings_ == 0) return;
    limit_state_report();
    if (!status_.is_publishing) return;
    levels_report();
    tops_report();
}

// In the order in which they came to their stops. Those elected since have left, some have moved more than once.
void OrderBook::trailed_report() {
    std::vector<Slot>& slots = stores_->scratch.slots;
    slots.clear();
    for (const OrderNote& note : stores_->scratch.trailed) {
        const Order& trail = order(note.slot);
        if (trail.order_id == note.order_id && trail.place == Place::STOP) slots.push_back(note.slot);
    }
    stores_->scratch.trailed.clear();
    std::ranges::sort(slots, {}, [this](Slot slot) { return order(slot).arrival; });
    const auto repeated = std::ranges::unique(slots);
    slots.erase(repeated.begin(), repeated.end());
    for (const Slot slot : slots) {
        Event& event = order_report(ExecType::TRAILED, order(slot), 0);
        event.price = extra(slot).mark;
        event.quantity = extra(slot).stop_price;
    }
}

std::uint8_t OrderBook::limit_side_find() const {
    if (!has_bands() || !is_continuous()) return 0;
    const PriceLadder& bids = ladder(Side::BUY);
    if (!bids.is_empty() && bids.best_price() == status_.upper_band) return byte_of(Side::BUY);
    const PriceLadder& asks = ladder(Side::SELL);
    return !asks.is_empty() && asks.best_price() == status_.lower_band ? byte_of(Side::SELL) : 0;
}

void OrderBook::limit_state_report() {
    const std::uint8_t side = limit_side_find();
    if (side == status_.limit_side) return;
    status_.limit_side = side;
    settings_note();
    stores_->events.event_push(ExecType::LIMIT_STATE).side = side;
}

// The first note of a price is what it was before the command.
void OrderBook::levels_report() {
    std::vector<LevelNote>& notes = stores_->scratch.levels;
    std::ranges::sort(notes, [this](const LevelNote& one, const LevelNote& other) {
        if (one.side != other.side) return one.side < other.side;
        return one.price == other.price ? one.at < other.at : ladder(one.side).is_better(one.price, other.price);
    });
    const LevelNote* last = nullptr;
    for (const LevelNote& note : notes) {
        const bool is_first = last == nullptr || last->side != note.side || last->price != note.price;
        last = &note;
        if (!is_first) continue;
        const Level* level = ladder(note.side).level_find(note.price);
        const std::uint64_t quantity = level == nullptr ? 0 : level->quantity;
        const std::uint32_t count = level == nullptr ? 0 : level->count;
        if (quantity == note.quantity && count == note.count) continue;
        Event& event = stores_->events.event_push(ExecType::LEVEL);
        event.side = byte_of(note.side);
        event.price = note.price;
        event.quantity = static_cast<std::int64_t>(quantity);
        event.leaves_qty = count;
    }
    notes.clear();
}

OrderBook::Top OrderBook::top_find(Side side) const {
    Top top{};
    ladder(side).levels_visit([&top](std::int64_t price, const Level& level) {
        if (level.count != 0) top = {price, level.quantity};
        return level.count == 0;
    });
    return top;
}

// What stands now is taken as known: only what changes from here on is published.
void OrderBook::tops_note() {
    for (const Side side : {Side::BUY, Side::SELL}) tops_[static_cast<std::size_t>(side) - 1] = top_find(side);
}

void OrderBook::tops_report() {
    for (const Side side : {Side::BUY, Side::SELL}) {
        const Top top = top_find(side);
        Top& published = tops_[static_cast<std::size_t>(side) - 1];
        if (top == published) continue;
        published = top;
        Event& event = stores_->events.event_push(ExecType::TOP);
        event.side = byte_of(side);
        event.price = top.price;
        event.quantity = static_cast<std::int64_t>(top.quantity);
    }
}

}  // namespace openbell
