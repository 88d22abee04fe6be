// The four rules of the price, each where the ones before it do not decide.
#include "check.hpp"
#include "openbell/auction.hpp"

using openbell::AuctionPoint;
using openbell::auction_solve;
using openbell::Indication;

namespace {

Indication solve(std::vector<AuctionPoint> points, std::int64_t reference) {
    const std::optional<Indication> found = auction_solve(points, reference);
    CHECK(found.has_value());
    return *found;
}

}  // namespace

TEST(auction, nothing_trades_without_both_sides) {
    std::vector<AuctionPoint> bids = {{100, 5, 0}, {101, 5, 0}};
    CHECK(!auction_solve(bids, 100).has_value());
    std::vector<AuctionPoint> none;
    CHECK(!auction_solve(none, 100).has_value());
}

TEST(auction, greatest_volume_comes_first) {
    const Indication found = solve({{103, 5, 0}, {102, 5, 0}, {101, 0, 4}, {102, 0, 4}}, 101);
    CHECK(found.price == 102 && found.volume == 8 && found.imbalance == 2);
}

TEST(auction, then_smallest_imbalance) {
    // 10 trade at either price; at 101 15 are bid, at 102 only 10.
    const Indication found = solve({{102, 10, 0}, {101, 5, 0}, {101, 0, 10}}, 101);
    CHECK(found.price == 102 && found.volume == 10 && found.imbalance == 0);
}

TEST(auction, then_nearest_to_the_reference_then_higher) {
    const std::vector<AuctionPoint> points = {{104, 10, 0}, {100, 0, 10}};
    CHECK(solve(points, 101).price == 100);
    CHECK(solve(points, 103).price == 104);
    CHECK(solve(points, 102).price == 104);
}

TEST(auction, reference_is_a_price_like_any_other) {
    CHECK(solve({{104, 10, 0}, {100, 0, 10}, {102, 0, 0}}, 102).price == 102);
}

TEST(auction, largest_quantities_do_not_overflow) {
    const std::uint64_t most = (1ULL << 26U) * 0xFFFF'FFFFULL;
    const Indication found = solve({{1'000'000'000'000'000, most, 0}, {1, 0, most - 1}}, 5);
    CHECK(found.volume == most - 1 && found.imbalance == 1 && found.price == 1);
}
