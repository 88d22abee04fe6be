// Where a batch's events are written, numbered within their command.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "openbell/messages.hpp"

namespace openbell {

class EventBuffer {
public:
    EventBuffer() : events_(4096) {}

    void batch_begin() { count_ = 0; }

    void command_begin(const Command& command) {
        seq_ = command.seq;
        symbol_id_ = command.symbol_id;
        n_ = 0;
    }

    // Grows by doubling while warming up. Every event of a command beyond its third ends a resting order, so the
    // size is bounded by the batch and the pool.
    Event& event_push(ExecType exec_type) {
        if (count_ == events_.size()) [[unlikely]] events_.resize(events_.size() * 2);
        Event& event = events_[count_++];
        event = Event{};
        event.seq = seq_;
        event.symbol_id = symbol_id_;
        event.n = n_++;
        event.exec_type = static_cast<std::uint8_t>(exec_type);
        event.ord_status = static_cast<std::uint8_t>(OrdStatus::NONE);
        event.contra_ord_status = static_cast<std::uint8_t>(OrdStatus::NONE);
        return event;
    }

    std::span<const Event> events() const { return {events_.data(), count_}; }

private:
    std::vector<Event> events_;
    std::size_t count_ = 0;
    std::uint64_t seq_ = 0;
    std::uint32_t symbol_id_ = 0;
    std::uint32_t n_ = 0;
};

}  // namespace openbell
