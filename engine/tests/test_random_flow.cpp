// Random flow: what must hold after every batch, whatever came in.
#include <unordered_map>

#include "check.hpp"
#include "commands.hpp"

using namespace commands;
using openbell::ExecType;
using openbell::MatchingEngine;
using openbell::Phase;

namespace {

struct Leaves {
    std::unordered_map<std::uint64_t, std::int64_t> open;

    void event_apply(const Event& event) {
        if (is(event, ExecType::NEW)) open[event.order_id] = event.leaves_qty;
        if (is(event, ExecType::CANCELED) || is(event, ExecType::EXPIRED)) {
            CHECK(open.at(event.order_id) == event.quantity);
            open.erase(event.order_id);
        }
        if (is(event, ExecType::REPLACED)) {
            CHECK(open.erase(event.contra_order_id) == 1);
            open[event.order_id] = event.leaves_qty;
        }
        if (is(event, ExecType::TRADE)) {
            trade_apply(event.order_id, event.quantity, event.leaves_qty);
            trade_apply(event.contra_order_id, event.quantity, event.contra_leaves_qty);
        }
    }

    void trade_apply(std::uint64_t order_id, std::int64_t quantity, std::int64_t leaves) {
        CHECK(quantity > 0 && open.at(order_id) - quantity == leaves && leaves >= 0);
        open[order_id] = leaves;
        if (leaves == 0) open.erase(order_id);
    }

    std::uint64_t total() const {
        std::uint64_t sum = 0;
        for (const auto& [id, leaves] : open) sum += static_cast<std::uint64_t>(leaves);
        return sum;
    }
};

Command command_random(Random& random, std::uint64_t order_id) {
    const std::uint64_t earlier = order_id - std::min(order_id - 1, random.below(300));
    const std::uint64_t choice = random.below(100);
    if (choice < 25) return cancel(earlier);
    if (choice == 25) return phase(random.below(2) == 0 ? Phase::CONTINUOUS : Phase::HALTED);
    const Side side = random.below(2) == 0 ? Side::BUY : Side::SELL;
    const auto distance = static_cast<std::int64_t>(random.below(40)) * 100;
    Command command = limit(side, order_id, static_cast<std::int64_t>(random.below(50)) + 1,
                            side == Side::BUY ? 1'000'000 - distance + 500 : 1'000'000 + distance - 500);
    command.owner = random.below(20);
    command.stp = static_cast<std::uint8_t>(random.below(4));
    if (choice < 40) {
        command.kind = static_cast<std::uint8_t>(CommandKind::REPLACE);
        command.orig_order_id = earlier;
    } else if (choice < 50) {
        command.tif = static_cast<std::uint8_t>(3 + random.below(2));
    } else if (choice < 53) {
        command.ord_type = static_cast<std::uint8_t>(openbell::OrdType::MARKET);
    }
    return command;
}

std::uint64_t depth_total(const MatchingEngine& engine, Side side) {
    std::uint64_t sum = 0;
    for (const openbell::DepthLevel& level : engine.depth(1, side, openbell::DEPTH_LEVELS_MAX)) sum += level.quantity;
    return sum;
}

void book_check(const MatchingEngine& engine, const Leaves& leaves) {
    const auto quote = engine.quote(1);
    CHECK(engine.order_count() == leaves.open.size());
    CHECK(depth_total(engine, Side::BUY) + depth_total(engine, Side::SELL) == leaves.total());
    if (!quote.has_value() || quote->phase != Phase::CONTINUOUS) return;
    if (quote->bid_price == 0 || quote->ask_price == 0) return;
    CHECK(quote->bid_price < quote->ask_price);
}

}  // namespace

TEST(random_flow, quantities_are_conserved_and_the_book_is_never_crossed) {
    for (std::uint64_t seed = 1; seed <= 5; ++seed) {
        MatchingEngine engine(2'000, 1);
        Leaves leaves;
        Random random(seed);
        for (std::uint64_t id = 1; id <= 20'000; ++id) {
            for (const Event& event : run(engine, {command_random(random, id)})) leaves.event_apply(event);
            book_check(engine, leaves);
        }
    }
}

TEST(random_flow, random_bytes_are_refused_or_obeyed_but_never_harm) {
    // So many books and expected orders that all that is fetched ahead is.
    MatchingEngine engine(500, 200, 100'000);
    for (std::uint32_t symbol = 1; symbol <= 150; ++symbol) {
        Command opening = limit(Side::BUY, symbol, 1, 1'000'000);
        opening.symbol_id = symbol;
        run(engine, {opening});
    }
    Random random(99);
    for (int step = 0; step < 5'000; ++step) {
        std::vector<Command> batch(10);
        for (Command& command : batch) {
            auto* bytes = reinterpret_cast<unsigned char*>(&command);
            for (std::size_t at = 0; at < sizeof command; ++at)
                bytes[at] = random.below(3) == 0 ? static_cast<unsigned char>(random.below(256)) : 0;
            command.kind = static_cast<std::uint8_t>(random.below(14));
            if (random.below(2) == 0) command.flags = command.reserved = 0;
        }
        CHECK(run(engine, batch).size() >= batch.size());
    }
}
