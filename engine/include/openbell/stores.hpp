// What the books of one engine share: the orders, the table of ids, the events, and room to work in.
#pragma once

#include <cstdint>
#include <memory_resource>
#include <vector>

#include "openbell/auction.hpp"
#include "openbell/event_buffer.hpp"
#include "openbell/order_index.hpp"
#include "openbell/order_pool.hpp"
#include "openbell/price_ladder.hpp"

namespace openbell {

// What a published level was before the command changed it.
struct LevelNote {
    std::int64_t price;
    std::uint64_t quantity;
    std::uint32_t count;
    std::uint32_t at;  // among the command's notes
    Side side;
};

// An order met again later in the same command, if it still lives by then.
struct OrderNote {
    std::uint64_t order_id;
    Slot slot;
};

// Emptied by the end of every command and kept for the next, so that nothing is allocated once it is warm.
struct Scratch {
    std::vector<Slot> elected;         // stops that wait for their turn to act
    std::vector<OrderNote> trailed;    // trails whose mark a trade has moved
    std::vector<OrderNote> joined;     // orders that joined an uncross
    std::vector<LevelNote> levels;
    std::vector<Slot> slots;
    std::vector<AuctionPoint> points;
};

struct Stores {
    Stores(std::size_t orders_max, std::size_t books_max, std::size_t orders_expected)
        : orders(orders_max), index(orders, orders_expected), pages(orders_max, books_max) {}

    OrderPool orders;
    OrderIndex index;
    LevelPages pages;
    std::pmr::unsynchronized_pool_resource far_levels;
    EventBuffer events;
    Scratch scratch;
};

}  // namespace openbell
