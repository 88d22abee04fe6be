// One symbol's book: price-time priority, halts and self-trade prevention. It trusts its commands to be checked.
#pragma once

#include <cstdint>
#include <memory_resource>
#include <vector>

#include "openbell/book_view.hpp"
#include "openbell/event_buffer.hpp"
#include "openbell/messages.hpp"
#include "openbell/order_index.hpp"
#include "openbell/order_pool.hpp"
#include "openbell/price_ladder.hpp"

namespace openbell {

// What the books of one engine share.
struct Stores {
    Stores(std::size_t orders_max, std::size_t books_max)
        : orders(orders_max), index(orders_max), pages(orders_max, books_max) {}

    OrderPool orders;
    OrderIndex index;
    LevelPages pages;
    std::pmr::unsynchronized_pool_resource far_levels;
    EventBuffer events;
};

struct DepthLevel {
    std::int64_t price;
    std::uint64_t quantity;
    std::uint32_t order_count;
};

class OrderBook {
public:
    OrderBook(Stores& stores, std::uint32_t symbol_id, std::uint32_t number);

    std::uint32_t symbol_id() const { return symbol_id_; }
    bool is_halted() const { return is_halted_; }

    void order_new(const Command& command);
    void order_cancel(Slot slot, ExecType exec_type);
    void order_replace(const Command& command, Slot slot);
    // Only a halted book may be crossed.
    bool restore_would_cross(const Command& command) const;
    // Puts the order behind those already at its price, without matching.
    void order_restore(const Command& command);
    void last_restore(const Command& command);
    void trading_halt();
    // Lets trading go on. Orders that came to cross during the halt trade first, best prices first, at the price of
    // whichever of the two arrived earlier.
    void trading_resume(std::int64_t transact_time_ns);

    std::vector<DepthLevel> depth(Side side, std::size_t levels) const;
    // 0 for a book that holds nothing a new one would not.
    std::uint64_t state_hash() const;
    void view_publish() { view_.quote_publish(quote()); }
    const BookView& view() const { return view_; }

private:
    // An order on its way through the book, not resting anywhere.
    struct Taker {
        std::uint64_t order_id;
        std::uint64_t owner;
        std::int64_t price;
        std::int64_t transact_time_ns;
        std::uint32_t leaves;
        std::uint32_t cum;
        Side side;
        OrdType ord_type;
        TimeInForce tif;
        SelfTradePrevention stp;
    };
    struct CrossedPair;

    PriceLadder& ladder(Side side) { return ladders_[static_cast<std::size_t>(side) - 1]; }
    const PriceLadder& ladder(Side side) const { return ladders_[static_cast<std::size_t>(side) - 1]; }
    bool is_crossed() const;
    bool is_pristine() const;

    static Taker taker_make(const Command& command);
    void taker_run(Taker& taker);
    void taker_match(Taker& taker);
    bool taker_can_fill(const Taker& taker) const;
    Reason remainder_reason(const Taker& taker) const;
    void taker_cancel(Taker& taker, Reason reason);
    // Cancels whom the taker's mode says. What is left of the taker is gone if that is himself.
    void self_trade_prevent(Taker& taker, Slot maker);
    void maker_trade(Taker& taker, Slot maker);

    void order_rest(const Taker& taker);
    void order_remove(Slot slot);
    void order_fill(Slot slot, std::uint32_t quantity);
    void resting_cancel(Slot slot, ExecType exec_type, Reason reason);

    void crossed_uncross(std::int64_t transact_time_ns);
    bool crossed_self_trade(const CrossedPair& pair);
    void crossed_trade(const CrossedPair& pair, std::int64_t transact_time_ns);
    void trade_note(std::int64_t price, std::uint32_t quantity, std::int64_t transact_time_ns);
    Quote quote() const;
    std::vector<Slot> crossed_slots() const;

    Stores* stores_;
    std::uint32_t symbol_id_;
    std::uint32_t number_;
    bool is_halted_ = false;
    std::uint64_t arrivals_ = 0;
    std::int64_t last_price_ = 0;
    std::int64_t last_quantity_ = 0;
    std::int64_t last_time_ns_ = 0;
    std::int64_t volume_ = 0;
    PriceLadder ladders_[2];
    BookView view_;
};

static_assert(sizeof(OrderBook) < 4096, "an empty book costs under 4 KiB");

}  // namespace openbell
