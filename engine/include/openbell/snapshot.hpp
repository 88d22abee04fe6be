// An engine's whole state as bytes. All numbers are little-endian.
//
// The bytes are blocks of 64 KiB, the last one shorter: up to 65,532 bytes of content and the CRC-32C of the block's
// number (32 bits, from 0) and that content. The contents, joined, are a SnapshotHeader, and then the books in the
// order in which they were opened: a SnapshotBook and its orders, of which those that share a price, a stop or an
// auction stand in the order in which they came there. An order is a SnapshotOrder, and if it is an iceberg or waits
// for its stop a SnapshotExtra; after the last comes a SnapshotOrder of zeros. Unused bytes are 0.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>

#include "openbell/arena.hpp"

namespace openbell {

static_assert(std::endian::native == std::endian::little, "records are written as they stand in memory");

inline constexpr std::size_t SNAPSHOT_BLOCK_BYTES = 65'536;
inline constexpr std::size_t SNAPSHOT_CRC_BYTES = 4;
inline constexpr std::size_t SNAPSHOT_CONTENT_BYTES = SNAPSHOT_BLOCK_BYTES - SNAPSHOT_CRC_BYTES;
inline constexpr std::uint64_t SNAPSHOT_MAGIC = 0x004B'4F4F'424E'504F;  // "OPNBOOK" and a 0
inline constexpr std::uint32_t SNAPSHOT_VERSION = 1;
inline constexpr std::uint64_t SNAPSHOT_ARRIVALS_MAX = 1ULL << 62U;  // more than any book lives to see

struct SnapshotHeader {
    std::uint64_t magic;
    std::uint32_t version;
    std::uint32_t book_count;
    std::uint64_t order_count;
    std::uint64_t content_bytes;  // all of it, this header included
    std::uint64_t last_seq;
    std::uint64_t state_hash;
};

struct SnapshotBook {
    std::uint32_t symbol_id;
    std::int32_t tick;
    std::uint64_t arrivals;  // how many times an order has come to a place
    std::int64_t last_price;
    std::int64_t last_quantity;
    std::int64_t last_time_ns;
    std::int64_t volume;
    std::int64_t lower_band;
    std::int64_t upper_band;
    std::uint8_t phase;
    std::uint8_t mode;
    std::uint8_t limit_side;
    std::uint8_t is_publishing;
    std::uint32_t unused;
};

struct SnapshotOrder {
    std::uint64_t order_id;
    std::uint64_t owner;
    std::int64_t price;
    std::uint64_t arrival;
    std::uint32_t leaves;
    std::uint32_t cum;
    std::uint8_t side;
    std::uint8_t ord_type;
    std::uint8_t tif;
    std::uint8_t stp;
    std::uint8_t flags;
    std::uint8_t has_extra;
    std::uint16_t unused;
    bool operator==(const SnapshotOrder&) const = default;
};

struct SnapshotExtra {
    std::int64_t stop_price;  // of a trail its mark
    std::uint32_t trail;
    std::uint32_t display;
    std::uint32_t shown;
    std::uint32_t unused;
};

static_assert(sizeof(SnapshotHeader) == 48 && sizeof(SnapshotBook) == 72 && sizeof(SnapshotOrder) == 48 &&
              sizeof(SnapshotExtra) == 24);

struct Snapshot {
    Arena<std::byte> data;
    std::size_t size;
    std::span<const std::byte> bytes() const { return {data.data(), size}; }
};

}  // namespace openbell
