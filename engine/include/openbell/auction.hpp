// The price of an uncross: the most volume, then the least imbalance, then nearest the reference, then higher.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

namespace openbell {

// What is bid and offered at one price.
struct AuctionPoint {
    std::int64_t price;
    std::uint64_t bid;
    std::uint64_t offered;
};

struct Indication {
    std::int64_t price;
    std::uint64_t volume;
    std::int64_t imbalance;  // what is bid at the price or higher minus what is offered at it or lower
};

// Nothing if no volume would trade. Every point is a candidate; it sorts them.
std::optional<Indication> auction_solve(std::vector<AuctionPoint>& points, std::int64_t reference);

}  // namespace openbell
