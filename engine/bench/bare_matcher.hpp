// The yardstick: an array, a bitmap and queues, with limit, market and cancel and no other feature.
#pragma once

#include <bit>
#include <cstdint>

#include "openbell/messages.hpp"

namespace bench {

using openbell::Command;
using openbell::Side;

inline constexpr std::int64_t MIDDLE = 1'000'000;
inline constexpr std::int64_t TICK = 100;
inline constexpr std::int64_t LEVELS_A_SIDE = 63;

struct Trade {
    std::uint64_t taker;
    std::uint64_t maker;
    std::int64_t price;
    std::int64_t quantity;
};

// It checks nothing: orders are numbered 1, 2, 3 ... and priced on 127 levels around the middle, remainders of anything
// but DAY orders are dropped. Asks are kept mirrored, so that on both sides the best level has the highest number.
class BareMatcher {
public:
    struct Order {
        std::uint32_t quantity;  // 0 is not resting
        std::uint32_t next;
        std::uint32_t prev;
        std::uint32_t queue;
    };

    explicit BareMatcher(Order* orders) : orders_(orders) {}

    Trade* process(const Command& command, Trade* trades) {
        if (command.kind == static_cast<std::uint8_t>(openbell::CommandKind::CANCEL)) {
            order_remove(static_cast<std::uint32_t>(command.orig_order_id));
            return trades;
        }
        const bool is_sell = command.side == static_cast<std::uint8_t>(Side::SELL);
        const auto level = static_cast<std::uint32_t>((command.price - MIDDLE) / TICK + LEVELS_A_SIDE + 1);
        auto open = static_cast<std::uint32_t>(command.quantity);
        for (std::uint32_t best; open > 0 && (best = level_best(!is_sell)) >= mirrored(level, !is_sell);) {
            const std::uint32_t maker = queues_[queue_of(best, !is_sell)].head;
            const std::uint32_t quantity = open < orders_[maker].quantity ? open : orders_[maker].quantity;
            *trades++ = {command.order_id, maker, price_of(best, !is_sell), quantity};
            open -= quantity;
            orders_[maker].quantity -= quantity;
            if (orders_[maker].quantity == 0) order_unlink(maker);
        }
        if (open > 0 && command.tif == static_cast<std::uint8_t>(openbell::TimeInForce::DAY))
            order_rest(static_cast<std::uint32_t>(command.order_id), queue_of(mirrored(level, is_sell), is_sell), open);
        return trades;
    }

    // The price of a side's best level, or one that nothing reaches.
    std::int64_t best_price(Side side) const {
        return price_of(level_best(side == Side::SELL), side == Side::SELL);
    }
    std::uint32_t quantity_open(std::uint64_t order_id) const { return orders_[order_id].quantity; }

private:
    static constexpr std::uint32_t LEVELS = 2 * LEVELS_A_SIDE + 2;  // level 0 is nobody's, so that it means none

    struct Queue {
        std::uint32_t head;
        std::uint32_t tail;
    };

    static std::uint32_t mirrored(std::uint32_t level, bool is_sell) { return is_sell ? LEVELS - level : level; }
    static std::int64_t price_of(std::uint32_t level, bool is_sell) {
        return MIDDLE + (std::int64_t{mirrored(level, is_sell)} - LEVELS_A_SIDE - 1) * TICK;
    }
    static std::uint32_t queue_of(std::uint32_t level, bool is_sell) { return level + (is_sell ? LEVELS : 0); }

    std::uint32_t level_best(bool is_sell) const {
        const std::uint64_t* words = occupied_ + (is_sell ? 2 : 0);
        const std::uint32_t word = words[1] != 0 ? 1 : 0;
        return word * 64 + 63 - static_cast<std::uint32_t>(std::countl_zero(words[word] | 1U));
    }

    void order_rest(std::uint32_t id, std::uint32_t at, std::uint32_t quantity) {
        Queue& queue = queues_[at];
        orders_[id] = {quantity, 0, queue.tail, at};
        (queue.tail == 0 ? queue.head : orders_[queue.tail].next) = id;
        queue.tail = id;
        occupied_[at / 64] |= 1ULL << (at % 64);
    }

    void order_remove(std::uint32_t id) {
        if (orders_[id].quantity == 0) return;
        orders_[id].quantity = 0;
        order_unlink(id);
    }

    void order_unlink(std::uint32_t id) {
        const Order& order = orders_[id];
        Queue& queue = queues_[order.queue];
        (order.prev == 0 ? queue.head : orders_[order.prev].next) = order.next;
        (order.next == 0 ? queue.tail : orders_[order.next].prev) = order.prev;
        if (queue.head == 0) occupied_[order.queue / 64] &= ~(1ULL << (order.queue % 64));
    }

    Order* orders_;
    std::uint64_t occupied_[4] = {};
    Queue queues_[2 * LEVELS] = {};
};

}  // namespace bench
