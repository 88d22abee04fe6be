// Any bytes as a snapshot, as they are or with a header and checksums that fit: refused, or the same when taken again.
#include <algorithm>
#include <stdexcept>

#include "openbell/snapshot_blocks.hpp"
#include "shadow.hpp"

namespace {

using namespace openbell;

constexpr std::size_t ORDERS = 64;
constexpr std::size_t BOOKS = 4;

// What a reader meets only if the outermost checks pass.
Snapshot content_seal(std::span<const std::byte> content) {
    BlockWriter blocks(content.size());
    for (const std::byte byte : content) blocks.put(byte);
    SnapshotHeader header{};
    std::memcpy(&header, content.data(), sizeof header);
    header.magic = SNAPSHOT_MAGIC;
    header.version = SNAPSHOT_VERSION;
    header.content_bytes = content.size();
    return blocks.finish(header);
}

// Every book of what was accepted is opened and closed, so that all its orders meet.
void accepted_check(MatchingEngine& engine, std::span<const std::byte> bytes) {
    const Snapshot again = engine.snapshot();
    MUST(std::ranges::equal(again.bytes(), bytes));
    Command command{};
    command.kind = static_cast<std::uint8_t>(CommandKind::PHASE);
    using enum Phase;
    for (const Phase phase : {HALTED, OPENING_AUCTION, CONTINUOUS, CLOSING_AUCTION, CLOSED}) {
        for (command.symbol_id = 1; command.symbol_id <= BOOKS; ++command.symbol_id) {
            command.argument = static_cast<std::uint8_t>(phase);
            MUST(!engine.process({&command, 1}).empty());
        }
    }
}

void restore_try(std::span<const std::byte> bytes) {
    std::unique_ptr<MatchingEngine> engine;
    try {
        engine = MatchingEngine::restore(bytes, ORDERS, BOOKS);
    } catch (const std::invalid_argument&) {
        return;
    }
    accepted_check(*engine, bytes);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    const std::span<const std::byte> bytes = std::as_bytes(std::span(data + 1, size - 1));
    if (data[0] % 4 == 0 || bytes.size() < sizeof(SnapshotHeader)) restore_try(bytes);
    else restore_try(content_seal(bytes).bytes());
    return 0;
}
