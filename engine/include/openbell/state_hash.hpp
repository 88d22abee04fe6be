// The 64-bit mix by which two books, or a book and its reference, are compared.
#pragma once

#include <cstdint>

namespace openbell {

class StateHash {
public:
    void mix(std::uint64_t value) {
        hash_ = (hash_ ^ value) * 0x9E37'79B9'7F4A'7C15ULL;
        hash_ ^= hash_ >> 32U;
    }
    std::uint64_t value() const { return hash_; }

private:
    std::uint64_t hash_ = 0xCBF2'9CE4'8422'2325ULL;
};

}  // namespace openbell
