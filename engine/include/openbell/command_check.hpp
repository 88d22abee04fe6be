// Whether a command makes sense by itself, before any book is looked at.
#pragma once

#include "openbell/messages.hpp"

namespace openbell {

// The first thing wrong with the command, in the order of the rules; NONE if nothing is.
Reason command_check(const Command& command);

inline constexpr std::uint8_t FLAGS_ALL = byte_of(OrderFlag::POST_ONLY) | byte_of(OrderFlag::HIDDEN) |
                                          byte_of(OrderFlag::REDUCE_ONLY) | byte_of(OrderFlag::TRAIL_PERCENT);

// LIMIT that waits in the book for whom it meets.
constexpr bool is_resting_limit(const Command& command) {
    const bool is_resting_tif = command.tif == byte_of(TimeInForce::DAY) || command.tif == byte_of(TimeInForce::GTC) ||
                                command.tif == byte_of(TimeInForce::GTD);
    return command.ord_type == byte_of(OrdType::LIMIT) && is_resting_tif;
}

constexpr bool is_immediate(std::uint8_t tif) {
    return tif == byte_of(TimeInForce::IOC) || tif == byte_of(TimeInForce::FOK);
}

constexpr bool is_auction(std::uint8_t tif) {
    return tif == byte_of(TimeInForce::OPG) || tif == byte_of(TimeInForce::CLS);
}

constexpr bool is_stop(std::uint8_t ord_type) {
    return ord_type >= byte_of(OrdType::STOP) && ord_type <= byte_of(OrdType::TRAIL);
}

// Whether a NEW is right by itself, asks for no feature, and is priced on the grid of a plain book. Everything here is
// nearly always so.
[[gnu::always_inline]] inline bool is_plain_new(const Command& command) {
    constexpr std::uint64_t FLAGS_AND_RESERVED = 0xFF00'FF00'0000'0000ULL;
    constexpr std::uint32_t TIFS = 1U << byte_of(TimeInForce::DAY) | 1U << byte_of(TimeInForce::GTC) |
                                   1U << byte_of(TimeInForce::GTD) | 1U << byte_of(TimeInForce::IOC);
    if ((command.codes() & FLAGS_AND_RESERVED) != 0) return false;
    if ((static_cast<std::uint64_t>(command.stop_price | command.cum_quantity) | command.display_quantity |
         command.min_quantity | command.trail) != 0)
        return false;
    const auto price = static_cast<std::uint64_t>(command.price);
    if (price - 1 >= PRICE_UNITS_MAX || command.order_id - 1 >= ORDER_ID_MAX) return false;
    if (static_cast<std::uint64_t>(command.quantity) - 1 >= QUANTITY_MAX) return false;
    if (command.side - 1U > 1 || command.stp > byte_of(SelfTradePrevention::DECREMENT)) return false;
    if (command.tif > 7 || (TIFS >> command.tif & 1U) == 0) return false;
    if (command.ord_type == byte_of(OrdType::LIMIT)) return price % TICK_DEFAULT == 0 || price < ONE_DOLLAR_UNITS;
    return command.ord_type == byte_of(OrdType::MARKET) && command.tif != byte_of(TimeInForce::GTD);
}

}  // namespace openbell
