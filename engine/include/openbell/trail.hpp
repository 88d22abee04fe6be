// Where a trailing stop stands.
#pragma once

#include <algorithm>
#include <cstdint>

#include "openbell/types.hpp"

namespace openbell {

inline constexpr std::int64_t TRAIL_PARTS = 1'000'000;  // of which a TRAIL_PERCENT is a number

// How far the stop is from the mark. Exact for every price: the product of mark and trail may not fit in 64 bits.
constexpr std::int64_t trail_distance(std::int64_t mark, std::uint32_t trail, std::uint8_t flags) {
    if ((flags & byte_of(OrderFlag::TRAIL_PERCENT)) == 0) return trail;
    return std::max<std::int64_t>(1, mark / TRAIL_PARTS * trail + mark % TRAIL_PARTS * trail / TRAIL_PARTS);
}

constexpr std::int64_t trail_stop(Side side, std::int64_t mark, std::uint32_t trail, std::uint8_t flags) {
    const std::int64_t distance = trail_distance(mark, trail, flags);
    return side == Side::BUY ? mark + distance : mark - distance;
}

}  // namespace openbell
