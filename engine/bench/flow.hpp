// The command mix everything is measured with: the same on every machine, for the engine, the yardstick and the peers.
#pragma once

#include <cstdint>
#include <vector>

#include "bare_matcher.hpp"

namespace bench {

inline constexpr std::uint64_t SEED = 20'260'101;
inline constexpr std::size_t RESTING = 2'900;
inline constexpr std::size_t COMMANDS = 2'000'000;

struct Shape {
    std::size_t resting = RESTING;
    std::size_t commands = COMMANDS;
    std::uint32_t symbols = 1;
};

// Orders are numbered 1, 2, 3 ... in `commands` and `trades`; `ids` are the numbers the platform would give them.
struct Flow {
    Shape shape;
    std::vector<Command> commands;  // the first `resting` lay down the book
    std::vector<Trade> trades;      // all that follow, as the yardstick made them
    std::vector<std::uint64_t> ids;
    std::size_t resting_at_end = 0;
};

Flow flow_make(const Shape& shape);
// The same commands under the platform's ids.
std::vector<Command> commands_with_ids(const Flow& flow);

}  // namespace bench
