// One side of a book against a standard map: near, far, off the grid and moving.
#include <map>
#include <memory_resource>

#include "check.hpp"
#include "commands.hpp"
#include "openbell/price_ladder.hpp"

using openbell::Level;
using openbell::LevelPages;
using openbell::PriceLadder;
using openbell::Side;

namespace {

// Best first, as the ladder walks.
struct BestFirst {
    Side side;
    bool operator()(std::int64_t a, std::int64_t b) const { return side == Side::BUY ? a > b : a < b; }
};
using Expected = std::map<std::int64_t, std::uint64_t, BestFirst>;

// A level is one for as long as an order is on it.
void quantity_put(PriceLadder& ladder, std::int64_t price, std::uint64_t quantity) {
    Level& level = ladder.level_open(price);
    level.quantity += quantity;
    level.displayed.head = 1;
}

void walk_check(const PriceLadder& ladder, const Expected& expected) {
    CHECK(ladder.is_empty() == expected.empty());
    if (expected.empty()) return;
    std::int64_t price = ladder.best_price();
    const Level* level = &ladder.best();
    for (const auto& [expected_price, quantity] : expected) {
        CHECK(level != nullptr);
        CHECK(price == expected_price);
        CHECK(level->quantity == quantity);
        level = ladder.level_after(price);
    }
    CHECK(level == nullptr);
}

std::int64_t price_random(commands::Random& random, std::int64_t centre) {
    switch (random.below(8)) {
        case 0: return static_cast<std::int64_t>(random.below(30'000)) + 1;
        case 1: return centre + static_cast<std::int64_t>(random.below(2'000'000));
        case 2: return centre + static_cast<std::int64_t>(random.below(3'000));
        default: return centre + static_cast<std::int64_t>(random.below(300)) * 100;
    }
}

void side_check(Side side) {
    LevelPages pages(4'000, 1);
    std::pmr::unsynchronized_pool_resource memory;
    PriceLadder ladder(side, pages, memory);
    Expected expected(BestFirst{side});
    commands::Random random(static_cast<std::uint64_t>(side) + 40);
    for (int step = 0; step < 60'000; ++step) {
        // The market drifts, and now and then the side empties, so the window moves.
        const std::int64_t centre = 1'000'000 + step * 20;
        const bool is_draining = step / 3'000 % 2 == 1;
        if (expected.empty() || (!is_draining && expected.size() < 300 && random.below(2) == 0)) {
            const std::int64_t price = price_random(random, centre);
            quantity_put(ladder, price, 5);
            expected[price] += 5;
        } else {
            auto chosen = expected.begin();
            if (random.below(2) == 0)
                std::advance(chosen, static_cast<std::ptrdiff_t>(random.below(expected.size())));
            ladder.level_open(chosen->first) = Level{};
            ladder.level_close(chosen->first);
            expected.erase(chosen);
        }
        if (step % 20 == 0 || expected.size() < 4) walk_check(ladder, expected);
        if (!expected.empty()) CHECK(ladder.best_price() == expected.begin()->first);
    }
}

}  // namespace

TEST(price_ladder, bids_agree_with_a_map) { side_check(Side::BUY); }

TEST(price_ladder, asks_agree_with_a_map) { side_check(Side::SELL); }

TEST(price_ladder, every_place_of_the_window_is_reached) {
    LevelPages pages(20'000, 1);
    std::pmr::unsynchronized_pool_resource memory;
    PriceLadder ladder(Side::SELL, pages, memory);
    for (std::int64_t tick = 0; tick < 17'000; ++tick) quantity_put(ladder, 10'000'000 + tick * 100, 1);
    for (std::int64_t tick = 0; tick < 17'000; ++tick) {
        CHECK(ladder.best_price() == 10'000'000 + tick * 100);
        ladder.level_close(10'000'000 + tick * 100);
    }
    CHECK(ladder.is_empty());
}

TEST(price_ladder, largest_and_smallest_price_stand_side_by_side) {
    LevelPages pages(10, 1);
    std::pmr::unsynchronized_pool_resource memory;
    PriceLadder ladder(Side::BUY, pages, memory);
    quantity_put(ladder, 1, 1);
    quantity_put(ladder, openbell::PRICE_UNITS_MAX, 1);
    CHECK(ladder.best_price() == openbell::PRICE_UNITS_MAX);
    std::int64_t price = ladder.best_price();
    CHECK(ladder.level_after(price) != nullptr);
    CHECK(price == 1);
}

TEST(price_ladder, closing_a_missing_level_is_a_broken_invariant) {
    LevelPages pages(10, 1);
    std::pmr::unsynchronized_pool_resource memory;
    PriceLadder ladder(Side::BUY, pages, memory);
    CHECK_THROWS(ladder.level_close(100), openbell::InvariantBroken);
}
