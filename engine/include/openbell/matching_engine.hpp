// The engine: many books, one batch of commands in, one batch of events out.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "openbell/messages.hpp"
#include "openbell/order_book.hpp"
#include "openbell/snapshot.hpp"

namespace openbell {

struct BookHash {
    std::uint32_t symbol_id;
    std::uint64_t value;
};

// The slots that commands to come are likely to be about, by their place in the batch.
struct SlotsAhead {
    static constexpr std::size_t COUNT = 16;
    Slot slots[COUNT] = {};
};

// Of all books, which it sorts by symbol; those that are 0 do not count.
std::uint64_t books_hash(std::vector<BookHash>& hashes);

// One thread at a time may call it; `quote` alone may be called from any thread at any time.
// It has no clock, no randomness, no input or output: the same commands give the same events and the same state.
class MatchingEngine {
public:
    static constexpr std::size_t ORDERS_EXPECTED = 4'096;

    // Throws std::invalid_argument if a limit is 0 or above ORDERS_MAX or BOOKS_MAX. With more live orders than
    // expected the table of ids grows, once per doubling, while a command waits for it.
    MatchingEngine(std::size_t max_orders, std::size_t max_books, std::size_t orders_expected = ORDERS_EXPECTED);
    ~MatchingEngine();
    MatchingEngine(const MatchingEngine&) = delete;
    MatchingEngine& operator=(const MatchingEngine&) = delete;

    // The events stay valid until the next call. Throws std::invalid_argument above BATCH_COMMANDS_MAX commands.
    std::span<const Event> process(std::span<const Command> commands);

    // Everything that decides future matching, and what can be read of the books.
    Snapshot snapshot() const;
    // An engine that gives the same events from here on. Throws std::invalid_argument for bytes that are damaged, of
    // another version, or more than fits the limits.
    static std::unique_ptr<MatchingEngine> restore(std::span<const std::byte> snapshot, std::size_t max_orders,
                                                   std::size_t max_books);

    std::vector<DepthLevel> depth(std::uint32_t symbol_id, Side side, std::size_t levels) const;
    // Without a symbol, over all books in the order of their symbols.
    std::uint64_t state_hash(std::optional<std::uint32_t> symbol_id = std::nullopt) const;
    std::size_t order_count() const { return stores_.orders.count(); }
    std::uint64_t last_seq() const { return last_seq_; }
    // Nothing for a symbol without a book, or where nothing would trade.
    std::optional<Indication> indication(std::uint32_t symbol_id) const;
    std::optional<BookStatus> book_status(std::uint32_t symbol_id) const;
    std::uint32_t stop_count(std::uint32_t symbol_id) const;
    // As of the last whole batch; nothing for a symbol without a book.
    std::optional<Quote> quote(std::uint32_t symbol_id) const;

private:
    friend class SnapshotWriter;
    friend class SnapshotReader;

    struct BookPlace {
        std::atomic<std::uint32_t> symbol_id;  // 0 is an empty place
        std::uint32_t number;
    };

    template <bool IS_LARGE, bool IS_WIDE> void batch_apply(std::span<const Command> commands);
    bool plain_apply(const Command& command);
    bool plain_cancel_apply(const Command& command);
    bool plain_new_apply(const Command& command);
    void any_apply(const Command& command);
    void new_apply(const Command& command);
    void restore_apply(const Command& command);
    void cancel_apply(const Command& command, ExecType exec_type);
    void replace_apply(const Command& command);
    void book_apply(const Command& command);
    void command_reject(const Command& command, Reason reason);
    void entry_prefetch(const Command& command) const;
    void order_prefetch(const Command& command, SlotsAhead& ahead, std::size_t at) const;
    void neighbours_prefetch(const SlotsAhead& ahead, std::size_t at) const;
    void place_prefetch(const Command& command) const;
    const OrderBook& book_guess(const Command& command) const;
    void batch_prefetch(std::span<const Command> commands, SlotsAhead& ahead) const;
    template <bool IS_LARGE, bool IS_WIDE>
    void commands_prefetch(std::span<const Command> commands, SlotsAhead& ahead, std::size_t at) const;

    // The live order with this id in this book, or NO_SLOT.
    Slot order_find(std::uint32_t symbol_id, std::uint64_t order_id) const;
    Slot order_find(std::uint64_t order_id) const { return stores_.index.order_find(order_id).slot; }
    OrderBook* book_find(std::uint32_t symbol_id) const;
    // The symbol's book, or one prepared for it that `book_open` makes its own; nullptr if there is no room for
    // another.
    OrderBook* book_prepare(std::uint32_t symbol_id);
    void book_open(const OrderBook& book);
    OrderBook& book_at(std::uint32_t number) const { return books_[number]; }
    std::size_t place_guess(std::uint32_t symbol_id) const { return (symbol_id * 0x9E37'79B1U) & (places_size_ - 1); }
    std::size_t place_of(std::uint32_t symbol_id) const;
    void book_touch(OrderBook& book);
    void views_publish();

    mutable Stores stores_;
    std::size_t max_books_;
    std::size_t places_size_;
    Arena<BookPlace> places_;
    mutable Arena<OrderBook> books_;
    std::uint32_t book_count_ = 0;
    std::uint64_t last_seq_ = 0;
    OrderBook* touched_last_ = nullptr;
    std::vector<std::uint32_t> touched_;
    std::vector<bool> is_touched_;
};

}  // namespace openbell
