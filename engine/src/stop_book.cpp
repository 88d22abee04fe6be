// Two ladders a side: where the stops stand, and what the trails among them have seen.
#include "openbell/stop_book.hpp"

namespace openbell {

// A buy stop is reached from below, so the lowest is first, as among asks.
StopBook::StopBook(OrderPool& orders, LevelPages& pages, std::pmr::memory_resource& far_levels)
    : orders_(&orders),
      stops_{PriceLadder(Side::SELL, pages, far_levels), PriceLadder(Side::BUY, pages, far_levels)},
      marks_{PriceLadder(Side::BUY, pages, far_levels), PriceLadder(Side::SELL, pages, far_levels)} {}

void StopBook::stop_put(Slot slot) {
    Order& order = orders_->order(slot);
    Level& level = stops(order.side).level_open(orders_->extra(slot).stop_price);
    order.level = &level;
    orders_->queue_append(level.displayed, slot);
    ++level.count;
    if (order.ord_type == OrdType::TRAIL) mark_put(slot);
}

void StopBook::stop_remove(Slot slot) {
    Order& order = orders_->order(slot);
    orders_->queue_remove(order.level->displayed, slot);
    if (--order.level->count == 0) stops(order.side).level_close(orders_->extra(slot).stop_price);
    order.level = nullptr;
    if (order.ord_type == OrdType::TRAIL) mark_remove(slot);
}

void StopBook::mark_put(Slot slot) {
    OrderExtra& extra = orders_->extra(slot);
    Level& level = marks(orders_->order(slot).side).level_open(extra.mark);
    extra.mark_prev = NO_SLOT;
    extra.mark_next = level.displayed.head;
    if (extra.mark_next != NO_SLOT) orders_->extra(extra.mark_next).mark_prev = slot;
    level.displayed.head = slot;
}

void StopBook::mark_remove(Slot slot) {
    const OrderExtra& extra = orders_->extra(slot);
    PriceLadder& ladder = marks(orders_->order(slot).side);
    if (extra.mark_next != NO_SLOT) orders_->extra(extra.mark_next).mark_prev = extra.mark_prev;
    if (extra.mark_prev != NO_SLOT) {
        orders_->extra(extra.mark_prev).mark_next = extra.mark_next;
        return;
    }
    ladder.level_open(extra.mark).displayed.head = extra.mark_next;
    if (extra.mark_next == NO_SLOT) ladder.level_close(extra.mark);
}

Slot StopBook::stop_reached(Side side, std::int64_t price) const {
    return ladder(side).best_reaches(price) ? ladder(side).best().displayed.head : NO_SLOT;
}

void StopBook::trails_improved(std::int64_t price, std::vector<Slot>& slots) const {
    for (const PriceLadder& ladder : marks_) {
        ladder.levels_visit([&](std::int64_t mark, const Level& level) {
            if (!ladder.is_better(mark, price)) return false;
            for (Slot slot = level.displayed.head; slot != NO_SLOT; slot = orders_->extra(slot).mark_next)
                slots.push_back(slot);
            return true;
        });
    }
}

void StopBook::tick_set(std::int32_t tick) {
    for (PriceLadder& ladder : stops_) ladder.tick_set(tick);
    for (PriceLadder& ladder : marks_) ladder.tick_set(tick);
}

}  // namespace openbell
