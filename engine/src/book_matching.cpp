// Matching in continuous trading.
#include <algorithm>

#include "openbell/command_check.hpp"
#include "openbell/order_book.hpp"

namespace openbell {

namespace {

bool rests(const Order& order) {
    return order.ord_type == OrdType::LIMIT && !is_immediate(byte_of(order.tif));
}

bool guards_self(const Order& order) { return order.stp != SelfTradePrevention::NONE && order.owner != 0; }

}  // namespace

// A plain order that meets others, or may not rest.
void OrderBook::plain_match(const Command& command, std::uint32_t leaves) {
    Stores& stores = *stores_;
    const auto side = static_cast<Side>(command.side);
    PriceLadder& makers = ladder(side_opposite(side));
    const bool is_guarded = command.stp != byte_of(SelfTradePrevention::NONE) && command.owner != 0;
    const auto total = static_cast<std::uint32_t>(command.quantity);
    std::uint32_t n = 1;
    while (leaves != 0 && makers.best_reaches(command.price)) {
        Level& level = makers.best();
        const Slot slot = level.displayed.head;
        Order& maker = order(slot);
        if (is_guarded && maker.owner == command.owner) [[unlikely]] return plain_match_on(command, leaves, n);
        const std::uint32_t quantity = std::min(leaves, maker.leaves);
        leaves -= quantity;
        Event& event = plain_event(command, n++);
        event.order_id = command.order_id;
        event.contra_order_id = maker.order_id;
        event.owner = command.owner;
        event.contra_owner = maker.owner;
        event.price = maker.price;
        event.quantity = quantity;
        event.leaves_qty = leaves;
        event.cum_qty = total - leaves;
        event.contra_leaves_qty = maker.leaves - quantity;
        event.contra_cum_qty = maker.cum + quantity;
        event.codes_set(ExecType::TRADE, leaves == 0 ? OrdStatus::FILLED : OrdStatus::PARTIALLY_FILLED,
                        maker.leaves == quantity ? OrdStatus::FILLED : OrdStatus::PARTIALLY_FILLED, command.side,
                        Reason::NONE);
        trade_note(maker.price, quantity, command.transact_time_ns);
        if (maker.leaves == quantity) {
            makers_prefetch(maker.next);
            plain_leave(slot, maker);
            stores.index.order_erase_soon(maker.order_id, slot);
            stores.orders.slot_give_back(slot);
        } else {
            maker.leaves -= quantity;
            maker.cum += quantity;
            level.quantity -= quantity;
        }
    }
    if (leaves != 0) plain_match_on(command, leaves, n);
    if (!makers.is_empty()) makers_prefetch(makers.best().displayed.head);
}

// Who stands first now will be met next: by then all that his leaving touches is at hand.
[[gnu::always_inline]] inline void OrderBook::makers_prefetch(Slot first) const {
    stores_->orders.slot_prefetch(order(first).next);
}

// Goes on as any order would, in the middle of its command: with a maker of the same owner, or with nothing to meet.
void OrderBook::plain_match_on(const Command& command, std::uint32_t leaves, std::uint32_t n) {
    stores_->events.command_begin(command, n);
    Taker taker = taker_make(command);
    taker.order.cum = taker.order.leaves - leaves;
    taker.order.leaves = leaves;
    taker_run(taker);
}

// An order that acts now: whole or not at all if it says so, and what is left rests or is cancelled.
void OrderBook::taker_run(Taker& taker) {
    taker.limit = taker_limit(taker.order);
    if (taker.order.tif == TimeInForce::FOK && taker_tradable(taker, taker.order.leaves) < taker.order.leaves)
        return taker_cancel(taker, Reason::FOK_UNFILLABLE);
    if (taker.min_quantity != 0 && taker_tradable(taker, taker.min_quantity) < taker.min_quantity)
        return taker_cancel(taker, Reason::MIN_QUANTITY);
    taker_match(taker);
    if (taker.order.leaves == 0) return;
    if (rests(taker.order)) return order_rest(taker);
    taker_cancel(taker, remainder_reason(taker));
}

std::int64_t OrderBook::taker_limit(const Order& taker) const {
    if (taker.ord_type != OrdType::MARKET || !has_bands()) return taker.price;
    return taker.side == Side::BUY ? std::min(taker.price, status_.upper_band)
                                   : std::max(taker.price, status_.lower_band);
}

void OrderBook::taker_match(Taker& taker) {
    PriceLadder& makers = ladder(side_opposite(taker.order.side));
    const bool is_guarded = guards_self(taker.order);
    while (taker.order.leaves != 0 && makers.best_reaches(taker.limit)) {
        const Slot maker = makers.best().first();
        if (is_guarded && order(maker).owner == taker.order.owner) [[unlikely]] {
            self_trade_prevent(taker, maker);
        } else {
            maker_trade(taker, maker, makers.best_price());
        }
    }
}

void OrderBook::maker_trade(Taker& taker, Slot slot, std::int64_t price) {
    const Order& maker = order(slot);
    const std::uint32_t offered = maker.place == Place::ICEBERG ? extra(slot).shown : maker.leaves;
    const std::uint32_t quantity = std::min(taker.order.leaves, offered);
    trade_report(taker.order, maker, price, quantity, Reason::NONE);
    taker.order.leaves -= quantity;
    taker.order.cum += quantity;
    trade_note(price, quantity, stores_->events.transact_time_ns());
    order_fill(slot, quantity);
    stops_react(price);
}

// Counts what a taker could trade, as self-trade prevention would leave it, until what is wanted is there.
class OrderBook::TradableCount {
public:
    TradableCount(const OrderBook& book, const Taker& taker, std::uint64_t wanted)
        : book_(book), taker_(taker.order), is_guarded_(guards_self(taker.order)), wanted_(wanted),
          open_(taker.order.leaves) {}

    std::uint64_t counted() const { return counted_; }
    bool is_done() const { return has_stopped_ || open_ == 0 || counted_ >= wanted_; }

    void level_add(const Level& level) {
        if (!is_guarded_ && level.specials == 0) return take(level.quantity);
        queue_add(level.displayed);
        reserves_add(level.displayed);
        queue_add(level.hidden);
    }

private:
    bool is_own(const Order& maker) const { return is_guarded_ && maker.owner == taker_.owner; }

    void take(std::uint64_t quantity) {
        const std::uint64_t taken = std::min(quantity, open_);
        counted_ += taken;
        open_ -= taken;
    }

    // The displayed by what they show, the hidden by all they have.
    void queue_add(const Queue& queue) {
        for (Slot slot = queue.head; slot != NO_SLOT && !is_done(); slot = book_.order(slot).next) {
            const Order& maker = book_.order(slot);
            if (is_own(maker)) {
                own_meet(maker);
            } else {
                take(maker.place == Place::ICEBERG ? book_.extra(slot).shown : maker.leaves);
            }
        }
    }

    void reserves_add(const Queue& queue) {
        for (Slot slot = queue.head; slot != NO_SLOT && !is_done(); slot = book_.order(slot).next) {
            const Order& maker = book_.order(slot);
            if (maker.place == Place::ICEBERG && !is_own(maker)) take(maker.leaves - book_.extra(slot).shown);
        }
    }

    void own_meet(const Order& maker) {
        if (taker_.stp == SelfTradePrevention::CANCEL_OLDEST) return;
        if (taker_.stp == SelfTradePrevention::DECREMENT) {
            open_ -= std::min<std::uint64_t>(open_, maker.leaves);
        } else {
            has_stopped_ = true;
        }
    }

    const OrderBook& book_;
    const Order& taker_;
    bool is_guarded_;
    bool has_stopped_ = false;
    std::uint64_t wanted_;
    std::uint64_t open_;
    std::uint64_t counted_ = 0;
};

std::uint64_t OrderBook::taker_tradable(const Taker& taker, std::uint64_t wanted) const {
    const PriceLadder& makers = ladder(side_opposite(taker.order.side));
    TradableCount count(*this, taker, wanted);
    makers.levels_visit([&](std::int64_t price, const Level& level) {
        if (makers.is_better(taker.limit, price) || count.is_done()) return false;
        count.level_add(level);
        return true;
    });
    return count.counted();
}

Reason OrderBook::remainder_reason(const Taker& taker) const {
    if (taker.order.ord_type == OrdType::LIMIT) return Reason::IOC_REMAINDER;
    if (ladder(side_opposite(taker.order.side)).is_empty()) return Reason::NO_LIQUIDITY;
    return taker.limit == taker.order.price ? Reason::COLLAR : Reason::PRICE_BAND;
}

void OrderBook::taker_cancel(Taker& taker, Reason reason) {
    cancel_report(ExecType::CANCELED, taker.order, reason);
    taker.order.leaves = 0;
}

// Cancels or reduces whom the taker's mode says; what is left of the taker is gone if that is himself.
void OrderBook::self_trade_prevent(Taker& taker, Slot maker) {
    const SelfTradePrevention stp = taker.order.stp;
    if (stp == SelfTradePrevention::DECREMENT) {
        const std::uint32_t quantity = std::min(taker.order.leaves, order(maker).leaves);
        resting_reduce(maker, quantity);
        return taker_reduce(taker, quantity);
    }
    if (stp != SelfTradePrevention::CANCEL_NEWEST) resting_cancel(maker, ExecType::CANCELED, Reason::SELF_TRADE);
    if (stp != SelfTradePrevention::CANCEL_OLDEST) taker_cancel(taker, Reason::SELF_TRADE);
}

void OrderBook::taker_reduce(Taker& taker, std::uint32_t quantity) {
    if (taker.order.leaves == quantity) return taker_cancel(taker, Reason::SELF_TRADE);
    taker.order.leaves -= quantity;
    order_report(ExecType::REDUCED, taker.order, quantity, Reason::SELF_TRADE);
}

void OrderBook::resting_reduce(Slot slot, std::uint32_t quantity) {
    if (order(slot).leaves == quantity) return resting_cancel(slot, ExecType::CANCELED, Reason::SELF_TRADE);
    order_reduce(slot, quantity);
    order_report(ExecType::REDUCED, order(slot), quantity, Reason::SELF_TRADE);
}

void OrderBook::trade_note(std::int64_t price, std::uint32_t quantity, std::int64_t transact_time_ns) {
    last_price_ = price;
    last_quantity_ = quantity;
    last_time_ns_ = transact_time_ns;
    // A figure for display that decides nothing: it stays at its greatest rather than overflow.
    if (__builtin_add_overflow(volume_, std::int64_t{quantity}, &volume_)) volume_ = INT64_MAX;
}

}  // namespace openbell
