// The slab all resting orders live in: what matching reads in one array, the rest in a parallel one.
#pragma once

#include <cstdint>

#include "openbell/arena.hpp"
#include "openbell/types.hpp"

namespace openbell {

struct Level;

struct OrderHot {
    std::uint64_t order_id;
    std::uint64_t owner;
    std::uint32_t leaves;
    std::uint32_t cum;
    Slot next;
    Slot prev;
};

struct OrderCold {
    std::int64_t price;
    std::uint64_t arrival;  // the book's count when the order got its time priority
    Level* level;
    std::uint32_t book;
    Side side;
    TimeInForce tif;
    SelfTradePrevention stp;
};

static_assert(sizeof(OrderHot) == 32 && sizeof(OrderCold) == 32);

class OrderPool {
public:
    explicit OrderPool(std::size_t capacity) : hot_(capacity + 1), cold_(capacity + 1), capacity_(capacity) {}

    bool is_full() const { return count_ == capacity_; }
    std::size_t count() const { return count_; }
    OrderHot& hot(Slot slot) { return hot_[slot]; }
    const OrderHot& hot(Slot slot) const { return hot_[slot]; }
    OrderCold& cold(Slot slot) { return cold_[slot]; }
    const OrderCold& cold(Slot slot) const { return cold_[slot]; }

    // Last in, first out, so that the live set stays in the cache.
    Slot slot_take() {
        invariant(!is_full(), "order taken from a full pool");
        ++count_;
        if (free_ == NO_SLOT) return ++high_water_;
        const Slot slot = free_;
        free_ = hot_[slot].next;
        return slot;
    }

    void slot_give_back(Slot slot) {
        hot_[slot].order_id = 0;
        hot_[slot].next = free_;
        free_ = slot;
        --count_;
    }

    void slot_prefetch(Slot slot) const {
        __builtin_prefetch(&hot_[slot], 1);
        __builtin_prefetch(&cold_[slot], 1);
    }

private:
    Arena<OrderHot> hot_;
    Arena<OrderCold> cold_;
    std::size_t capacity_;
    std::size_t count_ = 0;
    Slot free_ = NO_SLOT;
    Slot high_water_ = 0;
};

}  // namespace openbell
