// One beat of a leader's heart, as it goes over the wire: 48 bytes, little-endian.
#pragma once

#include <bit>
#include <cstdint>

namespace openbell::heartbeat {

static_assert(std::endian::native == std::endian::little);

inline constexpr std::uint32_t MAGIC = 0x4548'424FU;  // "OBHE"
inline constexpr std::uint16_t VERSION = 1;

struct Beat {
    std::uint32_t magic = MAGIC;
    std::uint16_t version = VERSION;
    std::uint16_t partition = 0;
    std::int32_t epoch = 0;
    std::int32_t backend_pid = 0;
    std::uint64_t number = 0;
    std::uint64_t progress = 0;
    std::uint8_t is_busy = 0;
    std::uint8_t is_realtime = 0;
    std::uint8_t reserved[14] = {};
};
static_assert(sizeof(Beat) == 48);

}  // namespace openbell::heartbeat
