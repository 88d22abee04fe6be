// 55 % passive adds, 35 % cancels of live orders, 7 % marketable limits, 3 % market orders.
#include "flow.hpp"

#include <algorithm>

namespace bench {

namespace {

constexpr std::uint64_t PASSIVE_SHARE = 55;
constexpr std::uint64_t CANCEL_SHARE = 35;
constexpr std::uint64_t MARKET_SHARE = 3;
constexpr std::uint64_t OWNERS = 100'000;
constexpr std::uint64_t QUANTITY_MAX = 100;
constexpr std::int64_t REACH_MAX = 10;       // levels beyond the best that a marketable limit reaches
constexpr std::uint64_t TRADES_MAX = 1'000;  // of one command

// Splitmix: what the standard library draws differs between libraries.
class Random {
public:
    explicit Random(std::uint64_t seed) : state_(seed) {}

    std::uint64_t below(std::uint64_t limit) {
        state_ += 0x9E37'79B9'7F4A'7C15ULL;
        std::uint64_t mixed = state_;
        mixed = (mixed ^ (mixed >> 30U)) * 0xBF58'476D'1CE4'E5B9ULL;
        mixed = (mixed ^ (mixed >> 27U)) * 0x94D0'49BB'1331'11EBULL;
        return (mixed ^ (mixed >> 31U)) % limit;
    }

private:
    std::uint64_t state_;
};

// Knows which orders rest, so that every cancel finds one.
class RestingOrders {
public:
    explicit RestingOrders(std::size_t orders_max) : place_(orders_max + 1) {}

    void order_add(std::uint64_t id) {
        place_[id] = ids_.size();
        ids_.push_back(id);
    }
    void order_remove(std::uint64_t id) {
        ids_[place_[id]] = ids_.back();
        place_[ids_.back()] = place_[id];
        ids_.pop_back();
    }
    std::size_t count() const { return ids_.size(); }
    std::uint64_t at(std::size_t place) const { return ids_[place]; }

private:
    std::vector<std::uint64_t> ids_;
    std::vector<std::size_t> place_;
};

class FlowMaker {
public:
    explicit FlowMaker(const Shape& shape)
        : orders_(shape.resting + shape.commands + 1),
          resting_(shape.resting + shape.commands),
          symbol_of_(shape.resting + shape.commands + 1) {
        flow_.shape = shape;
        flow_.commands.reserve(shape.resting + shape.commands);
        flow_.trades.reserve(shape.commands / 4);
        for (std::uint32_t symbol = 0; symbol < shape.symbols; ++symbol) books_.emplace_back(orders_.data());
    }

    Flow flow_make() {
        while (flow_.commands.size() < flow_.shape.resting + flow_.shape.commands) command_add(command_draw());
        flow_.resting_at_end = resting_.count();
        ids_draw();
        return std::move(flow_);
    }

private:
    Command command_draw() {
        if (flow_.commands.size() < flow_.shape.resting) return passive_draw();
        const std::uint64_t choice = random_.below(100);
        if (choice < PASSIVE_SHARE || resting_.count() == 0) return passive_draw();
        if (choice < PASSIVE_SHARE + CANCEL_SHARE) return cancel_draw();
        return aggressive_draw(choice >= 100 - MARKET_SHARE);
    }

    Command order_draw() {
        Command command{};
        command.order_id = ++order_count_;
        command.symbol_id = 1 + static_cast<std::uint32_t>(random_.below(flow_.shape.symbols));
        symbol_of_[order_count_] = command.symbol_id;
        command.kind = static_cast<std::uint8_t>(openbell::CommandKind::NEW);
        command.side = static_cast<std::uint8_t>(random_.below(2) == 0 ? Side::BUY : Side::SELL);
        command.ord_type = static_cast<std::uint8_t>(openbell::OrdType::LIMIT);
        command.stp = static_cast<std::uint8_t>(openbell::SelfTradePrevention::CANCEL_NEWEST);
        // Takers have odd owners, makers even ones: prevention looks at every trade and, as the yardstick has none,
        // never finds one to prevent.
        command.owner = 1 + 2 * random_.below(OWNERS / 2);
        command.quantity = 1 + static_cast<std::int64_t>(random_.below(QUANTITY_MAX));
        return command;
    }

    Command passive_draw() {
        Command command = order_draw();
        ++command.owner;
        command.price = MIDDLE - away(command, 1 + static_cast<std::int64_t>(random_.below(LEVELS_A_SIDE)));
        return command;
    }

    // On average it takes two passive orders, and more when more are resting, so that about as many stay; what a limit
    // cannot take is the reason for more than twice the passive quantity.
    Command aggressive_draw(bool is_market) {
        Command command = order_draw();
        const std::uint64_t quantity_wanted = 14 * QUANTITY_MAX / 5 * resting_.count() / flow_.shape.resting;
        const std::uint64_t quantity_max = std::clamp<std::uint64_t>(quantity_wanted, 1, TRADES_MAX);
        command.quantity = 1 + static_cast<std::int64_t>(random_.below(quantity_max));
        command.tif = static_cast<std::uint8_t>(openbell::TimeInForce::IOC);
        const auto side = static_cast<Side>(command.side);
        const std::int64_t worst = MIDDLE + away(command, LEVELS_A_SIDE);
        const std::int64_t best = books_[command.symbol_id - 1].best_price(openbell::side_opposite(side));
        const std::int64_t reached = best + away(command, static_cast<std::int64_t>(random_.below(REACH_MAX)));
        command.price = side == Side::BUY ? std::min(reached, worst) : std::max(reached, worst);
        if (!is_market) return command;
        command.ord_type = static_cast<std::uint8_t>(openbell::OrdType::MARKET);
        command.price = worst;
        return command;
    }

    Command cancel_draw() {
        Command command{};
        command.kind = static_cast<std::uint8_t>(openbell::CommandKind::CANCEL);
        command.orig_order_id = resting_.at(random_.below(resting_.count()));
        command.symbol_id = symbol_of_[command.orig_order_id];
        return command;
    }

    static std::int64_t away(const Command& command, std::int64_t levels) {
        return command.side == static_cast<std::uint8_t>(Side::BUY) ? levels * TICK : -levels * TICK;
    }

    void command_add(Command command) {
        command.seq = flow_.commands.size() + 1;
        flow_.commands.push_back(command);
        Trade made[TRADES_MAX];
        BareMatcher& book = books_[command.symbol_id - 1];
        for (const Trade* trade = made, *end = book.process(command, made); trade != end; ++trade) {
            flow_.trades.push_back(*trade);
            if (book.quantity_open(trade->maker) == 0) resting_.order_remove(trade->maker);
        }
        if (command.kind == static_cast<std::uint8_t>(openbell::CommandKind::CANCEL))
            resting_.order_remove(command.orig_order_id);
        else if (book.quantity_open(command.order_id) > 0)
            resting_.order_add(command.order_id);
    }

    // Milliseconds in the high bits, a sequence that everything draws from in the low 21: about 100,000 orders/s.
    void ids_draw() {
        std::uint64_t milliseconds = 217'000'000'000;
        std::uint64_t sequence = 0;
        flow_.ids.assign(1, 0);
        for (std::uint64_t order = 1; order <= order_count_; ++order) {
            if (random_.below(100) == 0) ++milliseconds;
            sequence += 1 + random_.below(6);
            flow_.ids.push_back(milliseconds << 21U | (sequence & 0x1F'FFFFU));
        }
    }

    Flow flow_;
    Random random_{SEED};
    std::vector<BareMatcher::Order> orders_;
    std::vector<BareMatcher> books_;
    RestingOrders resting_;
    std::vector<std::uint32_t> symbol_of_;
    std::uint64_t order_count_ = 0;
};

}  // namespace

Flow flow_make(const Shape& shape) { return FlowMaker(shape).flow_make(); }

std::vector<Command> commands_with_ids(const Flow& flow) {
    std::vector<Command> commands = flow.commands;
    for (Command& command : commands) {
        command.order_id = flow.ids[command.order_id];
        command.orig_order_id = flow.ids[command.orig_order_id];
        command.transact_time_ns = 1'794'836'800'000'000'000 + static_cast<std::int64_t>(command.seq) * 10'000;
    }
    return commands;
}

}  // namespace bench
