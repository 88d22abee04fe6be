// Phases, the uncross between them, and the bands.
#include <algorithm>

#include "openbell/order_book.hpp"

namespace openbell {

namespace {

bool is_before_opening(Phase phase) {
    return phase == Phase::CLOSED || phase == Phase::PRE_OPEN || phase == Phase::OPENING_AUCTION;
}

}  // namespace

void OrderBook::phase_set(const Command& command) {
    const Phase old = status_.phase;
    status_.phase = static_cast<Phase>(command.argument);
    settings_note();
    setting_report(ExecType::PHASE, command);
    if (status_.phase == old) return;
    if (is_continuous()) continuous_begin(old, command.price);
    if (status_.phase == Phase::CLOSED) closed_begin(old, command.price);
}

void OrderBook::continuous_begin(Phase old, std::int64_t phase_price) {
    if (is_before_opening(old)) auction_join(TimeInForce::OPG);
    uncross(phase_price);
    bands_apply();
    if (last_price_ != 0 && stop_count_ != 0) stops_elect(last_price_);
}

void OrderBook::closed_begin(Phase old, std::int64_t phase_price) {
    if (old == Phase::CLOSING_AUCTION) {
        auction_join(TimeInForce::CLS);
        uncross(phase_price);
    }
    while (auction(TimeInForce::CLS).head != NO_SLOT)
        resting_cancel(auction(TimeInForce::CLS).head, ExecType::CANCELED, Reason::AUCTION_REMAINDER);
}

void OrderBook::auction_join(TimeInForce tif) {
    Queue& waiting = auction(tif);
    while (waiting.head != NO_SLOT) {
        const Slot slot = waiting.head;
        stores_->orders.queue_remove(waiting, slot);
        order(slot).place = Place::DISPLAYED;
        book_put(slot);
        stores_->scratch.joined.push_back({order(slot).order_id, slot});
    }
}

bool OrderBook::is_crossed() const {
    const PriceLadder& bids = ladder(Side::BUY);
    return !bids.is_empty() && ladder(Side::SELL).best_reaches(bids.best_price());
}

// Every round fills, cancels or reduces the orders at its price until one side has none left there, so it ends.
void OrderBook::uncross(std::int64_t phase_price) {
    while (is_crossed()) {
        const std::optional<Indication> found = auction_price(phase_price, nullptr);
        invariant(found.has_value(), "a crossed book has no price to trade at");
        uncross_at(found->price);
    }
    for (const OrderNote& note : stores_->scratch.joined) {
        if (order(note.slot).order_id == note.order_id)
            resting_cancel(note.slot, ExecType::CANCELED, Reason::AUCTION_REMAINDER);
    }
    stores_->scratch.joined.clear();
}

void OrderBook::uncross_at(std::int64_t price) {
    while (ladder(Side::BUY).best_reaches(price) && ladder(Side::SELL).best_reaches(price)) {
        const Slot bid = ladder(Side::BUY).best().first();
        const Slot ask = ladder(Side::SELL).best().first();
        const bool bid_is_older = order(bid).arrival < order(ask).arrival;
        const Slot older = bid_is_older ? bid : ask;
        const Slot younger = bid_is_older ? ask : bid;
        if (!crossed_self_trade(older, younger)) crossed_trade(older, younger, price);
    }
}

// The younger order is the one that would have been the taker, so its mode decides.
bool OrderBook::crossed_self_trade(Slot older, Slot younger) {
    const SelfTradePrevention stp = order(younger).stp;
    if (stp == SelfTradePrevention::NONE || order(younger).owner == 0) return false;
    if (order(older).owner != order(younger).owner) return false;
    if (stp == SelfTradePrevention::DECREMENT) {
        const std::uint32_t quantity = std::min(order(older).leaves, order(younger).leaves);
        resting_reduce(older, quantity);
        resting_reduce(younger, quantity);
        return true;
    }
    if (stp != SelfTradePrevention::CANCEL_NEWEST) resting_cancel(older, ExecType::CANCELED, Reason::SELF_TRADE);
    if (stp != SelfTradePrevention::CANCEL_OLDEST) resting_cancel(younger, ExecType::CANCELED, Reason::SELF_TRADE);
    return true;
}

void OrderBook::crossed_trade(Slot older, Slot younger, std::int64_t price) {
    const std::uint32_t quantity = std::min(order(older).leaves, order(younger).leaves);
    trade_report(order(younger), order(older), price, quantity, Reason::AUCTION);
    trade_note(price, quantity, stores_->events.transact_time_ns());
    order_fill(older, quantity);
    order_fill(younger, quantity);
    stops_react(price);
}

// What an uncross would find now, the orders that would join it included.
std::optional<Indication> OrderBook::indication() const {
    const Phase phase = status_.phase;
    if (is_before_opening(phase)) return auction_price(0, &auctions_[0]);
    const bool is_before_close = phase == Phase::CONTINUOUS || phase == Phase::CLOSING_AUCTION;
    return auction_price(0, is_before_close ? &auctions_[1] : nullptr);
}

std::optional<Indication> OrderBook::auction_price(std::int64_t phase_price, const Queue* joining) const {
    const PriceLadder& bids = ladder(Side::BUY);
    const PriceLadder& asks = ladder(Side::SELL);
    std::int64_t best_bid = bids.is_empty() ? 0 : bids.best_price();
    std::int64_t best_ask = asks.is_empty() ? INT64_MAX : asks.best_price();
    const Queue none{};
    stores_->orders.queue_visit(joining == nullptr ? none : *joining, [&](Slot, const Order& waiting) {
        if (waiting.side == Side::BUY) best_bid = std::max(best_bid, waiting.price);
        if (waiting.side == Side::SELL) best_ask = std::min(best_ask, waiting.price);
    });
    if (best_bid < best_ask) return std::nullopt;
    std::vector<AuctionPoint>& points = stores_->scratch.points;
    points.clear();
    bids.levels_visit([&](std::int64_t price, const Level& level) {
        if (price >= best_ask) points.push_back({price, level_total(level), 0});
        return price >= best_ask;
    });
    asks.levels_visit([&](std::int64_t price, const Level& level) {
        if (price <= best_bid) points.push_back({price, 0, level_total(level)});
        return price <= best_bid;
    });
    stores_->orders.queue_visit(joining == nullptr ? none : *joining, [&](Slot, const Order& waiting) {
        const bool is_bid = waiting.side == Side::BUY;
        if (is_bid ? waiting.price < best_ask : waiting.price > best_bid) return;
        points.push_back({waiting.price, is_bid ? waiting.leaves : 0, is_bid ? 0 : waiting.leaves});
    });
    const std::int64_t known = phase_price != 0 ? phase_price : last_price_;
    if (known != 0 && is_on_tick(known) && known >= best_ask && known <= best_bid) points.push_back({known, 0, 0});
    return auction_solve(points, known != 0 ? known : (best_bid + best_ask) / 2);
}

// Cancels what rests beyond the bands, from the best on.
void OrderBook::bands_apply() {
    if (!has_bands()) return;
    const PriceLadder& bids = ladder(Side::BUY);
    while (!bids.is_empty() && bids.best_price() > status_.upper_band)
        resting_cancel(bids.best().first(), ExecType::CANCELED, Reason::PRICE_BAND);
    const PriceLadder& asks = ladder(Side::SELL);
    while (!asks.is_empty() && asks.best_price() < status_.lower_band)
        resting_cancel(asks.best().first(), ExecType::CANCELED, Reason::PRICE_BAND);
}

void OrderBook::bands_set(const Command& command) {
    status_.lower_band = command.price;
    status_.upper_band = command.stop_price;
    settings_note();
    Event& event = stores_->events.event_push(ExecType::BANDS);
    event.price = command.price;
    event.quantity = command.stop_price;
    if (is_continuous()) bands_apply();
}

void OrderBook::mode_set(const Command& command) {
    status_.mode = static_cast<Mode>(command.argument);
    settings_note();
    setting_report(ExecType::MODE, command);
}

void OrderBook::ticks_set() {
    for (PriceLadder& side : ladders_) side.tick_set(status_.tick);
    if (stops_ != nullptr) stops_->tick_set(status_.tick);
}

void OrderBook::options_set(const Command& command) {
    status_.is_publishing = command.argument != 0;
    if (command.price != 0) status_.tick = static_cast<std::int32_t>(command.price);
    ticks_set();
    settings_note();
    tops_note();
    setting_report(ExecType::OPTIONS, command);
}

}  // namespace openbell
