// CRC-32C (Castagnoli): by the processor's own instruction where it has one, by a table where it has not.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace openbell {

// Of the bytes that follow those `before` is the checksum of; 0 before the first.
std::uint32_t crc32c(std::uint32_t before, std::span<const std::byte> bytes);

}  // namespace openbell
