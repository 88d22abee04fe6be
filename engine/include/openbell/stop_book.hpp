// The stops of one book that wait for a price, by stop; the trailing ones also by mark.
#pragma once

#include <cstdint>
#include <memory_resource>
#include <vector>

#include "openbell/order_pool.hpp"
#include "openbell/price_ladder.hpp"

namespace openbell {

class StopBook {
public:
    StopBook(OrderPool& orders, LevelPages& pages, std::pmr::memory_resource& far_levels);

    // Puts an order behind those at its stop.
    void stop_put(Slot slot);
    void stop_remove(Slot slot);
    // The first of a side's stops if this price reaches it, else NO_SLOT.
    Slot stop_reached(Side side, std::int64_t price) const;
    // Appends the trails whose mark this price improves.
    void trails_improved(std::int64_t price, std::vector<Slot>& slots) const;
    // Buy stops from the lowest, sell stops from the highest.
    const PriceLadder& ladder(Side side) const { return stops_[static_cast<std::size_t>(side) - 1]; }
    void tick_set(std::int32_t tick);

private:
    PriceLadder& stops(Side side) { return stops_[static_cast<std::size_t>(side) - 1]; }
    PriceLadder& marks(Side side) { return marks_[static_cast<std::size_t>(side) - 1]; }
    void mark_put(Slot slot);
    void mark_remove(Slot slot);

    OrderPool* orders_;
    PriceLadder stops_[2];
    PriceLadder marks_[2];  // the one a price improves first is the best: sell trails from the lowest mark
};

}  // namespace openbell
