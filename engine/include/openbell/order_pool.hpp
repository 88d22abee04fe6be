// The slab all live orders live in: one cache line an order, and what only some need in a parallel array.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

#include "openbell/arena.hpp"
#include "openbell/types.hpp"

namespace openbell {

struct Level;

// Where an order waits: in the book (three ways of it), for its stop, for an auction, or for its turn to act.
enum class Place : std::uint8_t { DISPLAYED, ICEBERG, HIDDEN, STOP, OPENING, CLOSING, ELECTED };

struct alignas(64) Order {
    std::uint64_t order_id;  // 0: the slot is free
    std::uint64_t owner;
    std::int64_t price;
    std::uint64_t arrival;  // the book's count when the order came to its place
    Level* level;           // of its price or its stop; nullptr in an auction's queue
    std::uint32_t leaves;
    std::uint32_t cum;
    Slot next;
    Slot prev;
    // In the order of a command's one-byte fields, so that most come from there as one number.
    Place place;
    Side side;
    OrdType ord_type;
    TimeInForce tif;
    SelfTradePrevention stp;
    std::uint8_t flags;
    std::uint16_t book;

    // The W of the state hash.
    std::uint32_t word() const {
        return static_cast<std::uint32_t>(tif) | static_cast<std::uint32_t>(stp) << 8U |
               static_cast<std::uint32_t>(flags) << 16U | static_cast<std::uint32_t>(ord_type) << 24U;
    }
    // The last eight bytes.
    void codes_set(std::uint64_t word) {
        std::memcpy(reinterpret_cast<unsigned char*>(this) + CODES_AT, &word, sizeof word);
    }

    static constexpr std::size_t CODES_AT = 56;
};

// Memory that only icebergs, stops and trails touch.
struct OrderExtra {
    std::int64_t stop_price;
    std::int64_t mark;
    std::uint32_t trail;
    Slot mark_next;  // the trails that share a mark, in no order
    Slot mark_prev;
    std::uint32_t display;
    std::uint32_t shown;
    std::uint32_t unused;
};

static_assert(Order::CODES_AT == offsetof(Order, place) && offsetof(Order, book) == Order::CODES_AT + 6);
static_assert(sizeof(Order) == 64 && sizeof(OrderExtra) == 40);
static_assert(BOOKS_MAX <= 1ULL << 16U, "an order holds its book's number in 16 bits");

class OrderPool {
public:
    explicit OrderPool(std::size_t capacity) : orders_(capacity + 1), extras_(capacity + 1), capacity_(capacity) {}

    bool is_full() const { return count_ == capacity_; }
    std::size_t count() const { return count_; }
    Order& order(Slot slot) { return orders_[slot]; }
    const Order& order(Slot slot) const { return orders_[slot]; }
    OrderExtra& extra(Slot slot) { return extras_[slot]; }
    const OrderExtra& extra(Slot slot) const { return extras_[slot]; }
    const Order* data() const { return orders_.data(); }

    // Last in, first out, so that the live set stays in the cache.
    Slot slot_take() {
        ++count_;
        if (free_ == NO_SLOT) {
            invariant(high_water_ < capacity_, "order taken from a full pool");
            return ++high_water_;
        }
        const Slot slot = free_;
        free_ = orders_[slot].next;
        return slot;
    }

    void slot_give_back(Slot slot) {
        orders_[slot].order_id = 0;
        orders_[slot].next = free_;
        free_ = slot;
        --count_;
    }

    void queue_append(Queue& queue, Slot slot) {
        orders_[slot].next = NO_SLOT;
        orders_[slot].prev = queue.tail;
        (queue.tail == NO_SLOT ? queue.head : orders_[queue.tail].next) = slot;
        queue.tail = slot;
    }

    void queue_remove(Queue& queue, Slot slot) {
        const Order& order = orders_[slot];
        (order.prev == NO_SLOT ? queue.head : orders_[order.prev].next) = order.next;
        (order.next == NO_SLOT ? queue.tail : orders_[order.next].prev) = order.prev;
    }

    // Calls visit(slot, order) from the head on.
    template <typename Visit>
    void queue_visit(const Queue& queue, Visit visit) const {
        for (Slot slot = queue.head; slot != NO_SLOT; slot = orders_[slot].next) visit(slot, orders_[slot]);
    }

    // Calls visit(slot) for each, with the orders to come fetched ahead.
    template <typename Visit>
    void slots_visit(std::span<const Slot> slots, Visit visit) const {
        constexpr std::size_t DISTANCE = 12;
        for (std::size_t at = 0; at < slots.size(); ++at) {
            if (at + DISTANCE < slots.size()) slot_prefetch(slots[at + DISTANCE]);
            visit(slots[at]);
        }
    }

    [[gnu::always_inline]] void slot_prefetch(Slot slot) const { __builtin_prefetch(&orders_[slot], 1); }

private:
    Arena<Order> orders_;
    Arena<OrderExtra> extras_;
    std::size_t capacity_;
    std::size_t count_ = 0;
    Slot free_ = NO_SLOT;
    Slot high_water_ = 0;
};

}  // namespace openbell
