// The search over the candidates of an uncross.
#include "openbell/auction.hpp"

#include <algorithm>
#include <cstdlib>
#include <tuple>

namespace openbell {

std::optional<Indication> auction_solve(std::vector<AuctionPoint>& points, std::int64_t reference) {
    std::ranges::sort(points, {}, &AuctionPoint::price);
    std::uint64_t bid = 0;
    for (const AuctionPoint& point : points) bid += point.bid;
    std::uint64_t offered = 0;
    std::optional<Indication> best;
    // The lower a candidate's rank, the better it is.
    const auto rank = [reference](const Indication& one) {
        return std::tuple(-static_cast<std::int64_t>(one.volume), std::abs(one.imbalance),
                          std::abs(one.price - reference), -one.price);
    };
    for (std::size_t at = 0; at < points.size();) {
        const std::int64_t price = points[at].price;
        std::uint64_t bid_here = 0;
        for (; at < points.size() && points[at].price == price; ++at) {
            offered += points[at].offered;
            bid_here += points[at].bid;
        }
        const Indication candidate{price, std::min(bid, offered), static_cast<std::int64_t>(bid - offered)};
        if (candidate.volume != 0 && (!best.has_value() || rank(candidate) < rank(*best))) best = candidate;
        bid -= bid_here;
    }
    return best;
}

}  // namespace openbell
