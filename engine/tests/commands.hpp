// Commands in one line each, and a small repeatable source of random numbers.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "openbell/matching_engine.hpp"

namespace commands {

using openbell::Command;
using openbell::CommandKind;
using openbell::Event;
using openbell::Side;

inline Command limit(Side side, std::uint64_t order_id, std::int64_t quantity, std::int64_t price) {
    Command command{};
    command.seq = order_id;
    command.order_id = order_id;
    command.owner = order_id;
    command.price = price;
    command.quantity = quantity;
    command.symbol_id = 1;
    command.kind = static_cast<std::uint8_t>(CommandKind::NEW);
    command.side = static_cast<std::uint8_t>(side);
    command.ord_type = static_cast<std::uint8_t>(openbell::OrdType::LIMIT);
    return command;
}

inline Command cancel(std::uint64_t order_id) {
    Command command{};
    command.orig_order_id = order_id;
    command.symbol_id = 1;
    command.kind = static_cast<std::uint8_t>(CommandKind::CANCEL);
    return command;
}

inline Command book(CommandKind kind) {
    Command command{};
    command.symbol_id = 1;
    command.kind = static_cast<std::uint8_t>(kind);
    return command;
}

inline Command stop(Side side, std::uint64_t order_id, std::int64_t quantity, std::int64_t stop_price,
                    std::int64_t collar) {
    Command command = limit(side, order_id, quantity, collar);
    command.ord_type = static_cast<std::uint8_t>(openbell::OrdType::STOP);
    command.stop_price = stop_price;
    return command;
}

inline Command phase(openbell::Phase to) {
    Command command = book(CommandKind::PHASE);
    command.argument = static_cast<std::uint8_t>(to);
    return command;
}

inline std::vector<Event> run(openbell::MatchingEngine& engine, std::vector<Command> batch) {
    const std::span<const Event> events = engine.process(batch);
    return {events.begin(), events.end()};
}

inline bool is(const Event& event, openbell::ExecType exec_type) {
    return event.exec_type == static_cast<std::uint8_t>(exec_type);
}

class Random {
public:
    explicit Random(std::uint64_t seed) : state_(seed) {}
    std::uint64_t below(std::uint64_t limit) {
        state_ ^= state_ << 13U;
        state_ ^= state_ >> 7U;
        state_ ^= state_ << 17U;
        return state_ % limit;
    }

private:
    std::uint64_t state_;
};

}  // namespace commands
