// A few stories in C++ alone; the whole suite is told to this book and the reference from Python.
#include <stdexcept>

#include "check.hpp"
#include "commands.hpp"

using namespace commands;
using openbell::ExecType;
using openbell::MatchingEngine;

TEST(matching, trade_is_at_the_makers_price_in_time_order) {
    MatchingEngine engine(100, 1);
    run(engine, {limit(Side::SELL, 1, 5, 1'000'000), limit(Side::SELL, 2, 5, 1'000'000)});
    const auto events = run(engine, {limit(Side::BUY, 3, 7, 1'000'100)});
    CHECK(events.size() == 3);
    CHECK(is(events[0], ExecType::NEW));
    CHECK(is(events[1], ExecType::TRADE) && events[1].contra_order_id == 1 && events[1].quantity == 5);
    CHECK(events[2].contra_order_id == 2 && events[2].quantity == 2 && events[2].price == 1'000'000);
    CHECK(events[2].n == 2 && events[2].contra_leaves_qty == 3);
    CHECK(engine.order_count() == 1);
}

TEST(matching, same_commands_give_the_same_events_and_state) {
    MatchingEngine one(100, 1);
    MatchingEngine other(5'000, 9);
    const std::vector<Command> batch = {limit(Side::SELL, 1, 5, 1'000'000), limit(Side::BUY, 2, 9, 1'000'000),
                                        cancel(2), limit(Side::BUY, 4, 3, 999'900)};
    CHECK(run(one, batch).size() == run(other, batch).size());
    CHECK(one.state_hash() == other.state_hash());
    CHECK(one.state_hash(1) == other.state_hash(1) && one.state_hash(1) != 0);
}

TEST(matching, limits_are_refused_outside_their_bounds) {
    CHECK_THROWS(MatchingEngine(0, 1), std::invalid_argument);
    CHECK_THROWS(MatchingEngine(1, openbell::BOOKS_MAX + 1), std::invalid_argument);
    MatchingEngine engine(10, 1);
    CHECK_THROWS(engine.process(std::vector<Command>(openbell::BATCH_COMMANDS_MAX + 1)), std::invalid_argument);
    CHECK_THROWS(engine.depth(1, Side::BUY, openbell::DEPTH_LEVELS_MAX + 1), std::invalid_argument);
}

TEST(matching, largest_engine_costs_nothing_until_used) {
    MatchingEngine engine(openbell::ORDERS_MAX, openbell::BOOKS_MAX);
    run(engine, {limit(Side::SELL, 1, 5, 1'000'000)});
    CHECK(engine.order_count() == 1);
}

TEST(matching, every_symbol_has_its_own_book) {
    MatchingEngine engine(5'000, 5'000);
    std::vector<Command> batch;
    for (std::uint32_t symbol = 1; symbol <= 5'000; ++symbol) {
        batch.push_back(limit(symbol % 2 == 0 ? Side::BUY : Side::SELL, symbol, symbol, 1'000'000));
        batch.back().symbol_id = symbol * 1'024;
    }
    run(engine, batch);
    CHECK(engine.order_count() == 5'000);
    for (std::uint32_t symbol = 1; symbol <= 5'000; ++symbol) {
        const auto side = symbol % 2 == 0 ? Side::BUY : Side::SELL;
        CHECK(engine.depth(symbol * 1'024, side, 5).at(0).quantity == symbol);
    }
}

TEST(matching, one_batch_can_sweep_a_book_far_beyond_its_own_size) {
    MatchingEngine engine(20'000, 1);
    for (std::uint64_t id = 1; id <= 20'000; ++id) run(engine, {limit(Side::SELL, id, 1, 1'000'000)});
    Command sweep = limit(Side::BUY, 99'999, 20'000, 1'000'000);
    sweep.tif = static_cast<std::uint8_t>(openbell::TimeInForce::IOC);
    CHECK(run(engine, {sweep}).size() == 20'001);
    CHECK(engine.order_count() == 0);
    CHECK(engine.state_hash(1) != 0);
}
