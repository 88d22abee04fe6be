// What must hold whatever comes in, told from the events alone and compared with what the engine says of itself.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <iterator>
#include <map>
#include <optional>
#include <span>
#include <utility>

#include "openbell/matching_engine.hpp"
#include "plausible.hpp"

#define MUST(condition) ((condition) ? void() : fuzz::broken(__FILE__, __LINE__, #condition))

namespace fuzz {

using namespace openbell;

[[noreturn]] inline void broken(const char* file, int line, const char* what) {
    std::fprintf(stderr, "%s:%d: does not hold: %s\n", file, line, what);
    std::abort();
}

class Shadow {
public:
    void command_follow(const Command& command, std::span<const Event> events) {
        MUST(!events.empty());
        for (std::size_t at = 0; at < events.size(); ++at) {
            MUST(events[at].seq == command.seq && events[at].symbol_id == command.symbol_id && events[at].n == at);
            event_apply(command, events[at]);
        }
        MUST(!is(events[0].exec_type, ExecType::REJECTED) || events.size() == 1);
    }

    void engine_check(const MatchingEngine& engine, std::uint32_t symbol_id) const {
        MUST(engine.order_count() == orders_.size());
        const auto bids = engine.depth(symbol_id, Side::BUY, DEPTH_LEVELS_MAX);
        const auto asks = engine.depth(symbol_id, Side::SELL, DEPTH_LEVELS_MAX);
        const auto status = engine.book_status(symbol_id);
        if (status && status->phase == Phase::CONTINUOUS && !bids.empty() && !asks.empty())
            MUST(bids.front().price < asks.front().price);
        const auto found = books_.find(symbol_id);
        if (found == books_.end()) return;
        side_check(found->second.sides[0], bids, found->second.is_published);
        side_check(found->second.sides[1], asks, found->second.is_published);
    }

    std::optional<Target> target_at(std::size_t place) const {
        if (orders_.empty()) return std::nullopt;
        auto found = orders_.begin();
        std::advance(found, static_cast<std::ptrdiff_t>(place % orders_.size()));
        const Order& order = found->second;
        return Target{found->first, order.symbol_id, order.side, order.ord_type, order.tif};
    }

private:
    struct Order {
        std::uint32_t symbol_id;
        std::uint8_t side;
        std::uint8_t stp;
        std::uint8_t ord_type;
        std::uint8_t tif;
        std::int64_t leaves;
        std::int64_t cum;
    };
    struct Level {
        std::int64_t quantity;
        std::int64_t order_count;
    };
    struct BookSide {
        std::int64_t leaves = 0;  // of all orders, waiting ones too
        std::map<std::int64_t, Level> levels;
        std::pair<std::int64_t, std::int64_t> top{0, 0};
    };
    struct Book {
        BookSide sides[2];
        bool is_published = false;
    };

    BookSide& side_of(std::uint32_t symbol_id, std::uint8_t side) {
        MUST(side == 1 || side == 2);
        return books_[symbol_id].sides[side - 1];
    }

    void event_apply(const Command& command, const Event& event) {
        switch (static_cast<ExecType>(event.exec_type)) {
            case ExecType::NEW:
            case ExecType::RESTORED: return order_add(command, event);
            case ExecType::REPLACED:
                order_end(event.contra_order_id);
                return order_add(command, event);
            case ExecType::TRADE: return trade_apply(event);
            case ExecType::CANCELED:
            case ExecType::EXPIRED:
                MUST(orders_.at(event.order_id).leaves == event.quantity);
                return order_end(event.order_id);
            case ExecType::REDUCED: return quantity_take(event.order_id, event.quantity, event.leaves_qty);
            case ExecType::REFRESHED: MUST(orders_.at(event.order_id).leaves == event.leaves_qty); return;
            case ExecType::TRIGGERED: return triggered_apply(event);
            case ExecType::TRAILED: MUST(orders_.contains(event.order_id)); return;
            case ExecType::OPTIONS: return options_apply(event);
            case ExecType::LEVEL: return level_apply(event);
            case ExecType::TOP: side_of(event.symbol_id, event.side).top = {event.price, event.quantity}; return;
            case ExecType::REJECTED: MUST(event.reason != 0); return;
            case ExecType::PHASE:
            case ExecType::BANDS:
            case ExecType::MODE:
            case ExecType::LIMIT_STATE: return;
        }
        broken(__FILE__, __LINE__, "an event of a kind that exists");
    }

    void order_add(const Command& command, const Event& event) {
        if (is(command.kind, CommandKind::RESTORE_LAST)) return;
        MUST(event.order_id == command.order_id && event.leaves_qty > 0 && event.leaves_qty == event.quantity);
        const Order order{.symbol_id = event.symbol_id, .side = event.side, .stp = command.stp,
                          .ord_type = command.ord_type, .tif = command.tif, .leaves = event.leaves_qty,
                          .cum = event.cum_qty};
        MUST(orders_.emplace(event.order_id, order).second);
        side_of(event.symbol_id, event.side).leaves += event.leaves_qty;
    }

    void order_end(std::uint64_t order_id) {
        const Order& order = orders_.at(order_id);
        side_of(order.symbol_id, order.side).leaves -= order.leaves;
        orders_.erase(order_id);
    }

    void quantity_take(std::uint64_t order_id, std::int64_t quantity, std::int64_t leaves) {
        Order& order = orders_.at(order_id);
        MUST(quantity > 0 && order.leaves - quantity == leaves && leaves >= 0);
        order.leaves = leaves;
        side_of(order.symbol_id, order.side).leaves -= quantity;
        if (leaves == 0) order_end(order_id);
    }

    void trade_apply(const Event& event) {
        Order& taker = orders_.at(event.order_id);
        Order& maker = orders_.at(event.contra_order_id);
        MUST(event.price > 0 && taker.side == event.side && maker.side == 3 - event.side);
        MUST(event.owner == 0 || event.owner != event.contra_owner || taker.stp == 0);
        MUST((taker.cum += event.quantity) == event.cum_qty && (maker.cum += event.quantity) == event.contra_cum_qty);
        quantity_take(event.order_id, event.quantity, event.leaves_qty);
        quantity_take(event.contra_order_id, event.quantity, event.contra_leaves_qty);
    }

    void triggered_apply(const Event& event) {
        Order& order = orders_.at(event.order_id);
        MUST(order.leaves == event.leaves_qty && order.ord_type >= static_cast<std::uint8_t>(OrdType::STOP));
        const bool is_stop_limit = is(order.ord_type, OrdType::STOP_LIMIT);
        order.ord_type = static_cast<std::uint8_t>(is_stop_limit ? OrdType::LIMIT : OrdType::MARKET);
    }

    // What is published can be compared only if it has been since the book was empty.
    void options_apply(const Event& event) {
        Book& book = books_[event.symbol_id];
        const bool is_empty = book.sides[0].leaves == 0 && book.sides[1].leaves == 0;
        book.is_published = (event.quantity & 1) != 0 && (book.is_published || is_empty);
        if (is_empty) book.sides[0] = book.sides[1] = {};
    }

    void level_apply(const Event& event) {
        auto& levels = side_of(event.symbol_id, event.side).levels;
        if (event.leaves_qty == 0) {
            MUST(event.quantity == 0);
            levels.erase(event.price);
        } else {
            MUST(event.quantity >= event.leaves_qty);
            levels[event.price] = {event.quantity, event.leaves_qty};
        }
    }

    static void side_check(const BookSide& side, const std::vector<DepthLevel>& depth, bool is_published) {
        std::int64_t sum = 0;
        for (const DepthLevel& level : depth) {
            MUST(level.order_count > 0 && level.quantity >= level.order_count);
            sum += static_cast<std::int64_t>(level.quantity);
            if (!is_published) continue;
            const auto found = side.levels.find(level.price);
            MUST(found != side.levels.end());
            MUST(found->second.quantity == static_cast<std::int64_t>(level.quantity));
            MUST(found->second.order_count == level.order_count);
        }
        MUST(sum <= side.leaves);
        if (!is_published) return;
        MUST(side.levels.size() == depth.size());
        if (depth.empty()) MUST(side.top == std::pair(std::int64_t{0}, std::int64_t{0}));
        else MUST(side.top == std::pair(depth.front().price, static_cast<std::int64_t>(depth.front().quantity)));
    }

    std::map<std::uint64_t, Order> orders_;
    std::map<std::uint32_t, Book> books_;
};

}  // namespace fuzz
