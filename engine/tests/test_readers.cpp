// Other threads read quotes while the engine works: whole ones only.
#include <atomic>
#include <thread>

#include "check.hpp"
#include "commands.hpp"

using namespace commands;
using openbell::MatchingEngine;

TEST(readers, quote_is_as_of_the_last_batch) {
    MatchingEngine engine(10, 1);
    CHECK(!engine.quote(1).has_value());
    run(engine, {limit(Side::SELL, 1, 5, 1'000'000), limit(Side::BUY, 2, 2, 1'000'000),
                 limit(Side::BUY, 3, 4, 999'900)});
    const auto quote = engine.quote(1);
    CHECK(quote->ask_price == 1'000'000 && quote->ask_quantity == 3);
    CHECK(quote->bid_price == 999'900 && quote->bid_quantity == 4);
    CHECK(quote->last_price == 1'000'000 && quote->volume == 2);
}

TEST(readers, quotes_are_never_torn) {
    MatchingEngine engine(10, 4);
    std::atomic<bool> is_done = false;
    std::thread reader([&] {
        while (!is_done.load()) {
            const auto quote = engine.quote(1);
            if (!quote.has_value() || quote->ask_price == 0) continue;
            CHECK(quote->ask_price == static_cast<std::int64_t>(quote->ask_quantity) * 100);
        }
    });
    for (std::int64_t round = 1; round <= 50'000; ++round) {
        const auto id = static_cast<std::uint64_t>(round);
        std::vector<Command> batch = {limit(Side::SELL, id, round, round * 100)};
        if (round > 1) batch.insert(batch.begin(), cancel(id - 1));
        run(engine, batch);
    }
    is_done = true;
    reader.join();
}
