// Plausible commands: events, book and depth agree after every one, a restored engine goes on as the first does, and
// all at once give what one by one gave.
#include <vector>

#include "run.hpp"

namespace {

constexpr std::size_t ORDERS = 48;  // few enough to fill the pool

}  // namespace

// The first byte says after how many commands the snapshot is taken.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    fuzz::Run run(ORDERS, {data + 1, size - 1});
    std::vector<openbell::Command> commands;
    std::vector<openbell::Event> events;
    while (const auto command = run.command_next()) {
        if (commands.size() == data[0]) run.twin_restore();
        commands.push_back(*command);
        const auto made = run.command_process(*command);
        events.insert(events.end(), made.begin(), made.end());
    }
    openbell::MatchingEngine again(ORDERS, fuzz::Run::BOOKS);
    MUST(fuzz::Run::is_same(events, again.process(commands)));
    MUST(again.state_hash() == run.engine().state_hash());
    return 0;
}
