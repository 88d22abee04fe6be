// Orders at their price: coming to it, being filled or reduced there, and leaving.
#include <algorithm>

#include "openbell/order_book.hpp"

namespace openbell {

void OrderBook::level_note(Side side, std::int64_t price, const Level& level) {
    if (!status_.is_publishing) return;
    std::vector<LevelNote>& notes = stores_->scratch.levels;
    notes.push_back({price, level.quantity, level.count, static_cast<std::uint32_t>(notes.size()), side});
}

// What others see of an order.
std::uint32_t OrderBook::shown_of(Slot slot) const {
    const Order& resting = order(slot);
    if (resting.place == Place::HIDDEN) return 0;
    return resting.place == Place::ICEBERG ? extra(slot).shown : resting.leaves;
}

std::uint64_t OrderBook::level_total(const Level& level) const {
    if (level.specials == 0) return level.quantity;
    std::uint64_t total = 0;
    const auto add = [&total](Slot, const Order& resting) { total += resting.leaves; };
    stores_->orders.queue_visit(level.displayed, add);
    stores_->orders.queue_visit(level.hidden, add);
    return total;
}

// Behind those of its kind, with a time of its own.
void OrderBook::book_put(Slot slot) {
    Order& resting = order(slot);
    Level& level = ladder(resting.side).level_open(resting.price);
    resting.level = &level;
    resting.arrival = ++arrivals_;
    if (resting.place != Place::DISPLAYED) {
        ++level.specials;
        ++special_count_;
    }
    if (resting.place == Place::HIDDEN) return stores_->orders.queue_append(level.hidden, slot);
    level_note(resting.side, resting.price, level);
    stores_->orders.queue_append(level.displayed, slot);
    level.quantity += shown_of(slot);
    ++level.count;
}

void OrderBook::book_leave(Slot slot) {
    const Order& leaving = order(slot);
    Level& level = *leaving.level;
    const bool is_hidden = leaving.place == Place::HIDDEN;
    if (leaving.place != Place::DISPLAYED) {
        --level.specials;
        --special_count_;
    }
    if (!is_hidden) level_note(leaving.side, leaving.price, level);
    stores_->orders.queue_remove(is_hidden ? level.hidden : level.displayed, slot);
    if (!is_hidden) {
        level.quantity -= shown_of(slot);
        --level.count;
    }
    if (level.is_empty()) ladder(leaving.side).level_close(leaving.price);
}

void OrderBook::order_fill(Slot slot, std::uint32_t quantity) {
    Order& filled = order(slot);
    if (filled.leaves == quantity) {
        book_leave(slot);
        stores_->index.order_erase(filled.order_id, slot);
        stores_->orders.slot_give_back(slot);
        return;
    }
    if (filled.place == Place::ICEBERG) return iceberg_fill(slot, quantity);
    level_note(filled.side, filled.price, *filled.level);
    filled.leaves -= quantity;
    filled.cum += quantity;
    if (filled.place == Place::DISPLAYED) filled.level->quantity -= quantity;
}

// Takes what is shown first; when that is gone and more is left, it shows anew behind the displayed orders.
void OrderBook::iceberg_fill(Slot slot, std::uint32_t quantity) {
    Order& filled = order(slot);
    OrderExtra& berg = extra(slot);
    Level& level = *filled.level;
    level_note(filled.side, filled.price, level);
    filled.leaves -= quantity;
    filled.cum += quantity;
    const std::uint32_t taken = std::min(quantity, berg.shown);
    berg.shown -= taken;
    level.quantity -= taken;
    if (berg.shown != 0) return;
    berg.shown = std::min(berg.display, filled.leaves);
    level.quantity += berg.shown;
    stores_->orders.queue_remove(level.displayed, slot);
    stores_->orders.queue_append(level.displayed, slot);
    filled.arrival = ++arrivals_;
    order_report(ExecType::REFRESHED, filled, berg.shown);
}

// Takes leaves off an order that keeps its place and some leaves, wherever it waits.
void OrderBook::order_reduce(Slot slot, std::uint32_t quantity) {
    Order& reduced = order(slot);
    const bool is_seen = reduced.place == Place::DISPLAYED || reduced.place == Place::ICEBERG;
    if (is_seen) level_note(reduced.side, reduced.price, *reduced.level);
    const std::uint32_t shown_before = shown_of(slot);
    reduced.leaves -= quantity;
    if (reduced.place == Place::ICEBERG) extra(slot).shown = std::min(shown_before, reduced.leaves);
    if (is_seen) reduced.level->quantity -= shown_before - shown_of(slot);
}

}  // namespace openbell
