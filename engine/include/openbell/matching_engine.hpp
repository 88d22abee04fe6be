// The engine: many books, one batch of commands in, one batch of events out.
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "openbell/messages.hpp"
#include "openbell/order_book.hpp"

namespace openbell {

// One thread at a time may call it; `quote` alone may be called from any thread at any time.
// It has no clock, no randomness, no input or output: the same commands give the same events and the same state.
class MatchingEngine {
public:
    // Throws std::invalid_argument if a limit is 0 or above ORDERS_MAX or BOOKS_MAX.
    MatchingEngine(std::size_t max_orders, std::size_t max_books);
    ~MatchingEngine();
    MatchingEngine(const MatchingEngine&) = delete;
    MatchingEngine& operator=(const MatchingEngine&) = delete;

    // The events stay valid until the next call. Throws std::invalid_argument above BATCH_COMMANDS_MAX commands.
    std::span<const Event> process(std::span<const Command> commands);

    std::vector<DepthLevel> depth(std::uint32_t symbol_id, Side side, std::size_t levels) const;
    // Without a symbol, over all books in the order of their symbols.
    std::uint64_t state_hash(std::optional<std::uint32_t> symbol_id = std::nullopt) const;
    std::size_t order_count() const { return stores_.orders.count(); }
    // As of the last whole batch; nothing for a symbol without a book.
    std::optional<Quote> quote(std::uint32_t symbol_id) const;

private:
    struct BookPlace {
        std::atomic<std::uint32_t> symbol_id;  // 0 is an empty place
        std::uint32_t number;
    };

    void command_apply(const Command& command);
    void new_apply(const Command& command);
    void restore_apply(const Command& command);
    void cancel_apply(const Command& command, ExecType exec_type);
    void replace_apply(const Command& command);
    void book_apply(const Command& command);
    void command_reject(const Command& command, Reason reason);
    void entry_prefetch(const Command& command) const;
    void order_prefetch(const Command& command) const;

    // The live order with this id in this book, or NO_SLOT.
    Slot order_find(std::uint32_t symbol_id, std::uint64_t order_id) const;
    const OrderBook* book_find(std::uint32_t symbol_id) const;
    // Finds or opens; nullptr, and the command rejected, when there is no room for another book.
    OrderBook* book_open(const Command& command);
    OrderBook& book_at(std::uint32_t number) const { return books_[number]; }
    std::size_t place_of(std::uint32_t symbol_id) const;
    void book_touch(const OrderBook& book);
    void views_publish();

    Stores stores_;
    std::size_t max_books_;
    std::size_t places_size_;
    Arena<BookPlace> places_;
    mutable Arena<OrderBook> books_;
    std::uint32_t book_count_ = 0;
    std::vector<std::uint32_t> touched_;
    std::vector<bool> is_touched_;
};

}  // namespace openbell
