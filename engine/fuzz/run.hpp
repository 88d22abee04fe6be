// One run: commands one by one through an engine, everything that must hold checked after each, and from a point on
// through a second engine restored from the first one's snapshot.
#pragma once

#include <algorithm>
#include <cstring>
#include <memory>
#include <optional>

#include "shadow.hpp"

namespace fuzz {

class Run {
public:
    Run(std::size_t max_orders, std::span<const std::uint8_t> bytes)
        : max_orders_(max_orders), engine_(max_orders, BOOKS), plausible_(bytes) {}

    const MatchingEngine& engine() const { return engine_; }

    std::optional<Command> command_next() {
        return plausible_.command_next([this](std::size_t place) { return shadow_.target_at(place); });
    }

    std::span<const Event> command_process(const Command& command) {
        const std::uint64_t hash = engine_.state_hash();
        const auto promised = promise_find(command);
        const std::span<const Event> events = engine_.process({&command, 1});
        shadow_.command_follow(command, events);
        shadow_.engine_check(engine_, command.symbol_id);
        if (is(events[0].exec_type, ExecType::REJECTED)) MUST(engine_.state_hash() == hash);
        if (promised) promise_check(*promised, events);
        if (twin_) {
            MUST(is_same(events, twin_->process({&command, 1})));
            MUST(twin_->state_hash() == engine_.state_hash());
        }
        return events;
    }

    void twin_restore() {
        const Snapshot snapshot = engine_.snapshot();
        twin_ = MatchingEngine::restore(snapshot.bytes(), max_orders_, BOOKS);
        const Snapshot again = twin_->snapshot();
        MUST(std::ranges::equal(snapshot.bytes(), again.bytes()));
    }

    static bool is_same(std::span<const Event> events, std::span<const Event> others) {
        return events.size() == others.size() &&
               (events.empty() || std::memcmp(events.data(), others.data(), events.size_bytes()) == 0);
    }

    static constexpr std::size_t BOOKS = 2;

private:
    // What the indication promises for an uncross that the orders join whom it counted.
    std::optional<Indication> promise_find(const Command& command) const {
        if (!is(command.kind, CommandKind::PHASE) || command.price != 0) return std::nullopt;
        if (!is(command.argument, Phase::CONTINUOUS)) return std::nullopt;
        const auto status = engine_.book_status(command.symbol_id);
        if (!status || status->phase == Phase::CONTINUOUS) return std::nullopt;
        if (status->phase == Phase::CLOSING_AUCTION) return std::nullopt;
        return engine_.indication(command.symbol_id);
    }

    static void promise_check(const Indication& promised, std::span<const Event> events) {
        std::uint64_t volume = 0;
        for (const Event& event : events) {
            if (is(event.reason, Reason::SELF_TRADE)) return;
            if (!is(event.reason, Reason::AUCTION)) continue;
            MUST(event.price == promised.price);
            volume += static_cast<std::uint64_t>(event.quantity);
        }
        MUST(volume == static_cast<std::uint64_t>(promised.volume));
    }

    std::size_t max_orders_;
    MatchingEngine engine_;
    PlausibleCommands plausible_;
    Shadow shadow_;
    std::unique_ptr<MatchingEngine> twin_;
};

}  // namespace fuzz
