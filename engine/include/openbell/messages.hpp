// The two records that cross the engine's boundary: packed, fixed-width, little-endian.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
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
    std::int64_t price;            // 1/10,000; the collar of a MARKET, STOP or TRAIL order
    std::int64_t stop_price;       // the trigger; of a TRAIL the high-water mark; of BANDS the upper band
    std::int64_t quantity;         // the order's total
    std::int64_t cum_quantity;     // RESTORE: filled before; RESTORE_LAST: the day's volume; else 0
    std::int64_t transact_time_ns;
    std::uint32_t symbol_id;
    std::uint32_t display_quantity;  // of an iceberg; 0 shows all
    std::uint32_t min_quantity;      // to trade on arrival; of an iceberg's RESTORE what it shows
    std::uint32_t trail;             // an amount in units, or with TRAIL_PERCENT parts per million
    std::uint8_t kind;
    std::uint8_t side;
    std::uint8_t ord_type;
    std::uint8_t tif;
    std::uint8_t stp;
    std::uint8_t flags;              // bits of OrderFlag
    std::uint8_t argument;           // of PHASE, MODE and OPTIONS
    std::uint8_t reserved;           // 0

    // The one-byte fields as one number, the kind lowest.
    std::uint64_t codes() const {
        std::uint64_t word = 0;
        std::memcpy(&word, reinterpret_cast<const unsigned char*>(this) + CODES_AT, sizeof word);
        return word;
    }

    static constexpr std::size_t CODES_AT = 88;
};

static_assert(Command::CODES_AT == offsetof(Command, kind) && offsetof(Command, reserved) == Command::CODES_AT + 7);

// In a TRADE the order is the taker and the contra order the maker; in a REPLACED they are the new and the old.
struct Event {
    std::uint64_t seq;
    std::uint64_t order_id;
    std::uint64_t contra_order_id;
    std::uint64_t owner;
    std::uint64_t contra_owner;
    std::int64_t price;
    std::int64_t quantity;         // traded, cancelled, or open at acceptance
    std::int64_t cum_qty;          // of RESTORE_LAST the volume
    std::uint32_t leaves_qty;
    std::uint32_t contra_leaves_qty;
    std::uint32_t contra_cum_qty;
    std::uint32_t symbol_id;
    std::uint32_t n;               // index within the command's events
    std::uint8_t exec_type;
    std::uint8_t ord_status;
    std::uint8_t contra_ord_status;
    std::uint8_t side;
    std::uint8_t reason;
    std::uint8_t reserved[7];

    // All of the one-byte fields at once.
    void codes_set(ExecType type, OrdStatus status, OrdStatus contra_status, std::uint8_t of_side, Reason why) {
        const std::uint64_t word = std::uint64_t{byte_of(type)} | std::uint64_t{byte_of(status)} << 8U |
                                   std::uint64_t{byte_of(contra_status)} << 16U | std::uint64_t{of_side} << 24U |
                                   std::uint64_t{byte_of(why)} << 32U;
        auto* const bytes = reinterpret_cast<unsigned char*>(this) + CODES_AT;
        std::memcpy(bytes, &word, sizeof word);
        std::memset(bytes + sizeof word, 0, sizeof(Event) - CODES_AT - sizeof word);
    }

    static constexpr std::size_t CODES_AT = 84;
};

static_assert(sizeof(Command) == 96 && alignof(Command) == 8);
static_assert(sizeof(Event) == 96 && alignof(Event) == 8);
static_assert(Event::CODES_AT == offsetof(Event, exec_type) && offsetof(Event, reserved) == Event::CODES_AT + 5);
static_assert(std::is_trivially_copyable_v<Command> && std::is_trivially_copyable_v<Event>);

struct FieldLayout {
    const char* name;
    std::size_t offset;
    std::size_t size;
};

#define OPENBELL_FIELD(record, field) FieldLayout{#field, offsetof(record, field), sizeof(record::field)}

inline constexpr FieldLayout COMMAND_LAYOUT[] = {
    OPENBELL_FIELD(Command, seq), OPENBELL_FIELD(Command, order_id), OPENBELL_FIELD(Command, orig_order_id),
    OPENBELL_FIELD(Command, owner), OPENBELL_FIELD(Command, price), OPENBELL_FIELD(Command, stop_price),
    OPENBELL_FIELD(Command, quantity), OPENBELL_FIELD(Command, cum_quantity),
    OPENBELL_FIELD(Command, transact_time_ns), OPENBELL_FIELD(Command, symbol_id),
    OPENBELL_FIELD(Command, display_quantity), OPENBELL_FIELD(Command, min_quantity), OPENBELL_FIELD(Command, trail),
    OPENBELL_FIELD(Command, kind), OPENBELL_FIELD(Command, side), OPENBELL_FIELD(Command, ord_type),
    OPENBELL_FIELD(Command, tif), OPENBELL_FIELD(Command, stp), OPENBELL_FIELD(Command, flags),
    OPENBELL_FIELD(Command, argument), OPENBELL_FIELD(Command, reserved)};

inline constexpr FieldLayout EVENT_LAYOUT[] = {
    OPENBELL_FIELD(Event, seq), OPENBELL_FIELD(Event, order_id), OPENBELL_FIELD(Event, contra_order_id),
    OPENBELL_FIELD(Event, owner), OPENBELL_FIELD(Event, contra_owner), OPENBELL_FIELD(Event, price),
    OPENBELL_FIELD(Event, quantity), OPENBELL_FIELD(Event, cum_qty), OPENBELL_FIELD(Event, leaves_qty),
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
