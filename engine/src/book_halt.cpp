// Halting a book, and uncrossing it when trading goes on.
#include <algorithm>

#include "openbell/order_book.hpp"

namespace openbell {

struct OrderBook::CrossedPair {
    Slot older;
    Slot younger;
};

void OrderBook::trading_halt() {
    is_halted_ = true;
    stores_->events.event_push(ExecType::HALTED);
}

void OrderBook::trading_resume(std::int64_t transact_time_ns) {
    is_halted_ = false;
    stores_->events.event_push(ExecType::RESUMED);
    crossed_uncross(transact_time_ns);
}

bool OrderBook::is_crossed() const {
    const PriceLadder& bids = ladder(Side::BUY);
    return !bids.is_empty() && ladder(Side::SELL).best_reaches(bids.best_price());
}

// Every round fills or cancels at least one order, so it ends.
void OrderBook::crossed_uncross(std::int64_t transact_time_ns) {
    while (is_crossed()) {
        const Slot bid = ladder(Side::BUY).best().head;
        const Slot ask = ladder(Side::SELL).best().head;
        const bool bid_is_older = stores_->orders.cold(bid).arrival < stores_->orders.cold(ask).arrival;
        const CrossedPair pair = bid_is_older ? CrossedPair{bid, ask} : CrossedPair{ask, bid};
        if (!crossed_self_trade(pair)) crossed_trade(pair, transact_time_ns);
    }
}

// The younger order is the one that would have been the taker, so its mode decides.
bool OrderBook::crossed_self_trade(const CrossedPair& pair) {
    const std::uint64_t owner = stores_->orders.hot(pair.younger).owner;
    const SelfTradePrevention stp = stores_->orders.cold(pair.younger).stp;
    if (stp == SelfTradePrevention::NONE || owner == 0) return false;
    if (stores_->orders.hot(pair.older).owner != owner) return false;
    if (stp != SelfTradePrevention::CANCEL_NEWEST) resting_cancel(pair.older, ExecType::CANCELED, Reason::SELF_TRADE);
    if (stp != SelfTradePrevention::CANCEL_OLDEST) resting_cancel(pair.younger, ExecType::CANCELED, Reason::SELF_TRADE);
    return true;
}

void OrderBook::crossed_trade(const CrossedPair& pair, std::int64_t transact_time_ns) {
    const OrderHot& older = stores_->orders.hot(pair.older);
    const OrderHot& younger = stores_->orders.hot(pair.younger);
    const std::int64_t price = stores_->orders.cold(pair.older).price;
    const std::uint32_t quantity = std::min(older.leaves, younger.leaves);
    const auto status = [quantity](const OrderHot& order) {
        return static_cast<std::uint8_t>(order.leaves == quantity ? OrdStatus::FILLED : OrdStatus::PARTIALLY_FILLED);
    };
    Event& event = stores_->events.event_push(ExecType::TRADE);
    event.ord_status = status(younger);
    event.contra_ord_status = status(older);
    event.side = static_cast<std::uint8_t>(stores_->orders.cold(pair.younger).side);
    event.order_id = younger.order_id;
    event.contra_order_id = older.order_id;
    event.owner = younger.owner;
    event.contra_owner = older.owner;
    event.price = price;
    event.quantity = quantity;
    event.leaves_qty = younger.leaves - quantity;
    event.cum_qty = younger.cum + quantity;
    event.contra_leaves_qty = older.leaves - quantity;
    event.contra_cum_qty = older.cum + quantity;
    trade_note(price, quantity, transact_time_ns);
    order_fill(pair.older, quantity);
    order_fill(pair.younger, quantity);
}

}  // namespace openbell
