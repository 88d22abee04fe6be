// One symbol's book: priority, matching, stops, auctions, bands. It trusts its commands to be checked.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "openbell/auction.hpp"
#include "openbell/book_view.hpp"
#include "openbell/messages.hpp"
#include "openbell/snapshot.hpp"
#include "openbell/state_hash.hpp"
#include "openbell/stop_book.hpp"
#include "openbell/stores.hpp"

namespace openbell {

struct DepthLevel {
    std::int64_t price;
    std::uint64_t quantity;
    std::uint32_t order_count;
};

struct BookStatus {
    Phase phase = Phase::CONTINUOUS;
    Mode mode = Mode::OPEN;
    std::uint8_t limit_side = 0;  // of the limit state; 0: none
    bool is_publishing = false;
    std::int32_t tick = TICK_DEFAULT;
    std::int64_t lower_band = 0;  // both 0: none
    std::int64_t upper_band = 0;
    bool operator==(const BookStatus&) const = default;
};

enum class BookSection : std::size_t { BIDS, ASKS, STOPS, AUCTIONS };

// The orders of a book in the order of the state hash.
struct BookOrders {
    std::vector<Slot> slots;
    std::size_t ends[4] = {};

    std::span<const Slot> section(BookSection section) const {
        const auto at = static_cast<std::size_t>(section);
        const std::size_t begin = at == 0 ? 0 : ends[at - 1];
        return std::span(slots).subspan(begin, ends[at] - begin);
    }
};

class alignas(64) OrderBook {
public:
    OrderBook(Stores& stores, std::uint32_t symbol_id, std::uint32_t number);

    std::uint32_t symbol_id() const { return symbol_id_; }
    std::uint32_t number() const { return number_; }
    const BookStatus& status() const { return status_; }
    std::uint32_t stop_count() const { return stop_count_; }
    // No feature is in use: an order that asks for none needs the plain path only.
    bool is_plain() const { return (settings_ | stop_count_ | special_count_) == 0; }

    // Steps on the way to what a NEW or a CANCEL looks at, for later.
    [[gnu::always_inline]] void book_prefetch() const {
        __builtin_prefetch(this);
        __builtin_prefetch(&ladders_[0], 1);
        __builtin_prefetch(&ladders_[1], 1);
    }
    [[gnu::always_inline]] void page_prefetch(const Command& command) const {
        ladders_[command.side == byte_of(Side::SELL)].page_prefetch(command.price);
    }
    [[gnu::always_inline]] void level_prefetch(const Command& command) const {
        ladders_[command.side == byte_of(Side::SELL)].level_prefetch(command.price);
    }
    [[gnu::always_inline]] void view_prefetch() const { __builtin_prefetch(&view_, 1); }

    // What speaks against a command in this book's present state; NONE: it may be applied.
    Reason new_check(const Command& command) const;
    Reason replace_check(const Command& command, Slot slot) const;
    Reason restore_check(const Command& command) const;

    // plain_path.hpp; for a plain order in a plain book whose id is not in the index, and an order displayed in one.
    // They do all that their command asks.
    void plain_new(const Command& command, OrderIndex::Found found, bool rests);
    void plain_cancel(const Command& command, OrderIndex::Found found);

    // Each of these is followed by `command_end`.
    void order_new(const Command& command);
    void order_cancel(Slot slot, ExecType exec_type);
    void order_replace(const Command& command, Slot slot);
    void order_restore(const Command& command);
    void last_restore(const Command& command);
    // As a snapshot has it: first the book, then its orders, without an event and with the time each had (false if
    // those before it came later), at last what follows from them (false if the snapshot says otherwise).
    void load_begin(const SnapshotBook& record);
    bool order_load(const Command& command, std::uint64_t arrival);
    bool load_end(const SnapshotBook& record);
    void phase_set(const Command& command);
    void bands_set(const Command& command);
    void mode_set(const Command& command);
    void options_set(const Command& command);
    // Lets elected stops act and reports what has changed.
    void command_end();

    std::vector<DepthLevel> depth(Side side, std::size_t levels) const;
    std::optional<Indication> indication() const;
    // 0 for a book that holds nothing a new one would not.
    std::uint64_t state_hash() const;
    std::uint64_t state_hash(const BookOrders& all) const;
    BookOrders orders_all() const;
    void view_publish() { view_.quote_publish(quote()); }
    const BookView& view() const { return view_; }

private:
    friend class SnapshotWriter;

    // An order on its way through the book, not resting anywhere.
    struct Taker {
        Order order;
        OrderExtra extra;
        std::int64_t limit;  // the worst price it may trade at: its own, or the band before it
        std::uint32_t min_quantity;
    };
    struct Top {
        std::int64_t price;
        std::uint64_t quantity;
        bool operator==(const Top&) const = default;
    };

    PriceLadder& ladder(Side side) { return ladders_[static_cast<std::size_t>(side) - 1]; }
    const PriceLadder& ladder(Side side) const { return ladders_[static_cast<std::size_t>(side) - 1]; }
    Queue& auction(TimeInForce tif) { return auctions_[tif == TimeInForce::OPG ? 0 : 1]; }
    Order& order(Slot slot) { return stores_->orders.order(slot); }
    const Order& order(Slot slot) const { return stores_->orders.order(slot); }
    OrderExtra& extra(Slot slot) { return stores_->orders.extra(slot); }
    const OrderExtra& extra(Slot slot) const { return stores_->orders.extra(slot); }
    bool is_continuous() const { return status_.phase == Phase::CONTINUOUS; }
    bool has_bands() const { return status_.upper_band != 0; }
    bool is_crossed() const;
    bool is_pristine() const;

    // book_checks.cpp
    Reason mode_check(const Command& command) const;
    bool is_on_tick(std::int64_t price) const { return price < ONE_DOLLAR_UNITS || price % status_.tick == 0; }
    bool are_prices_on_tick(const Command& command) const;
    bool is_outside_band(Side side, std::int64_t price) const;
    bool would_cross(const Command& command) const;

    // order_book.cpp: how orders come and go
    Taker taker_make(const Command& command) const;
    void taker_enter(Taker& taker);
    Slot order_take(const Taker& taker);
    void order_rest(const Taker& taker);
    void order_wait(const Taker& taker);
    void order_put_waiting(Slot slot);
    void order_drop(Slot slot);
    bool keeps_place(Slot slot, const Taker& taker) const;
    void place_keep(Slot slot, const Taker& taker);
    void resting_cancel(Slot slot, ExecType exec_type, Reason reason);

    // book_queues.cpp: orders at their price
    void book_put(Slot slot);
    void book_leave(Slot slot);
    void order_fill(Slot slot, std::uint32_t quantity);
    void iceberg_fill(Slot slot, std::uint32_t quantity);
    void order_reduce(Slot slot, std::uint32_t quantity);
    void level_note(Side side, std::int64_t price, const Level& level);
    std::uint32_t shown_of(Slot slot) const;
    std::uint64_t level_total(const Level& level) const;

    // plain_path.hpp
    Event& plain_event(const Command& command, std::uint32_t n);
    void plain_leave(Slot slot, const Order& leaving);
    void plain_rest(const Command& command, OrderIndex::Found found, std::uint32_t leaves);
    void plain_match(const Command& command, std::uint32_t leaves);
    void plain_match_on(const Command& command, std::uint32_t leaves, std::uint32_t n);
    void makers_prefetch(Slot first) const;

    // book_matching.cpp
    void taker_match(Taker& taker);
    void maker_trade(Taker& taker, Slot maker, std::int64_t price);
    void taker_run(Taker& taker);
    std::int64_t taker_limit(const Order& order) const;
    std::uint64_t taker_tradable(const Taker& taker, std::uint64_t wanted) const;
    class TradableCount;
    Reason remainder_reason(const Taker& taker) const;
    void taker_cancel(Taker& taker, Reason reason);
    void self_trade_prevent(Taker& taker, Slot maker);
    void taker_reduce(Taker& taker, std::uint32_t quantity);
    void resting_reduce(Slot slot, std::uint32_t quantity);
    void trade_note(std::int64_t price, std::uint32_t quantity, std::int64_t transact_time_ns);

    // book_stops.cpp
    StopBook& stop_book();
    void stops_react(std::int64_t price);
    void trails_move(std::int64_t price);
    void stop_elect(Slot slot);
    bool is_stop_reached(const Taker& taker) const;
    void stops_elect(std::int64_t price);
    void elected_run();
    void elected_act(Slot slot);

    // book_auction.cpp
    void auction_join(TimeInForce tif);
    void joined_cancel();
    void uncross(std::int64_t phase_price);
    void uncross_at(std::int64_t price);
    bool crossed_self_trade(Slot older, Slot younger);
    void crossed_trade(Slot older, Slot younger, std::int64_t price);
    void continuous_begin(Phase old, std::int64_t phase_price);
    void closed_begin(Phase old, std::int64_t phase_price);
    std::optional<Indication> auction_price(std::int64_t phase_price, const Queue* joining) const;
    void bands_apply();

    // book_reports.cpp
    Event& order_report(ExecType exec_type, const Order& of, std::uint32_t quantity, Reason reason = Reason::NONE);
    void trade_report(const Order& taker, const Order& maker, std::int64_t price, std::uint32_t quantity,
                      Reason reason);
    void cancel_report(ExecType exec_type, const Order& of, Reason reason);
    void setting_report(ExecType exec_type, const Command& command);
    void trailed_report();
    void limit_state_report();
    void levels_report();
    void tops_report();
    std::uint8_t limit_side_find() const;
    Top top_find(Side side) const;
    void tops_note();
    void ticks_set();
    void settings_note();

    // book_state.cpp
    Quote quote() const;
    void resting_hash(StateHash& hash, Slot slot) const;
    void crossed_hash(StateHash& hash, const BookOrders& all) const;
    void stop_hash(StateHash& hash, Slot slot) const;
    void auction_hash(StateHash& hash, Slot slot) const;

    Stores* stores_;
    std::uint32_t symbol_id_;
    std::uint32_t number_;
    std::uint32_t settings_ = 0;  // 1 if the status is not a new book's
    std::uint32_t stop_count_ = 0;
    std::uint32_t special_count_ = 0;  // icebergs and hidden orders in the book
    std::uint64_t arrivals_ = 0;
    std::int64_t last_price_ = 0;
    std::int64_t last_quantity_ = 0;
    std::int64_t last_time_ns_ = 0;
    std::int64_t volume_ = 0;
    PriceLadder ladders_[2];
    BookStatus status_;
    Queue auctions_[2] = {};  // OPG, CLS
    Top tops_[2] = {};        // as last published
    std::unique_ptr<StopBook> stops_;
    BookView view_;
};

static_assert(sizeof(OrderBook) < 4096, "an empty book costs under 4 KiB");

}  // namespace openbell
