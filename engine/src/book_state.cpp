// What can be read of a book: depth, quote and state hash.
#include <algorithm>

#include "openbell/order_book.hpp"
#include "openbell/state_hash.hpp"

namespace openbell {

namespace {

template <typename Visit>
void levels_visit(const PriceLadder& ladder, Visit visit) {
    if (ladder.is_empty()) return;
    std::int64_t price = ladder.best_price();
    for (const Level* level = &ladder.best(); level != nullptr; level = ladder.level_after(price)) {
        if (!visit(price, *level)) return;
    }
}

}  // namespace

std::vector<DepthLevel> OrderBook::depth(Side side, std::size_t levels) const {
    std::vector<DepthLevel> result;
    result.reserve(std::min(levels, DEPTH_LEVELS_MAX));
    levels_visit(ladder(side), [&](std::int64_t price, const Level& level) {
        if (result.size() == levels) return false;
        result.push_back({price, level.quantity, level.count});
        return true;
    });
    return result;
}

Quote OrderBook::quote() const {
    Quote quote;
    if (const PriceLadder& bids = ladder(Side::BUY); !bids.is_empty()) {
        quote.bid_price = bids.best_price();
        quote.bid_quantity = bids.best().quantity;
    }
    if (const PriceLadder& asks = ladder(Side::SELL); !asks.is_empty()) {
        quote.ask_price = asks.best_price();
        quote.ask_quantity = asks.best().quantity;
    }
    quote.last_price = last_price_;
    quote.last_quantity = last_quantity_;
    quote.last_time_ns = last_time_ns_;
    quote.volume = volume_;
    quote.is_halted = is_halted_;
    return quote;
}

bool OrderBook::is_pristine() const {
    return !is_halted_ && last_price_ == 0 && ladder(Side::BUY).is_empty() && ladder(Side::SELL).is_empty();
}

// The orders that will trade on resumption, by arrival: only there does it matter which side came first.
std::vector<Slot> OrderBook::crossed_slots() const {
    std::vector<Slot> slots;
    if (!is_crossed()) return slots;
    for (const Side side : {Side::BUY, Side::SELL}) {
        const std::int64_t contra_best = ladder(side_opposite(side)).best_price();
        levels_visit(ladder(side), [&](std::int64_t price, const Level& level) {
            if (side == Side::BUY ? price < contra_best : price > contra_best) return false;
            for (Slot slot = level.head; slot != NO_SLOT; slot = stores_->orders.hot(slot).next) slots.push_back(slot);
            return true;
        });
    }
    std::ranges::sort(slots, {}, [this](Slot slot) { return stores_->orders.cold(slot).arrival; });
    return slots;
}

std::uint64_t OrderBook::state_hash() const {
    if (is_pristine()) return 0;
    StateHash hash;
    hash.mix(symbol_id_);
    hash.mix(is_halted_ ? 1 : 0);
    hash.mix(static_cast<std::uint64_t>(last_price_));
    for (const Side side : {Side::BUY, Side::SELL}) {
        hash.mix(static_cast<std::uint64_t>(side));
        levels_visit(ladder(side), [&](std::int64_t price, const Level& level) {
            for (Slot slot = level.head; slot != NO_SLOT; slot = stores_->orders.hot(slot).next) {
                const OrderHot& hot = stores_->orders.hot(slot);
                const OrderCold& cold = stores_->orders.cold(slot);
                hash.mix(hot.order_id);
                hash.mix(hot.owner);
                hash.mix(static_cast<std::uint64_t>(price));
                hash.mix(hot.leaves);
                hash.mix(hot.cum);
                hash.mix(static_cast<std::uint64_t>(cold.tif) | static_cast<std::uint64_t>(cold.stp) << 8U);
            }
            return true;
        });
    }
    for (const Slot slot : crossed_slots()) hash.mix(stores_->orders.hot(slot).order_id);
    return hash.value();
}

}  // namespace openbell
