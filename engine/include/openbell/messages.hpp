// The two records that cross the engine's boundary: packed, fixed-width, little-endian.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "openbell/types.hpp"

namespace openbell {

static_assert(std::endian::native == std::endian::little, "records are exchanged in memory order");

// Codes arrive as plain bytes: what a producer may get wrong is no enum until it has been checked.
struct Command {
    std::uint64_t seq;
    std::uint64_t order_id;
    std::uint64_t orig_order_id;   // the target of CANCEL, EXPIRE and REPLACE
    std::uint64_t owner;           // who must not trade with himself; 0 is nobody
    std::int64_t price;            // 1/10,000; the collar of a market order
    std::int64_t quantity;         // the order's total
    std::int64_t cum_quantity;     // RESTORE: filled before; RESTORE_LAST: the day's volume; else 0
    std::int64_t transact_time_ns;
    std::uint32_t symbol_id;
    std::uint8_t kind;
    std::uint8_t side;
    std::uint8_t ord_type;
    std::uint8_t tif;
    std::uint8_t stp;
    std::uint8_t flags;            // none is defined yet; must be 0
    std::uint8_t reserved[22];
};

// In a TRADE the order is the taker and the contra order the maker; in a REPLACED they are the new and the old.
struct Event {
    std::uint64_t seq;
    std::uint64_t order_id;
    std::uint64_t contra_order_id;
    std::uint64_t owner;
    std::uint64_t contra_owner;
    std::int64_t price;
    std::int64_t quantity;         // traded, cancelled, or open at acceptance
    std::int64_t leaves_qty;
    std::int64_t cum_qty;
    std::int64_t contra_leaves_qty;
    std::int64_t contra_cum_qty;
    std::uint32_t symbol_id;
    std::uint32_t n;               // index within the command's events
    std::uint8_t exec_type;
    std::uint8_t ord_status;
    std::uint8_t contra_ord_status;
    std::uint8_t side;
    std::uint8_t reason;
    std::uint8_t reserved[3];
};

static_assert(sizeof(Command) == 96 && alignof(Command) == 8);
static_assert(sizeof(Event) == 104 && alignof(Event) == 8);
static_assert(std::is_trivially_copyable_v<Command> && std::is_trivially_copyable_v<Event>);

struct FieldLayout {
    const char* name;
    std::size_t offset;
    std::size_t size;
};

#define OPENBELL_FIELD(record, field) FieldLayout{#field, offsetof(record, field), sizeof(record::field)}

inline constexpr FieldLayout COMMAND_LAYOUT[] = {
    OPENBELL_FIELD(Command, seq), OPENBELL_FIELD(Command, order_id), OPENBELL_FIELD(Command, orig_order_id),
    OPENBELL_FIELD(Command, owner), OPENBELL_FIELD(Command, price), OPENBELL_FIELD(Command, quantity),
    OPENBELL_FIELD(Command, cum_quantity), OPENBELL_FIELD(Command, transact_time_ns),
    OPENBELL_FIELD(Command, symbol_id), OPENBELL_FIELD(Command, kind), OPENBELL_FIELD(Command, side),
    OPENBELL_FIELD(Command, ord_type), OPENBELL_FIELD(Command, tif), OPENBELL_FIELD(Command, stp),
    OPENBELL_FIELD(Command, flags), OPENBELL_FIELD(Command, reserved)};

inline constexpr FieldLayout EVENT_LAYOUT[] = {
    OPENBELL_FIELD(Event, seq), OPENBELL_FIELD(Event, order_id), OPENBELL_FIELD(Event, contra_order_id),
    OPENBELL_FIELD(Event, owner), OPENBELL_FIELD(Event, contra_owner), OPENBELL_FIELD(Event, price),
    OPENBELL_FIELD(Event, quantity), OPENBELL_FIELD(Event, leaves_qty), OPENBELL_FIELD(Event, cum_qty),
    OPENBELL_FIELD(Event, contra_leaves_qty), OPENBELL_FIELD(Event, contra_cum_qty),
    OPENBELL_FIELD(Event, symbol_id), OPENBELL_FIELD(Event, n), OPENBELL_FIELD(Event, exec_type),
    OPENBELL_FIELD(Event, ord_status), OPENBELL_FIELD(Event, contra_ord_status), OPENBELL_FIELD(Event, side),
    OPENBELL_FIELD(Event, reason), OPENBELL_FIELD(Event, reserved)};

template <std::size_t N>
constexpr bool layout_is_complete(const FieldLayout (&layout)[N], std::size_t record_size) {
    std::size_t next = 0;
    for (const FieldLayout& field : layout) {
        if (field.offset != next) return false;
        next += field.size;
    }
    return next == record_size;
}

static_assert(layout_is_complete(COMMAND_LAYOUT, sizeof(Command)), "a field is missing, or there is padding");
static_assert(layout_is_complete(EVENT_LAYOUT, sizeof(Event)), "a field is missing, or there is padding");

}  // namespace openbell
