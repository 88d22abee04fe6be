// What can be read of a book: depth, quote and state hash; and how it comes back from a snapshot.
#include <algorithm>

#include "openbell/order_book.hpp"
#include "openbell/queue_walk.hpp"

namespace openbell {

std::vector<DepthLevel> OrderBook::depth(Side side, std::size_t levels) const {
    std::vector<DepthLevel> result;
    result.reserve(std::min(levels, DEPTH_LEVELS_MAX));
    ladder(side).levels_visit([&](std::int64_t price, const Level& level) {
        if (result.size() == levels) return false;
        if (level.count != 0) result.push_back({price, level.quantity, level.count});
        return true;
    });
    return result;
}

Quote OrderBook::quote() const {
    const Top bid = top_find(Side::BUY);
    const Top ask = top_find(Side::SELL);
    return {.bid_price = bid.price,
            .bid_quantity = bid.quantity,
            .ask_price = ask.price,
            .ask_quantity = ask.quantity,
            .last_price = last_price_,
            .last_quantity = last_quantity_,
            .last_time_ns = last_time_ns_,
            .volume = volume_,
            .phase = status_.phase};
}

bool OrderBook::is_pristine() const {
    return settings_ == 0 && last_price_ == 0 && stop_count_ == 0 && ladder(Side::BUY).is_empty() &&
           ladder(Side::SELL).is_empty() && auctions_[0].head == NO_SLOT && auctions_[1].head == NO_SLOT;
}

BookOrders OrderBook::orders_all() const {
    BookOrders all;
    QueueWalk walk(stores_->orders);
    const auto ladder_add = [&](const PriceLadder& from) {
        from.levels_visit([&walk](std::int64_t, const Level& level) {
            walk.queue_add(level.displayed);
            walk.queue_add(level.hidden);
            return true;
        });
    };
    const auto section_end = [&](BookSection section) {
        walk.slots_append(all.slots);
        all.ends[static_cast<std::size_t>(section)] = all.slots.size();
    };
    ladder_add(ladder(Side::BUY));
    section_end(BookSection::BIDS);
    ladder_add(ladder(Side::SELL));
    section_end(BookSection::ASKS);
    if (stop_count_ != 0) ladder_add(stops_->ladder(Side::BUY));
    if (stop_count_ != 0) ladder_add(stops_->ladder(Side::SELL));
    section_end(BookSection::STOPS);
    for (const Queue& queue : auctions_) walk.queue_add(queue);
    section_end(BookSection::AUCTIONS);
    return all;
}

void OrderBook::resting_hash(StateHash& hash, Slot slot) const {
    const Order& resting = order(slot);
    hash.mix(resting.order_id);
    hash.mix(resting.owner);
    hash.mix(static_cast<std::uint64_t>(resting.price));
    hash.mix(resting.leaves);
    hash.mix(resting.cum);
    hash.mix(resting.word());
    if (resting.place == Place::ICEBERG) hash.mix(std::uint64_t{extra(slot).display} << 32U | extra(slot).shown);
}

// The orders that will trade in an uncross, by time: only there does it matter which side came first.
void OrderBook::crossed_hash(StateHash& hash, const BookOrders& all) const {
    if (!is_crossed()) return;
    std::vector<Slot> slots;
    for (const Slot slot : all.section(BookSection::BIDS)) {
        if (ladder(Side::SELL).best_reaches(order(slot).price)) slots.push_back(slot);
    }
    for (const Slot slot : all.section(BookSection::ASKS)) {
        if (ladder(Side::BUY).best_reaches(order(slot).price)) slots.push_back(slot);
    }
    std::ranges::sort(slots, {}, [this](Slot slot) { return order(slot).arrival; });
    for (const Slot slot : slots) hash.mix(order(slot).order_id);
}

void OrderBook::stop_hash(StateHash& hash, Slot slot) const {
    const Order& waiting = order(slot);
    const OrderExtra& wait = extra(slot);
    hash.mix(waiting.order_id);
    hash.mix(waiting.owner);
    hash.mix(static_cast<std::uint64_t>(wait.stop_price));
    hash.mix(static_cast<std::uint64_t>(waiting.price));
    hash.mix(waiting.leaves);
    hash.mix(waiting.word());
    if (waiting.ord_type != OrdType::TRAIL) return;
    hash.mix(wait.trail);
    hash.mix(static_cast<std::uint64_t>(wait.mark));
}

void OrderBook::auction_hash(StateHash& hash, Slot slot) const {
    const Order& waiting = order(slot);
    hash.mix(waiting.order_id);
    hash.mix(waiting.owner);
    hash.mix(byte_of(waiting.side));
    hash.mix(static_cast<std::uint64_t>(waiting.price));
    hash.mix(waiting.leaves);
    hash.mix(waiting.word());
}

std::uint64_t OrderBook::state_hash() const { return is_pristine() ? 0 : state_hash(orders_all()); }

std::uint64_t OrderBook::state_hash(const BookOrders& all) const {
    if (is_pristine()) return 0;
    StateHash hash;
    hash.mix(symbol_id_);
    hash.mix(std::uint64_t{byte_of(status_.phase)} | std::uint64_t{byte_of(status_.mode)} << 8U |
             std::uint64_t{status_.limit_side} << 16U | std::uint64_t{status_.is_publishing} << 24U);
    hash.mix(static_cast<std::uint64_t>(last_price_));
    hash.mix(static_cast<std::uint64_t>(status_.tick));
    hash.mix(static_cast<std::uint64_t>(status_.lower_band));
    hash.mix(static_cast<std::uint64_t>(status_.upper_band));
    for (const Side side : {Side::BUY, Side::SELL}) {
        hash.mix(byte_of(side));
        const auto resting = all.section(side == Side::BUY ? BookSection::BIDS : BookSection::ASKS);
        stores_->orders.slots_visit(resting, [&](Slot slot) { resting_hash(hash, slot); });
    }
    crossed_hash(hash, all);
    for (const Slot slot : all.section(BookSection::STOPS)) stop_hash(hash, slot);
    for (const Slot slot : all.section(BookSection::AUCTIONS)) auction_hash(hash, slot);
    return hash.value();
}

void OrderBook::load_begin(const SnapshotBook& record) {
    status_ = {.phase = static_cast<Phase>(record.phase),
               .mode = static_cast<Mode>(record.mode),
               .limit_side = record.limit_side,
               .is_publishing = false,
               .tick = record.tick,
               .lower_band = record.lower_band,
               .upper_band = record.upper_band};
    ticks_set();
    last_price_ = record.last_price;
    last_quantity_ = record.last_quantity;
    last_time_ns_ = record.last_time_ns;
    volume_ = record.volume;
}

bool OrderBook::order_load(const Command& command, std::uint64_t arrival) {
    const Taker taker = taker_make(command);
    const bool is_in_book = taker.order.place <= Place::HIDDEN;
    const Slot slot = order_take(taker);
    is_in_book ? book_put(slot) : order_put_waiting(slot);
    Order& loaded = order(slot);
    loaded.arrival = arrival;
    return loaded.prev == NO_SLOT || order(loaded.prev).arrival < arrival;
}

// Only from here on it publishes: the levels that were filled are no news.
bool OrderBook::load_end(const SnapshotBook& record) {
    status_.is_publishing = record.is_publishing != 0;
    settings_note();
    arrivals_ = record.arrivals;
    tops_note();
    return limit_side_find() == status_.limit_side && !(is_continuous() && is_crossed());
}

}  // namespace openbell
