// usage: openbell_long_run <commands> <seed>. Random commands with every feature, everything that must hold checked
// after each; engines are begun anew every thousand commands, so that a failure is near its beginning.
#include <array>
#include <cinttypes>
#include <cstdlib>
#include <cstring>

#include "run.hpp"

namespace {

constexpr std::size_t COMMANDS_A_RUN = 1'000;
constexpr std::uint64_t PROGRESS_RUNS = 10'000;

class Random {
public:
    explicit Random(std::uint64_t seed) : state_(seed) {}

    std::uint64_t next() {
        state_ += 0x9E37'79B9'7F4A'7C15ULL;
        std::uint64_t mixed = state_;
        mixed = (mixed ^ (mixed >> 30U)) * 0xBF58'476D'1CE4'E5B9ULL;
        mixed = (mixed ^ (mixed >> 27U)) * 0x94D0'49BB'1331'11EBULL;
        return mixed ^ (mixed >> 31U);
    }

private:
    std::uint64_t state_;
};

std::size_t run_whole(std::uint64_t seed) {
    Random random(seed);
    std::array<std::uint8_t, COMMANDS_A_RUN * 8> bytes{};
    for (std::size_t at = 0; at < bytes.size(); at += 8) {
        const std::uint64_t value = random.next();
        std::memcpy(&bytes[at], &value, 8);
    }
    fuzz::Run run(16 + random.next() % 200, bytes);
    std::size_t events = 0;
    std::size_t commands = 0;
    const std::size_t twin_begins = random.next() % COMMANDS_A_RUN;
    while (const auto command = run.command_next()) {
        if (commands++ == twin_begins) run.twin_restore();
        events += run.command_process(*command).size();
    }
    return events;
}

}  // namespace

int main(int count, char** arguments) {
    if (count != 3) {
        std::fprintf(stderr, "usage: openbell_long_run <commands> <seed>\n");
        return 2;
    }
    const std::uint64_t runs = std::strtoull(arguments[1], nullptr, 10) / COMMANDS_A_RUN;
    const std::uint64_t seed = std::strtoull(arguments[2], nullptr, 10);
    std::uint64_t events = 0;
    for (std::uint64_t run = 0; run < runs; ++run) {
        if (run % PROGRESS_RUNS == 0)
            std::fprintf(stderr, "seed %" PRIu64 ", run %" PRIu64 " of %" PRIu64 "\n", seed, run, runs);
        events += run_whole(seed + run);
    }
    std::printf("%" PRIu64 " commands, %" PRIu64 " events: everything held\n", runs * COMMANDS_A_RUN, events);
    return 0;
}
