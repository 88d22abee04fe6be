// The plain path does what the general one does: the same flow through a plain book and through one that a stop out of
// everybody's reach keeps from being plain.
#include <cstring>

#include "check.hpp"
#include "commands.hpp"

using namespace commands;
using openbell::MatchingEngine;
using openbell::OrdType;
using openbell::TimeInForce;

namespace {

constexpr std::uint64_t STOP_IDS = 1'000'000'000;

Command order_random(Random& random, std::uint64_t order_id) {
    const Side side = random.below(2) == 0 ? Side::BUY : Side::SELL;
    const auto distance = static_cast<std::int64_t>(random.below(30)) * 100;
    Command command = limit(side, order_id, static_cast<std::int64_t>(random.below(50)) + 1,
                            side == Side::BUY ? 1'000'000 - distance + 700 : 1'000'000 + distance - 700);
    command.owner = random.below(8);
    command.stp = static_cast<std::uint8_t>(random.below(5));
    constexpr TimeInForce TIFS[] = {TimeInForce::DAY, TimeInForce::GTC, TimeInForce::GTD, TimeInForce::IOC};
    command.tif = static_cast<std::uint8_t>(TIFS[random.below(4)]);
    if (random.below(10) == 0) command.ord_type = static_cast<std::uint8_t>(OrdType::MARKET);
    return command;
}

struct Shape {
    std::uint64_t seed;
    std::size_t max_orders;
    std::size_t batch_size;
    std::uint32_t symbols = 1;
    // With more than the caches hold, orders are fetched ahead.
    std::size_t orders_expected = MatchingEngine::ORDERS_EXPECTED;
};

// Some of them wrong: both ways must refuse the same.
Command command_random(Random& random, std::uint64_t order_id, std::uint32_t symbols) {
    const std::uint64_t earlier = order_id - std::min(order_id - 2, random.below(200));
    const auto symbol_id = 1 + static_cast<std::uint32_t>(earlier % symbols);
    Command command = random.below(3) == 0 ? cancel(earlier) : order_random(random, order_id);
    command.symbol_id = command.orig_order_id != 0 ? symbol_id : 1 + static_cast<std::uint32_t>(order_id % symbols);
    if (command.orig_order_id != 0) return command;
    switch (random.below(60)) {
        case 0: command.price += 1; break;
        case 1: command.order_id = earlier; break;
        case 2: command.quantity = 0; break;
        case 3: command.symbol_id = 0; break;
        case 4: command.stp = 5; break;
        case 5: command.price = 9'999; break;
        case 6: command.tif = static_cast<std::uint8_t>(TimeInForce::FOK); break;
        default: break;
    }
    return command;
}

void stops_put(MatchingEngine& engine, std::uint32_t symbols, bool is_taken_off) {
    for (std::uint32_t symbol = 1; symbol <= symbols; ++symbol) {
        Command command = stop(Side::BUY, STOP_IDS + symbol, 1, openbell::PRICE_UNITS_MAX, openbell::PRICE_UNITS_MAX);
        if (is_taken_off) command = cancel(STOP_IDS + symbol);
        command.symbol_id = symbol;
        run(engine, {command});
    }
}

void flow_compare(const Shape& shape) {
    MatchingEngine plain(shape.max_orders, shape.symbols, shape.orders_expected);
    MatchingEngine general(shape.max_orders + shape.symbols, shape.symbols);
    stops_put(general, shape.symbols, false);
    Random random(shape.seed);
    std::uint64_t order_id = 1;
    for (int step = 0; step < 2'000; ++step) {
        std::vector<Command> batch;
        while (batch.size() < shape.batch_size) batch.push_back(command_random(random, ++order_id, shape.symbols));
        const std::vector<Event> expected = run(general, batch);
        const std::vector<Event> events = run(plain, batch);
        CHECK(events.size() == expected.size());
        CHECK(std::memcmp(events.data(), expected.data(), events.size() * sizeof(Event)) == 0);
        CHECK(plain.order_count() + shape.symbols == general.order_count());
    }
    stops_put(general, shape.symbols, true);
    CHECK(plain.state_hash() == general.state_hash());
}

}  // namespace

TEST(plain_path, gives_the_events_of_the_general_one) {
    for (std::uint64_t seed = 1; seed <= 4; ++seed) flow_compare({seed, 5'000, 20});
}

TEST(plain_path, gives_the_same_events_in_a_full_pool) { flow_compare({9, 60, 7}); }

TEST(plain_path, gives_the_same_events_a_command_at_a_time) { flow_compare({10, 2'000, 1}); }

TEST(plain_path, gives_the_same_events_with_orders_fetched_ahead) {
    flow_compare({11, 5'000, 30, 1, 100'000});
    flow_compare({12, 5'000, 3, 1, 100'000});
}

TEST(plain_path, gives_the_same_events_with_books_fetched_ahead) {
    flow_compare({13, 5'000, 50, 200});
    flow_compare({14, 5'000, 50, 200, 100'000});
}

TEST(plain_path, order_id_may_come_again_when_its_order_is_gone) {
    MatchingEngine engine(10, 1);
    std::vector<Command> batch;
    for (int round = 0; round < 40; ++round) {
        batch.push_back(limit(Side::SELL, 7, 1, 1'000'000));
        batch.push_back(limit(Side::BUY, 8, 1, 1'000'000));
        if (round % 3 == 0) batch.push_back(limit(Side::SELL, 7, 1, 1'000'000));
        if (round % 3 == 0) batch.push_back(cancel(7));
    }
    for (const Event& event : run(engine, batch)) CHECK(!is(event, openbell::ExecType::REJECTED));
    CHECK(engine.order_count() == 0);
    run(engine, {limit(Side::SELL, 7, 1, 1'000'000)});
    CHECK(is(run(engine, {limit(Side::SELL, 7, 1, 1'000'000)}).at(0), openbell::ExecType::REJECTED));
}

TEST(plain_path, table_of_ids_may_grow_after_trades_in_the_same_batch) {
    MatchingEngine engine(50'000, 1, 100);
    std::vector<Command> batch;
    std::uint64_t order_id = 1;
    for (int round = 0; round < 3'000; ++round) {
        batch.push_back(limit(Side::SELL, order_id++, 1, 1'000'000));
        batch.push_back(limit(Side::BUY, order_id++, 1, 1'000'000));
        for (int resting = 0; resting < 5; ++resting) batch.push_back(limit(Side::BUY, order_id++, 1, 990'000));
    }
    run(engine, batch);
    CHECK(engine.order_count() == 15'000);
    std::vector<Command> cancels;
    for (std::uint64_t id = 1; id < order_id; ++id) cancels.push_back(cancel(id));
    std::size_t rejected = 0;
    for (const Event& event : run(engine, cancels)) rejected += is(event, openbell::ExecType::REJECTED) ? 1U : 0U;
    CHECK(rejected == 6'000 && engine.order_count() == 0);
}
