// What other threads may read of a book while the engine works: a sequence lock, so no reader ever holds it up.
#pragma once

#include <atomic>
#include <cstdint>

#include "openbell/types.hpp"

namespace openbell {

struct Quote {
    std::int64_t bid_price = 0;  // of what is displayed; 0: none
    std::uint64_t bid_quantity = 0;
    std::int64_t ask_price = 0;
    std::uint64_t ask_quantity = 0;
    std::int64_t last_price = 0;  // 0: no trade yet
    std::int64_t last_quantity = 0;
    std::int64_t last_time_ns = 0;
    std::int64_t volume = 0;
    Phase phase = Phase::CONTINUOUS;
};

class BookView {
public:
    // Only the engine's thread calls this, once per batch that changed the book.
    void quote_publish(const Quote& quote) {
        const std::uint32_t version = version_.load(std::memory_order_relaxed);
        version_.store(version + 1, std::memory_order_relaxed);
        std::atomic_thread_fence(std::memory_order_release);
        put(bid_price_, quote.bid_price);
        put(bid_quantity_, quote.bid_quantity);
        put(ask_price_, quote.ask_price);
        put(ask_quantity_, quote.ask_quantity);
        put(last_price_, quote.last_price);
        put(last_quantity_, quote.last_quantity);
        put(last_time_ns_, quote.last_time_ns);
        put(volume_, quote.volume);
        put(phase_, quote.phase);
        version_.store(version + 2, std::memory_order_release);
    }

    Quote quote_read() const {
        for (;;) {
            const std::uint32_t before = version_.load(std::memory_order_acquire);
            const Quote quote{get(bid_price_), get(bid_quantity_), get(ask_price_),
                              get(ask_quantity_), get(last_price_), get(last_quantity_),
                              get(last_time_ns_), get(volume_), get(phase_)};
            std::atomic_thread_fence(std::memory_order_acquire);
            if (before % 2 == 0 && version_.load(std::memory_order_relaxed) == before) return quote;
        }
    }

private:
    template <typename T>
    static void put(std::atomic<T>& field, T value) { field.store(value, std::memory_order_relaxed); }
    template <typename T>
    static T get(const std::atomic<T>& field) { return field.load(std::memory_order_relaxed); }

    std::atomic<std::uint32_t> version_ = 0;
    std::atomic<std::int64_t> bid_price_ = 0;
    std::atomic<std::uint64_t> bid_quantity_ = 0;
    std::atomic<std::int64_t> ask_price_ = 0;
    std::atomic<std::uint64_t> ask_quantity_ = 0;
    std::atomic<std::int64_t> last_price_ = 0;
    std::atomic<std::int64_t> last_quantity_ = 0;
    std::atomic<std::int64_t> last_time_ns_ = 0;
    std::atomic<std::int64_t> volume_ = 0;
    std::atomic<Phase> phase_ = Phase::CONTINUOUS;
};

}  // namespace openbell
