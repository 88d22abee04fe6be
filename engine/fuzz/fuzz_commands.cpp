// Any bytes as command records: each is refused or obeyed, and nothing else happens.
#include <cstring>
#include <vector>

#include "shadow.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    std::vector<openbell::Command> commands(size / sizeof(openbell::Command));
    if (commands.empty()) return 0;
    std::memcpy(commands.data(), data, commands.size() * sizeof(openbell::Command));
    openbell::MatchingEngine engine(64, 4);
    std::uint64_t hash = engine.state_hash();
    for (const openbell::Command& command : commands) {
        const auto events = engine.process({&command, 1});
        MUST(!events.empty() && events[0].seq == command.seq);
        const bool is_rejected = events[0].exec_type == static_cast<std::uint8_t>(openbell::ExecType::REJECTED);
        MUST(!is_rejected || (events.size() == 1 && engine.state_hash() == hash));
        hash = engine.state_hash();
    }
    return 0;
}
