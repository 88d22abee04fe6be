// The orders of many queues, several queues being followed at once: one alone makes the processor wait at every order.
#pragma once

#include <algorithm>
#include <cstddef>
#include <vector>

#include "openbell/order_pool.hpp"

namespace openbell {

class QueueWalk {
public:
    explicit QueueWalk(const OrderPool& orders) : orders_(orders) {}

    void queue_add(const Queue& queue) {
        if (queue.head != NO_SLOT) heads_.push_back(queue.head);
    }

    // Appends the orders of the queues added since the last time, in the order of adding.
    void slots_append(std::vector<Slot>& slots) {
        for (std::size_t first = 0; first < heads_.size(); first += ABREAST) {
            const std::size_t count = std::min(ABREAST, heads_.size() - first);
            queues_follow(first, count);
            for (std::size_t queue = 0; queue < count; ++queue)
                slots.insert(slots.end(), found_[queue].begin(), found_[queue].end());
        }
        heads_.clear();
    }

private:
    static constexpr std::size_t ABREAST = 16;

    void queues_follow(std::size_t first, std::size_t count) {
        Slot at[ABREAST];
        for (std::size_t queue = 0; queue < count; ++queue) {
            found_[queue].clear();
            at[queue] = heads_[first + queue];
        }
        for (bool is_any = true; is_any;) {
            is_any = false;
            for (std::size_t queue = 0; queue < count; ++queue) {
                if (at[queue] == NO_SLOT) continue;
                found_[queue].push_back(at[queue]);
                at[queue] = orders_.order(at[queue]).next;
                orders_.slot_prefetch(at[queue]);
                is_any = true;
            }
        }
    }

    const OrderPool& orders_;
    std::vector<Slot> heads_;
    std::vector<Slot> found_[ABREAST];
};

}  // namespace openbell
