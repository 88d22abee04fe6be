// Stops: what a trade does to those that wait, and what the elected ones do.
#include <algorithm>

#include "openbell/order_book.hpp"
#include "openbell/trail.hpp"

namespace openbell {

// Made for the first stop: most books never have one.
StopBook& OrderBook::stop_book() {
    if (stops_ == nullptr) {
        stops_ = std::make_unique<StopBook>(stores_->orders, stores_->pages, stores_->far_levels);
        stops_->tick_set(status_.tick);
    }
    return *stops_;
}

// After a trade at this price. Nothing acts yet: the order or the uncross that traded comes to its end first.
void OrderBook::stops_react(std::int64_t price) {
    if (stop_count_ == 0 || !is_continuous()) return;
    trails_move(price);
    stops_elect(price);
}

void OrderBook::trails_move(std::int64_t price) {
    std::vector<Slot>& moving = stores_->scratch.slots;
    moving.clear();
    stops_->trails_improved(price, moving);
    std::ranges::sort(moving, {}, [this](Slot slot) { return order(slot).order_id; });
    for (const Slot slot : moving) {
        Order& trail = order(slot);
        OrderExtra& wait = extra(slot);
        stops_->stop_remove(slot);
        wait.mark = price;
        wait.stop_price = trail_stop(trail.side, price, wait.trail, trail.flags);
        trail.arrival = ++arrivals_;
        stops_->stop_put(slot);
        stores_->scratch.trailed.push_back({trail.order_id, slot});
    }
}

bool OrderBook::is_stop_reached(const Taker& taker) const {
    if (last_price_ == 0) return false;
    const std::int64_t stop = taker.extra.stop_price;
    return taker.order.side == Side::BUY ? stop <= last_price_ : stop >= last_price_;
}

void OrderBook::stop_elect(Slot slot) {
    stops_->stop_remove(slot);
    --stop_count_;
    order(slot).place = Place::ELECTED;
    stores_->scratch.elected.push_back(slot);
}

void OrderBook::stops_elect(std::int64_t price) {
    for (const Side side : {Side::BUY, Side::SELL}) {
        for (Slot slot = stops_->stop_reached(side, price); slot != NO_SLOT; slot = stops_->stop_reached(side, price))
            stop_elect(slot);
    }
}

// What one elects while it acts stands behind those elected before it. Every stop is elected once, so this ends.
void OrderBook::elected_run() {
    std::vector<Slot>& elected = stores_->scratch.elected;
    for (std::size_t at = 0; at < elected.size(); ++at) elected_act(elected[at]);
    elected.clear();
}

void OrderBook::elected_act(Slot slot) {
    Taker taker{};
    taker.order = order(slot);
    Event& event = order_report(ExecType::TRIGGERED, taker.order, taker.order.leaves);
    event.price = extra(slot).stop_price;
    order_drop(slot);
    taker.order.place = Place::DISPLAYED;
    if (taker.order.ord_type == OrdType::STOP_LIMIT) {
        taker.order.ord_type = OrdType::LIMIT;
        if (is_outside_band(taker.order.side, taker.order.price)) return taker_cancel(taker, Reason::PRICE_BAND);
    } else {
        taker.order.ord_type = OrdType::MARKET;
    }
    taker_run(taker);
}

}  // namespace openbell
