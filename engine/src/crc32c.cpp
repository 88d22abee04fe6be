// The checksum's two ways, chosen once when the program starts.
#include "openbell/crc32c.hpp"

#include <array>
#include <cstring>
#if defined(__x86_64__)
#include <nmmintrin.h>
#endif

namespace openbell {

namespace {

constexpr std::uint32_t POLYNOMIAL = 0x82F6'3B78;  // bits reversed

using CrcFunction = std::uint32_t (*)(std::uint32_t, std::span<const std::byte>);

constexpr std::array<std::uint32_t, 256> TABLE = [] {
    std::array<std::uint32_t, 256> table{};
    for (std::uint32_t byte = 0; byte < table.size(); ++byte) {
        std::uint32_t crc = byte;
        for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1U) ^ ((crc & 1U) != 0 ? POLYNOMIAL : 0U);
        table[byte] = crc;
    }
    return table;
}();

std::uint32_t crc_by_table(std::uint32_t crc, std::span<const std::byte> bytes) {
    for (const std::byte byte : bytes) crc = (crc >> 8U) ^ TABLE[(crc ^ static_cast<std::uint32_t>(byte)) & 0xFFU];
    return crc;
}

#if defined(__x86_64__)
[[gnu::target("sse4.2")]] std::uint32_t crc_by_instruction(std::uint32_t before, std::span<const std::byte> bytes) {
    std::uint64_t crc = before;
    const std::byte* at = bytes.data();
    const std::byte* const end = at + bytes.size();
    for (; end - at >= 8; at += 8) {
        std::uint64_t word = 0;
        std::memcpy(&word, at, sizeof word);
        crc = _mm_crc32_u64(crc, word);
    }
    auto last = static_cast<std::uint32_t>(crc);
    for (; at != end; ++at) last = _mm_crc32_u8(last, static_cast<unsigned char>(*at));
    return last;
}
#endif

CrcFunction crc_function_choose() {
#if defined(__x86_64__)
    if (__builtin_cpu_supports("sse4.2")) return &crc_by_instruction;
#endif
    return &crc_by_table;
}

}  // namespace

std::uint32_t crc32c(std::uint32_t before, std::span<const std::byte> bytes) {
    static const CrcFunction function = crc_function_choose();
    return ~function(~before, bytes);
}

}  // namespace openbell
