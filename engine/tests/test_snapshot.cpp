// What comes back from a snapshot, and what is refused: everything that is not exactly one.
#include <cstring>
#include <stdexcept>
#include <string_view>

#include "check.hpp"
#include "commands.hpp"
#include "openbell/crc32c.hpp"

using namespace commands;
using openbell::MatchingEngine;
using openbell::Phase;
using openbell::Snapshot;

namespace {

std::vector<std::byte> bytes_of(const Snapshot& snapshot) {
    return {snapshot.bytes().begin(), snapshot.bytes().end()};
}

bool is_refused(std::span<const std::byte> bytes, std::size_t max_orders = 10'000, std::size_t max_books = 4) {
    try {
        (void)MatchingEngine::restore(bytes, max_orders, max_books);
    } catch (const std::invalid_argument&) {
        return true;
    }
    return false;
}

// Orders of every kind, and more than one block of them.
void engine_fill(MatchingEngine& engine, std::uint64_t orders) {
    std::vector<Command> batch = {phase(Phase::CONTINUOUS)};
    for (std::uint64_t id = 1; id <= orders; ++id) {
        const Side side = id % 2 == 0 ? Side::BUY : Side::SELL;
        const auto distance = static_cast<std::int64_t>(id * 37 % 90 + 1) * 100;
        const std::int64_t price = side == Side::BUY ? 1'000'000 - distance : 1'000'000 + distance;
        Command command = limit(side, id, static_cast<std::int64_t>(id % 50) + 10, price);
        command.symbol_id = 1 + static_cast<std::uint32_t>(id % 3);
        if (id % 7 == 0) command.display_quantity = 3;
        if (id % 11 == 0 && command.display_quantity == 0) command.flags = 2;
        if (id % 13 == 0) {
            const bool is_buy = side == Side::BUY;
            command = stop(side, id, 5, is_buy ? 1'200'000 : 800'000, is_buy ? 1'300'000 : 700'000);
            if (id % 2 == 0) command.trail = 1'000;
            if (id % 2 == 0) command.ord_type = static_cast<std::uint8_t>(openbell::OrdType::TRAIL);
        }
        if (id % 17 == 0) command.tif = static_cast<std::uint8_t>(openbell::TimeInForce::CLS);
        batch.push_back(command);
        if (id % 40 == 0) batch.push_back(limit(side, 1'000'000 + id, 12, side == Side::BUY ? 1'000'300 : 999'700));
    }
    run(engine, batch);
}

std::vector<Command> future(std::uint64_t first_id) {
    std::vector<Command> batch;
    Random random(5);
    for (std::uint64_t id = first_id; id < first_id + 2'000; ++id) {
        const Side side = random.below(2) == 0 ? Side::BUY : Side::SELL;
        batch.push_back(limit(side, id, static_cast<std::int64_t>(random.below(60)) + 1,
                              1'000'000 + static_cast<std::int64_t>(random.below(40)) * 100 - 2'000));
        batch.back().symbol_id = 1 + static_cast<std::uint32_t>(random.below(3));
        if (random.below(4) == 0) batch.push_back(cancel(random.below(3'000) + 1));
    }
    batch.push_back(phase(Phase::CLOSING_AUCTION));
    batch.push_back(phase(Phase::CLOSED));
    return batch;
}

}  // namespace

TEST(snapshot, crc32c_is_the_published_one) {
    constexpr std::string_view digits = "123456789";
    CHECK(openbell::crc32c(0, std::as_bytes(std::span(digits))) == 0xE306'9283U);
    const std::vector<std::byte> zeros(32);
    CHECK(openbell::crc32c(0, zeros) == 0x8A91'36AAU);
    const std::uint32_t first = openbell::crc32c(0, std::as_bytes(std::span(digits.substr(0, 4))));
    CHECK(openbell::crc32c(first, std::as_bytes(std::span(digits.substr(4)))) == 0xE306'9283U);
}

TEST(snapshot, restored_engine_goes_on_as_the_old_one) {
    MatchingEngine engine(10'000, 4);
    engine_fill(engine, 3'000);
    const Snapshot snapshot = engine.snapshot();
    CHECK(snapshot.size > 2 * openbell::SNAPSHOT_BLOCK_BYTES);
    const auto restored = MatchingEngine::restore(snapshot.bytes(), 10'000, 4);
    CHECK(restored->state_hash() == engine.state_hash() && restored->order_count() == engine.order_count());
    CHECK(restored->last_seq() == engine.last_seq() && restored->quote(2)->bid_price == engine.quote(2)->bid_price);
    CHECK(bytes_of(restored->snapshot()) == bytes_of(snapshot));
    const std::vector<Event> expected = run(engine, future(2'000'000));
    const std::vector<Event> events = run(*restored, future(2'000'000));
    CHECK(events.size() == expected.size() && expected.size() > 1'000);
    CHECK(std::memcmp(events.data(), expected.data(), events.size() * sizeof(Event)) == 0);
    CHECK(restored->state_hash() == engine.state_hash());
}

TEST(snapshot, empty_engine_comes_back_empty) {
    MatchingEngine engine(10, 4);
    const auto restored = MatchingEngine::restore(engine.snapshot().bytes(), 10, 4);
    CHECK(restored->order_count() == 0 && restored->state_hash() == engine.state_hash());
}

TEST(snapshot, what_does_not_fit_is_refused) {
    MatchingEngine engine(10'000, 4);
    engine_fill(engine, 300);
    const std::vector<std::byte> bytes = bytes_of(engine.snapshot());
    CHECK(!is_refused(bytes, engine.order_count(), 3));
    CHECK(is_refused(bytes, engine.order_count() - 1, 3));
    CHECK(is_refused(bytes, engine.order_count(), 2));
    CHECK(is_refused(bytes, 0, 3) && is_refused(bytes, openbell::ORDERS_MAX + 1, 3));
}

TEST(snapshot, every_truncation_is_refused) {
    MatchingEngine engine(10'000, 4);
    engine_fill(engine, 2'000);
    std::vector<std::byte> bytes = bytes_of(engine.snapshot());
    for (std::size_t size = 0; size < bytes.size(); size += size % 4'096 < 100 ? 1 : 97)
        CHECK(is_refused(std::span(bytes).first(size)));
    CHECK(is_refused(std::span(bytes).first(openbell::SNAPSHOT_BLOCK_BYTES)));
    bytes.push_back(std::byte{0});
    CHECK(is_refused(bytes));
}

TEST(snapshot, flipped_bit_is_refused_wherever_it_is) {
    MatchingEngine engine(10'000, 4);
    engine_fill(engine, 1'230);
    std::vector<std::byte> bytes = bytes_of(engine.snapshot());
    CHECK(bytes.size() > 64'000);
    for (std::size_t at = 0; at < bytes.size(); ++at) {
        bytes[at] ^= std::byte{1} << (at % 8);
        CHECK(is_refused(bytes));
        bytes[at] ^= std::byte{1} << (at % 8);
    }
    CHECK(!is_refused(bytes));
}
