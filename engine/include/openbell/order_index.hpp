// The one table from an order's id to its slot: open addressing, at most half full.
#pragma once

#include <bit>
#include <cstdint>

#include "openbell/arena.hpp"
#include "openbell/types.hpp"

namespace openbell {

class OrderIndex {
public:
    explicit OrderIndex(std::size_t capacity)
        : size_(std::bit_ceil(capacity * 2 + 2)), shift_(64 - std::countr_zero(size_)), entries_(size_) {}

    Slot slot_find(std::uint64_t order_id) const {
        for (std::size_t at = home(order_id);; at = next(at)) {
            if (entries_[at].order_id == order_id) return entries_[at].slot;
            if (entries_[at].order_id == 0) return NO_SLOT;
        }
    }

    void slot_put(std::uint64_t order_id, Slot slot) {
        std::size_t at = home(order_id);
        while (entries_[at].order_id != 0) at = next(at);
        entries_[at] = {order_id, slot, 0};
    }

    // Closes the gap by moving later entries back, so that no tombstones slow the table down with age.
    void slot_erase(std::uint64_t order_id) {
        std::size_t gap = home(order_id);
        while (entries_[gap].order_id != order_id) {
            invariant(entries_[gap].order_id != 0, "erased order is not in the index");
            gap = next(gap);
        }
        for (std::size_t at = next(gap); entries_[at].order_id != 0; at = next(at)) {
            if (distance(home(entries_[at].order_id), at) >= distance(gap, at)) {
                entries_[gap] = entries_[at];
                gap = at;
            }
        }
        entries_[gap].order_id = 0;
    }

    void entry_prefetch(std::uint64_t order_id) const { __builtin_prefetch(&entries_[home(order_id)], 1); }

private:
    struct Entry {
        std::uint64_t order_id;  // 0 is an empty place
        Slot slot;
        std::uint32_t unused;
    };

    // Ids are time-ordered numbers that share their high bits; the golden ratio spreads what differs.
    std::size_t home(std::uint64_t order_id) const { return (order_id * 0x9E37'79B9'7F4A'7C15ULL) >> shift_; }
    std::size_t next(std::size_t at) const { return (at + 1) & (size_ - 1); }
    std::size_t distance(std::size_t from, std::size_t to) const { return (to - from) & (size_ - 1); }

    std::size_t size_;
    int shift_;
    Arena<Entry> entries_;
};

}  // namespace openbell
